"""``cascade-bench``: what there is, and what came out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.commands import doctor, history, report, show
from benchmarks.commands import regress as regress
from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import cost
from benchmarks.harness.selection import options as selection
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, SIZES, Scenario
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from results.formatting import one_line
from results.records.record import RecordError

ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 with one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # here, where it is no error that nobody reads on
        return code
    except (selection.SelectionError, SpecError, RecordError) as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return ERROR
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed again at the end
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cascade-bench",
        description="Backward passes of cascades in PyTorch and JAX: what there is, what came out.",
        epilog="Measure with: pytest benchmarks --benchmark-only",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "list", help="scenarios, variants, flows, strategies, recipes, sizes"
    )
    listing.add_argument("--json", action="store_true", help="a list of objects")
    listing.add_argument("--cost", action="store_true", help="how long a selection takes")
    for name in cells.OPTIONS:
        listing.add_argument(f"--{name}", action="append", metavar="NAME[,NAME]")
    listing.add_argument(
        loading.OPTION, action="append", default=[], metavar="PATH", help="scenarios of your own"
    )
    listing.add_argument("--device", default=None, choices=selection.DEVICES)
    listing.add_argument("--all", action="store_true", dest="everything")
    listing.add_argument("--launches", type=int, default=6)
    listing.add_argument("--cell-seconds", type=float, default=0.05)
    listing.add_argument("--memory", action="store_true", help="with --cost: peak memory as well")
    listing.set_defaults(run=_list)
    doctor.add_command(commands)
    show.add_command(commands)
    report.add_command(commands)
    regress.add_command(commands)
    history.add_command(commands)
    return parser


def _list(options: argparse.Namespace) -> int:
    loading.load(options.scenario_path)
    selection.check_positive("launches", options.launches)
    selection.check_positive("cell-seconds", options.cell_seconds)
    chosen = selection.Selection(
        **{name: _listed(getattr(options, name)) for name in cells.OPTIONS},
        device=options.device or "cpu",
        everything=options.everything,
    )
    names = list(dict.fromkeys(scenario.name for scenario, _, _ in chosen.problems()))
    if options.json:
        print(json.dumps([described(CATALOGUE[name]) for name in names], indent=2))
    elif options.cost:
        asked = options.launches, options.cell_seconds, options.memory
        _print_cost(cost.estimate(chosen, *asked))
    else:
        _print_scenarios([CATALOGUE[name] for name in names])
    return 0


def described(scenario: Scenario) -> dict[str, Any]:
    """A scenario as plain data, for other programs."""
    freezing = any(variant.frozen for variant in scenario.variants.values())
    return {
        "name": scenario.name,
        "family": scenario.family,
        "summary": scenario.summary,
        "variants": list(scenario.variants),
        "frameworks": [f for f in FRAMEWORKS if scenario.lacks(f) is None],
        "strategies": {f: list(cells.STRATEGIES[f]) for f in FRAMEWORKS},
        "recipes": {f: list(cells.RECIPES[f]) if freezing else [] for f in FRAMEWORKS},
        "sizes": {size: dict(arguments) for size, arguments in scenario.sizes.items()},
        "flow": {
            name: {loss: list(reached) for loss, reached in variant.allowed.items()}
            for name, variant in scenario.variants.items()
        },
        "frozen": {name: list(variant.frozen) for name, variant in scenario.variants.items()},
        "unsupported": {
            name: dict(variant.impossible) for name, variant in scenario.variants.items()
        },
        "optimizer": scenario.optimizer.facts(),
    }


def _print_scenarios(scenarios: Sequence[Scenario]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("scenario", "variant", "flow: loss → networks it may change"):
        table.add_column(heading, overflow="fold")
    for scenario in scenarios:
        for i, (name, variant) in enumerate(scenario.variants.items()):
            flow = "; ".join(
                loss if loss == "…" else f"{loss} → {_span(variant.networks, reached)}"
                for loss, reached in _shown(variant.allowed)
            )
            frozen = f"  frozen: {', '.join(variant.frozen)}" if variant.frozen else ""
            table.add_row(scenario.name if i == 0 else "", name, flow + frozen)
    console.print(table)
    sizes = [size for size in SIZES if any(size in scenario.sizes for scenario in scenarios)]
    default = [size for size in selection.DEFAULT_SIZES if size in sizes]
    console.print(f"\nsizes: {', '.join(sizes)}  (default: {', '.join(default)})")
    for framework in FRAMEWORKS:
        console.print(f"{framework} strategies: {', '.join(cells.STRATEGIES[framework])}")
        console.print(f"{framework} recipes: {', '.join(cells.RECIPES[framework])}")
    console.print(f"frameworks: {', '.join(FRAMEWORKS)}")
    console.print(
        f"phases: {', '.join(cells.PHASES)}   measure: pytest benchmarks --benchmark-only"
    )


def _shown(flow: Any) -> list[tuple[str, Any]]:
    """All losses, or the first and the last where there are many."""
    pairs = list(flow.items())
    return pairs if len(pairs) <= 4 else [pairs[0], ("…", ()), pairs[-1]]


def _span(networks: Sequence[str], reached: Sequence[str]) -> str:
    if not reached:
        return "none"
    if len(reached) > 3 and list(networks[: len(reached)]) == list(reached):
        return f"{reached[0]} … {reached[-1]}"
    return ", ".join(reached)


def _print_cost(found: cost.Cost) -> None:
    print(f"{found.cells} cells in {found.groups} groups, {found.unsupported} more cannot exist")
    print(f"about {found.seconds / 60:.1f} min on 2 CPU cores (an estimate from nominal speeds)")


def _listed(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(name for value in values for name in value.split(",")) if values else None


if __name__ == "__main__":
    sys.exit(main())
