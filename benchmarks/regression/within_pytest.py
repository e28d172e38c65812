"""Compare the cells of a pytest session with another git ref, after the session itself.

``pytest benchmarks --benchmark-only --regress-against REF`` first measures as usual, then measures
the same cells in turns with those of the ref. pytest-benchmark's own comparison is unaffected.

A session that selects nothing times hundreds of cells, too many for any budget. It compares
`plan.DEFAULT_CELLS` instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import OPTIONS as SELECTING
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.selection.options import SelectionError
from benchmarks.paths import REGRESSIONS
from benchmarks.regression import comparison, plan, versions
from benchmarks.regression.versions import VersionRequest
from benchmarks.regression.worktrees import VersionError
from benchmarks.scenarios.external import loading
from results.records.record import RecordError
from results.regression.document import (
    ERROR,
    INTERRUPTED,
    REGRESSION,
    Analysis,
    analysis,
    session_exit_code,
)
from results.terminal import regression_table

Result = tuple[dict[str, Any], Analysis]
RESULT = pytest.StashKey[Result]()
FAILURE = pytest.StashKey[str]()


def add_options(group: Any) -> None:
    """Add the options of this comparison to a group of pytest's options."""
    group.addoption(
        "--regress-against",
        metavar="REF",
        help="then compare the cells timed with those of this git ref, in turns (docs/regress.md)",
    )
    group.addoption(
        "--regress-budget", default="10m", metavar="TIME", help="time for that comparison (10m)"
    )


def check(config: pytest.Config, cells: Sequence[Cell]) -> None:
    """Check before measuring that the ref exists and that the budget suffices.

    Raises:
        pytest.UsageError: one of them does not hold.
    """
    ref = config.getoption("regress_against")
    if ref is None:
        return
    mode = config.getoption("precision_mode")
    if mode not in (None, IEEE):
        raise pytest.UsageError(
            f"--precision-mode {mode}: two versions are compared in full float32; leave out "
            "--regress-against, or --precision-mode"
        )
    try:
        versions.check_ref(ref, comparison.external_specs())
        plan.refuse_several_ranks(cells)
        budget = plan.parse_seconds(config.getoption("regress_budget"), "--regress-budget")
        comparison.check_budget(_compared_cells(config, cells), budget, option="--regress-budget")
    except (VersionError, SelectionError) as error:
        raise pytest.UsageError(f"--regress-against {ref}: {error}") from None


def compare(session: pytest.Session, cells: Sequence[Cell]) -> None:
    """Compare if the options ask for it, and keep the result for `summary`.

    The session fails if a cell got slower or could not be compared.

    Args:
        session: pytest's, at its end.
        cells: that the session has measured.
    """
    config = session.config
    ref = config.getoption("regress_against")
    if ref is None or session.exitstatus == pytest.ExitCode.INTERRUPTED:
        return
    try:
        document, saved = comparison.compare(_request(config, ref, cells))
    except KeyboardInterrupt:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
        return
    except (*comparison.ERRORS, SelectionError, RecordError, OSError) as error:
        config.stash[FAILURE] = f"--regress-against {ref}: {error}"
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    document = document if saved else document | {"unsaved": True}
    findings = analysis(document)
    config.stash[RESULT] = document, findings
    if document["stopped"] == INTERRUPTED:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    failed = session_exit_code(document, findings) in (REGRESSION, ERROR)
    if failed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _request(
    config: pytest.Config, ref: str, cells: Sequence[Cell]
) -> comparison.ComparisonRequest:
    """Return the comparison of a ref with the work tree, on the cells of the session."""
    specs = [f"{loading.OPTION}={path}" for path in config.getoption("scenario_path") or ()]
    budget, compared = config.getoption("regress_budget"), _compared_cells(config, cells)
    results = config.getoption("results")
    return comparison.ComparisonRequest(
        base=VersionRequest(ref, sys.executable),
        head=VersionRequest(None, sys.executable),
        choose_cells=lambda _: compared,
        budget=plan.parse_seconds(budget),
        folder=Path(results) / "regressions" if results else REGRESSIONS,
        arguments=[ref, f"--budget={budget}", *_selecting_arguments(compared), *specs],
        seed=config.getoption("bench_seed"),
    )


def _selecting_arguments(cells: Sequence[Cell]) -> list[str]:
    """Return the command-line arguments that select these cells by name."""
    return [
        f"--{name}={','.join(dict.fromkeys(getattr(cell, name) for cell in cells))}"
        for name in (*SELECTING, "device")
    ]


def _compared_cells(config: pytest.Config, cells: Sequence[Cell]) -> list[Cell]:
    """Return the session's cells that can be measured, or default ones if it selects nothing."""
    possible = [cell for cell in cells if cell.unsupported_reason() is None]
    selecting = (*SELECTING, "scenario_path", "everything", "keyword")
    if any(config.getoption(name) for name in selecting):
        return possible
    frameworks = plan.distinct_frameworks(possible)
    return plan.choose_cells(dict.fromkeys(SELECTING), possible[0].device, frameworks)


def summary(terminal: pytest.TerminalReporter) -> None:
    """Print the comparison's table, or why there is none."""
    stash = terminal.config.stash
    failure = stash.get(FAILURE, None)
    if failure:
        terminal.section("regressions")
        terminal.write_line(failure, red=True)
    if RESULT in stash:
        terminal.section("regressions")
        width = max(80, terminal._tw.fullwidth) if terminal.isatty else regression_table.WIDTH
        text = regression_table.text(*stash[RESULT], width, colour=terminal.hasmarkup)
        for line in text.splitlines():
            terminal.write_line(line)
