"""``cascade-bench list``: the scenarios that can be measured, or how long measuring them takes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.commands.parsing import exclusive
from benchmarks.harness.protocol import cells, ranks
from benchmarks.harness.protocol.precision import IEEE, PRECISION_MODES
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import (
    Selection,
    SelectionError,
    check_positive,
    check_ranks,
    default_device,
    default_sizes,
)
from benchmarks.machine import frameworks
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, SIZES, Scenario
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.guesses import layout_guesses
from benchmarks.scenarios.spec import Variant
from results.terminal.stdout import width_and_colour
from results.terminal.tables import WIDTH, hanging

NARROWEST = 60  # columns; a narrower terminal breaks the lines itself
MOST_LOSSES = 4  # of a variant that are shown; of more than these only the first and the last


def add_command(commands: Any) -> None:
    """Add ``list`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "list",
        help="scenarios, variants, flows, strategies, recipes, sizes",
        description="List what can be measured, or with --cost how long measuring it takes.",
        examples=(
            "cascade-bench list --scenario gan",
            "cascade-bench list --cost --size large --framework torch",
        ),
    )
    shared.add_json(parser, "print a JSON list, with an object for each scenario, not the table")
    parser.add_argument(
        "--cost", action="store_true", help="print how long measuring the selection takes"
    )
    shared.add_selection(parser)
    shared.add_scenario_path(parser)
    shared.add_device(parser)
    shared.add_precision_mode(parser)
    parser.add_argument(
        "--all", action="store_true", dest="everything", help="select every cell there is"
    )
    parser.add_argument(
        "--ranks",
        type=int,
        metavar="N",
        help="with --kind distributed: processes that share each batch (default: 2)",
    )
    parser.add_argument(
        "--launches",
        type=int,
        default=6,
        help="with --cost: worker processes started for each framework (default: 6)",
    )
    parser.add_argument(
        "--cell-seconds",
        type=float,
        default=cost.CELL_SECONDS,
        help=f"with --cost: seconds of timing a cell in a launch (default: {cost.CELL_SECONDS:g})",
    )
    parser.add_argument(
        "--memory", action="store_true", help="with --cost: include measuring peak memory"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the selected scenarios, or the cost of measuring them; return 0.

    Raises:
        SelectionError: an unknown name, or a number that is not above 0.
        SpecError: a user's own scenario cannot be loaded.
    """
    exclusive(options, ("json", "cost"))
    for line in layout_guesses(loading.load(options.scenario_path)):
        print(line, file=sys.stderr)
    check_positive("launches", options.launches)
    check_positive("cell-seconds", options.cell_seconds)
    if options.ranks is not None:
        check_ranks(options.ranks, shared.selected_names(options)["kind"])
    device = options.device or default_device()
    selection = Selection(
        **shared.selected_names(options),
        ranks=options.ranks or ranks.DEFAULT_RANKS,
        device=device,
        everything=options.everything,
        precision_mode=options.precision_mode,
    )
    names = list(dict.fromkeys(scenario.name for scenario, _, _ in selection.problems()))
    scenarios = [CATALOGUE[name] for name in names]
    if options.json:
        print(json.dumps([plain_scenario(scenario) for scenario in scenarios], indent=2))
    elif options.cost:
        _print_cost(selection, options)
    else:
        _print_scenarios(scenarios, device)
    return 0


def plain_scenario(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as plain data for other programs."""
    variants = scenario.variants
    freezing = any(variant.frozen for variant in variants.values())
    return {
        "name": scenario.name,
        "family": scenario.family,
        "summary": scenario.summary,
        "variants": list(variants),
        "frameworks": [f for f in FRAMEWORKS if scenario.lacks(f) is None],
        "strategies": {f: list(cells.STRATEGIES[f]) for f in FRAMEWORKS},
        "recipes": {f: list(cells.RECIPES[f]) if freezing else [] for f in FRAMEWORKS},
        "sizes": {size: dict(arguments) for size, arguments in scenario.sizes.items()},
        "flow": {
            name: {loss: list(networks) for loss, networks in variant.allowed.items()}
            for name, variant in variants.items()
        },
        "frozen": {name: list(variant.frozen) for name, variant in variants.items()},
        "unsupported": {name: dict(variant.impossible) for name, variant in variants.items()},
        "optimizer": scenario.optimizer.as_dict(),
    }


def _print_scenarios(scenarios: Sequence[Scenario], device: str) -> None:
    """Print a table of scenarios, then the names of sizes, strategies, recipes and phases.

    Args:
        scenarios: to print.
        device: whose default sizes are named.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width, colour = width_and_colour(WIDTH, narrowest=NARROWEST)
    console = Console(width=width, color_system="auto" if colour else None, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("scenario", "variant", "flow: loss → networks it may change"):
        table.add_column(heading, overflow="fold")
    for scenario in scenarios:
        for i, (name, variant) in enumerate(scenario.variants.items()):
            table.add_row(scenario.name if i == 0 else "", name, _flow_text(variant))
    console.print(table)
    sizes = [size for size in SIZES if any(size in scenario.sizes for scenario in scenarios)]
    defaults = {size for one in scenarios for size in default_sizes(one, device)}
    default = [size for size in sizes if size in defaults]
    console.print(f"\nsizes: {', '.join(sizes)}  (default: {', '.join(default)})")
    for framework in FRAMEWORKS:
        for what, names in (("strategies", cells.STRATEGIES), ("recipes", cells.RECIPES)):
            line = Text(f"{framework} {what}: {', '.join(names[framework])}")
            console.print(hanging(line, console))
    console.print(f"frameworks: {', '.join(FRAMEWORKS)}")
    for reason in filter(None, map(frameworks.why_missing, FRAMEWORKS)):
        console.print(reason, soft_wrap=True, markup=False)  # it ends with a command
    console.print(
        f"phases: {', '.join(cells.PHASES)}   measure: pytest benchmarks --benchmark-only"
    )
    console.print(
        f"precision modes: {', '.join(PRECISION_MODES)}  (default: {IEEE}; tf32 on a GPU alone)"
    )


def _flow_text(variant: Variant) -> str:
    """Return the table's text of a variant: networks that each loss may change, frozen networks."""
    flow = "; ".join(
        loss if loss == "…" else f"{loss} → {_networks_text(variant.networks, reached)}"
        for loss, reached in _shown_losses(variant.allowed)
    )
    return flow + (f"  frozen: {', '.join(variant.frozen)}" if variant.frozen else "")


def _shown_losses(
    flow: Mapping[str, Sequence[str]],
) -> list[tuple[str, Sequence[str]]]:
    """Return all losses with the networks they reach; of many, the first, ``…`` and the last."""
    pairs = list(flow.items())
    return pairs if len(pairs) <= MOST_LOSSES else [pairs[0], ("…", ()), pairs[-1]]


def _networks_text(networks: Sequence[str], reached: Sequence[str]) -> str:
    """Return the networks that a loss reaches, a long run from the first one as ``a … z``."""
    if not reached:
        return "none"
    if len(reached) > 3 and list(networks[: len(reached)]) == list(reached):
        return f"{reached[0]} … {reached[-1]}"
    return ", ".join(reached)


def _print_cost(selection: Selection, options: argparse.Namespace) -> None:
    """Print how many of the selected cells can run here, and the time that measuring them takes.

    Raises:
        SelectionError: no cell is selected, or no framework that could run one is installed.
    """
    selected = selection.require_cells()
    present = frameworks.present()
    cells_here = [cell for cell in selected if cell.framework in present]
    for framework in FRAMEWORKS:
        left_out = sum(cell.framework == framework for cell in selected)
        if left_out and framework not in present:
            print(f"{left_out} cells left out: {frameworks.why_missing(framework)}")
    if not cells_here:
        raise SelectionError(frameworks.none_installed() if not present else "nothing can run here")
    total = cost.estimate_cells(cells_here, options.launches, options.cell_seconds, options.memory)
    print(f"{total.cells} cells in {total.groups} groups, {total.unsupported} more cannot exist")
    print(f"about {total.seconds / 60:.1f} min on 2 CPU cores (an estimate from nominal speeds)")
