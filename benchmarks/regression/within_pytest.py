"""``pytest benchmarks --benchmark-only --regress-against REF``: the cells of this session, in turns
with those of a git ref, when all else is done; pytest-benchmark's own comparison stays what it is.

The cells compared are those of the session. One that selects nothing times hundreds, which no
budget is enough for: then they are the ten of `plan.DEFAULT`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import OPTIONS as SELECTING
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection import options
from benchmarks.paths import REGRESSIONS
from benchmarks.regression import comparison, plan, versions
from benchmarks.regression.versions import VersionRequest
from benchmarks.regression.worktrees import TreeError
from benchmarks.scenarios.external import loading
from results.records.record import RecordError
from results.regression import document as regression
from results.terminal import regression_table

Found = tuple[dict[str, Any], regression.Analysis]
FOUND = pytest.StashKey[Found]()
WHY_NOT = pytest.StashKey[str]()


def add_options(group: Any) -> None:
    """Add the options to pytest's group."""
    group.addoption(
        "--regress-against",
        metavar="REF",
        help="then compare the cells timed with those of this git ref, in turns (docs/regress.md)",
    )
    group.addoption(
        "--regress-budget", default="10m", metavar="TIME", help="of that comparison (10m)"
    )


def check(config: pytest.Config, cells: Sequence[Cell]) -> None:
    """Before anything is measured: is there such a ref, and time enough? Raises `UsageError`."""
    ref = config.getoption("regress_against")
    if ref is None:
        return
    try:
        versions.demand_ref(ref, comparison.own_files())
        budget = plan.seconds_of(config.getoption("regress_budget"))
        comparison.weigh(_compared(config, cells), budget, option="--regress-budget")
    except (TreeError, options.SelectionError) as error:
        raise pytest.UsageError(f"--regress-against {ref}: {error}") from None


def compare(session: pytest.Session, cells: Sequence[Cell]) -> None:
    """Compare, and make the session fail where something regressed or could not be compared."""
    config = session.config
    ref = config.getoption("regress_against")
    if ref is None or session.exitstatus == pytest.ExitCode.INTERRUPTED:
        return
    try:
        document, saved = comparison.compare(_question(config, ref, cells))
    except KeyboardInterrupt:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
        return
    except (*comparison.ERRORS, options.SelectionError, RecordError, OSError) as error:
        config.stash[WHY_NOT] = f"--regress-against {ref}: {error}"
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    document = document if saved else document | {"unsaved": True}
    found = regression.analysis(document)
    config.stash[FOUND] = document, found
    if document["stopped"] == regression.INTERRUPTED:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    bad = regression.ending(document, found) in (regression.REGRESSION, regression.ERROR)
    if bad and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _question(
    config: pytest.Config, ref: str, cells: Sequence[Cell]
) -> comparison.ComparisonRequest:
    own = [f"{loading.OPTION}={path}" for path in config.getoption("scenario_path") or ()]
    budget, compared = config.getoption("regress_budget"), _compared(config, cells)
    given = config.getoption("results")
    return comparison.ComparisonRequest(
        base=VersionRequest(ref, sys.executable),
        head=VersionRequest(None, sys.executable),
        choose=lambda _: compared,
        budget=plan.seconds_of(budget),
        folder=Path(given) / "regressions" if given else REGRESSIONS,
        arguments=[ref, f"--budget={budget}", *_options(compared), *own],
        seed=config.getoption("bench_seed"),
    )


def _options(cells: Sequence[Cell]) -> list[str]:
    """What asks for these cells by name."""
    names = (
        "kind", "scenario", "variant", "size", "framework", "mode", "strategy", "phase", "device",
    )  # fmt: skip
    return [
        f"--{name}={','.join(dict.fromkeys(getattr(cell, name) for cell in cells))}"
        for name in names
    ]


def _compared(config: pytest.Config, cells: Sequence[Cell]) -> list[Cell]:
    """Those that can be measured; of a session that selects nothing, the default ones."""
    possible = [cell for cell in cells if cell.unsupported() is None]
    if any(
        config.getoption(name) for name in (*SELECTING, "scenario_path", "everything", "keyword")
    ):
        return possible
    frameworks = list(dict.fromkeys(cell.framework for cell in possible))
    return plan.cells(dict.fromkeys(SELECTING), possible[0].device, frameworks)


def summary(terminal: pytest.TerminalReporter) -> None:
    """The comparison's table, or why there is none."""
    stash = terminal.config.stash
    why = stash.get(WHY_NOT, None)
    if why:
        terminal.section("regressions")
        terminal.write_line(why, red=True)
    if FOUND in stash:
        terminal.section("regressions")
        width = max(80, terminal._tw.fullwidth) if terminal.isatty else regression_table.WIDTH
        told = regression_table.text(*stash[FOUND], width, colour=terminal.hasmarkup)
        for line in told.splitlines():
            terminal.write_line(line)
