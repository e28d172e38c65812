"""Test ``--regress-against``: refusals before measuring, and the outcome of the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import OPTIONS as SELECTING
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import Selection
from benchmarks.regression import comparison, plan, versions, within_pytest
from benchmarks.regression.failures import CannotStart
from results.regression import document
from tests.helpers.factories import comparisons
from tests.helpers.git_repositories import git

OPTIONS: dict[str, Any] = {
    "regress_against": "main", "regress_budget": "10m", "scenario_path": None, "results": None,
    "bench_seed": 3, "everything": False, "keyword": "", **dict.fromkeys(SELECTING),
    "size": ["small"], "precision_mode": None,
}  # fmt: skip
CELLS = plan.choose_cells(dict.fromkeys(("kind", "size")), "cpu", ["torch", "jax"])


class Config:
    def __init__(self, **options: Any) -> None:
        self.options = OPTIONS | options
        self.stash = pytest.Stash()

    def getoption(self, name: str) -> Any:
        return self.options[name]


class Session:
    def __init__(self, exitstatus: int = 0, **options: Any) -> None:
        self.config, self.exitstatus = Config(**options), exitstatus


class Terminal:
    isatty = hasmarkup = False

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        self.lines.append(f"== {title}")

    def write_line(self, line: str, **_: Any) -> None:
        self.lines.append(line)


def compared(
    monkeypatch: pytest.MonkeyPatch, session: Any, outcome: Any, *, saved: bool = True
) -> list[comparison.ComparisonRequest]:
    """Have the comparison return this document, or raise this error; return its requests."""
    requests: list[comparison.ComparisonRequest] = []

    def compare(request: comparison.ComparisonRequest) -> Any:
        requests.append(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome, saved

    monkeypatch.setattr(comparison, "compare", compare)
    within_pytest.compare(session, CELLS)
    return requests


def printed_summary(session: Any) -> str:
    terminal: Any = Terminal(session.config)
    within_pytest.summary(terminal)
    return "\n".join(terminal.lines)


def test_without_the_option_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session(regress_against=None)
    assert compared(monkeypatch, session, comparisons.comparison({0: 0.5})) == []
    assert (session.exitstatus, printed_summary(session)) == (0, "")
    within_pytest.check(session.config, CELLS * 100)


def test_too_many_cells_for_the_budget_are_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "check_ref", lambda *_: None)
    config: Any = Config()
    within_pytest.check(config, CELLS)
    with pytest.raises(
        pytest.UsageError,
        match=r"--regress-against main: a budget of 10m .* give --regress-budget \d+m, or select",
    ):
        within_pytest.check(config, CELLS * 10)
    config = Config(regress_budget="soon")
    with pytest.raises(pytest.UsageError, match="give a time such as 10m"):
        within_pytest.check(config, CELLS)


@pytest.mark.parametrize(("slower", "status"), [({}, 0), ({2: 0.3}, 1)])
def test_a_regression_fails_the_session_and_unchanged_code_does_not(
    monkeypatch: pytest.MonkeyPatch, slower: dict[int, float], status: int
) -> None:
    session: Any = Session()
    (request,) = compared(monkeypatch, session, comparisons.comparison(slower))
    assert (request.base.ref, request.head.ref, request.seed) == ("main", None, 3)
    assert list(request.choose_cells(["torch", "jax"])) == CELLS
    assert session.exitstatus == status
    outcome = "a regression: wall time, CPU time" if slower else "nothing got slower"
    first = f"== regressions\n{outcome} (exit code {status})\n\nboth: python"
    assert printed_summary(session).startswith(first)
    assert ("▲ slower" in printed_summary(session)) == bool(slower)


def test_noise_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session()
    compared(monkeypatch, session, comparisons.comparison(spread=0.1))
    assert session.exitstatus == 0
    assert "inconclusive" in printed_summary(session)


def test_what_cannot_be_compared_or_kept_fails_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session()
    compared(monkeypatch, session, CannotStart("nothing of this selection runs on BASE: x"))
    assert session.exitstatus == 1
    assert "--regress-against main: nothing of this selection runs on BASE" in printed_summary(
        session
    )
    session = Session()
    compared(monkeypatch, session, comparisons.comparison(), saved=False)
    assert session.exitstatus == 1


def test_an_interrupted_session_is_not_followed_by_a_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session(exitstatus=int(pytest.ExitCode.INTERRUPTED))
    assert compared(monkeypatch, session, comparisons.comparison({0: 0.5})) == []


def test_a_comparison_that_is_stopped_ends_as_a_stopped_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session()
    compared(monkeypatch, session, comparisons.comparison() | {"stopped": document.INTERRUPTED})
    assert session.exitstatus == pytest.ExitCode.INTERRUPTED
    assert "stopped by Ctrl-C" in printed_summary(session)
    session = Session()
    compared(monkeypatch, session, KeyboardInterrupt())
    assert session.exitstatus == pytest.ExitCode.INTERRUPTED


def test_a_ref_that_is_none_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    config: Any = Config()
    within_pytest.check(config, CELLS)
    config = Config(regress_against="nowhere")
    with pytest.raises(pytest.UsageError, match=r"'nowhere' is no commit of .*it has main"):
        within_pytest.check(config, CELLS)


def test_the_command_that_asks_the_same_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session: Any = Session(results=str(tmp_path), scenario_path=["net.py"])
    (request,) = compared(monkeypatch, session, comparisons.comparison())
    assert request.folder == tmp_path / "regressions"
    assert request.arguments[:2] == ["main", "--budget=10m"]
    assert {"--framework=torch,jax", "--device=cpu"} <= set(request.arguments)
    assert request.arguments[-1] == "--scenario-path=net.py"


def test_cells_that_cannot_exist_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session()
    impossible = Cell(
        "backward", "conv_cascade", "-", "small", "torch", "eager", "reforward", "backward", "cpu"
    )
    assert impossible.unsupported_reason()
    monkeypatch.setattr(comparison, "compare", lambda request: (comparisons.comparison(), True))
    config: Any = Config()
    assert within_pytest._compared_cells(config, [*CELLS, impossible]) == CELLS
    assert document.analysis(comparisons.comparison()).exit_code == 0
    within_pytest.compare(session, [*CELLS, impossible])
    assert session.exitstatus == 0


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_session_that_selects_nothing_is_compared_by_the_default_cells(
    monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    """Such a session times hundreds of cells, and no budget is enough for them."""
    monkeypatch.setattr(versions, "check_ref", lambda *_: None)
    hundreds = Selection(framework=(framework,)).require_cells()
    config: Any = Config(size=None)
    within_pytest.check(config, hundreds)
    chosen = within_pytest._compared_cells(config, hundreds)
    assert chosen == [cell for cell in CELLS if cell.framework == framework]
    for selecting in ({"scenario": ["gan"]}, {"keyword": "gan"}, {"scenario_path": ["net.py"]}):
        config = Config(size=None, **selecting)
        assert within_pytest._compared_cells(config, hundreds[:3]) == hundreds[:3]


def test_lower_precision_is_refused_before_anything_is_measured() -> None:
    config: Any = Config(precision_mode="bf16")
    with pytest.raises(pytest.UsageError, match="two versions are compared in full float32"):
        within_pytest.check(config, [])
