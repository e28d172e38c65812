"""``--regress-against``: what it refuses before measuring, and what it makes of the session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import OPTIONS as SELECTING
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import Selection
from benchmarks.regression import comparison as comparing
from benchmarks.regression import plan, versions, within_pytest
from benchmarks.regression.session import CannotStart
from results.regression import document
from tests.helpers.factories.comparisons import comparison
from tests.integration.test_worktrees import git

OPTIONS: dict[str, Any] = {
    "regress_against": "main", "regress_budget": "10m", "scenario_path": None, "results": None,
    "bench_seed": 3, "everything": False, "keyword": "", **dict.fromkeys(SELECTING),
    "size": ["small"],
}  # fmt: skip
CELLS = plan.cells(dict.fromkeys(("kind", "size")), "cpu", ["torch", "jax"])


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
    monkeypatch: pytest.MonkeyPatch, session: Any, found: Any, *, saved: bool = True
) -> list[comparing.ComparisonRequest]:
    """Have the comparison find this, or raise it; the questions that were asked."""
    asked: list[comparing.ComparisonRequest] = []

    def compare(question: comparing.ComparisonRequest) -> Any:
        asked.append(question)
        if isinstance(found, BaseException):
            raise found
        return found, saved

    monkeypatch.setattr(comparing, "compare", compare)
    within_pytest.compare(session, CELLS)
    return asked


def told(session: Any) -> str:
    terminal: Any = Terminal(session.config)
    within_pytest.summary(terminal)
    return "\n".join(terminal.lines)


def test_without_the_option_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session(regress_against=None)
    assert compared(monkeypatch, session, comparison({0: 0.5})) == []
    assert (session.exitstatus, told(session)) == (0, "")
    within_pytest.check(session.config, CELLS * 100)


def test_too_many_cells_for_the_budget_are_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "demand_ref", lambda *_: None)
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
    (question,) = compared(monkeypatch, session, comparison(slower))
    assert (question.base.ref, question.head.ref, question.seed) == ("main", None, 3)
    assert list(question.choose(["torch", "jax"])) == CELLS
    assert session.exitstatus == status
    assert told(session).startswith("== regressions\nboth: python")
    assert ("▲ slower" in told(session)) == bool(slower)


def test_noise_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session()
    compared(monkeypatch, session, comparison(spread=0.1))
    assert session.exitstatus == 0
    assert "inconclusive" in told(session)


def test_what_cannot_be_compared_or_kept_fails_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session()
    compared(monkeypatch, session, CannotStart("nothing of this selection runs on BASE: x"))
    assert session.exitstatus == 1
    assert "--regress-against main: nothing of this selection runs on BASE" in told(session)
    session = Session()
    compared(monkeypatch, session, comparison(), saved=False)
    assert session.exitstatus == 1


def test_an_interrupted_session_is_not_followed_by_a_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session(exitstatus=int(pytest.ExitCode.INTERRUPTED))
    assert compared(monkeypatch, session, comparison({0: 0.5})) == []


def test_a_comparison_that_is_stopped_ends_as_a_stopped_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session: Any = Session()
    compared(monkeypatch, session, comparison() | {"stopped": document.INTERRUPTED})
    assert session.exitstatus == pytest.ExitCode.INTERRUPTED
    assert "stopped by Ctrl-C" in told(session)
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
    (question,) = compared(monkeypatch, session, comparison())
    assert question.folder == tmp_path / "regressions"
    assert question.arguments[:2] == ["main", "--budget=10m"]
    assert {"--framework=torch,jax", "--device=cpu"} <= set(question.arguments)
    assert question.arguments[-1] == "--scenario-path=net.py"


def test_cells_that_cannot_exist_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    session: Any = Session()
    impossible = Cell(
        "backward", "conv_cascade", "-", "small", "torch", "eager", "reforward", "backward", "cpu"
    )
    assert impossible.unsupported()
    monkeypatch.setattr(comparing, "compare", lambda question: (comparison(), True))
    config: Any = Config()
    assert within_pytest._compared(config, [*CELLS, impossible]) == CELLS
    assert document.analysis(comparison()).exit_code == 0
    within_pytest.compare(session, [*CELLS, impossible])
    assert session.exitstatus == 0


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_session_that_selects_nothing_is_compared_by_the_default_cells(
    monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    """It times hundreds, and no budget is enough for them."""
    monkeypatch.setattr(versions, "demand_ref", lambda *_: None)
    hundreds = Selection(framework=(framework,)).demand()
    config: Any = Config(size=None)
    within_pytest.check(config, hundreds)
    chosen = within_pytest._compared(config, hundreds)
    assert chosen == [cell for cell in CELLS if cell.framework == framework]
    for selecting in ({"scenario": ["gan"]}, {"keyword": "gan"}, {"scenario_path": ["net.py"]}):
        config = Config(size=None, **selecting)
        assert within_pytest._compared(config, hundreds[:3]) == hundreds[:3]
