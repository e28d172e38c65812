"""Check that comparing two stored runs states its limits and names cells it cannot compare."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NoReturn

import pytest

from benchmarks.cli import main
from benchmarks.regression import stored_comparison
from results.records.record import RecordError, sample_key
from results.records.storage import save_run
from results.regression import stored_runs
from results.regression.document import FAILED, GONE, NEW, WRONG
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER
from tests.helpers.factories.report_runs import LATER, later, slowed, whole_run


def test_unchanged_code_is_inconclusive_not_equal() -> None:
    # 10 % is what a session may do to a cell, and far beyond what these launches spread by
    result = stored_runs.compare(whole_run(), slowed(later(), 4, 1.10))
    assert {one.verdict for one in result.findings} == {INCONCLUSIVE}
    assert EQUAL not in {shift.verdict for shift in result.shifts}
    assert result.exit_code == 3


def test_every_cell_says_what_it_could_have_seen() -> None:
    result = stored_runs.compare(whole_run(), later())
    assert all(one.why.startswith("nothing under ") for one in result.findings)
    few, many = (stored_runs.needed([0.07] * count)[0] for count in (1, 300))
    assert 0.1 < few < many < 0.5


def test_a_change_far_beyond_what_sessions_do_is_found() -> None:
    result = stored_runs.compare(whole_run(), slowed(later(), 4, 2.0))
    first = result.findings[0]
    assert first.verdict == SLOWER
    assert first.ratios["wall"].estimate == pytest.approx(2.0, rel=0.1)
    assert [one.verdict for one in result.findings[1:]].count(SLOWER) == 0
    assert result.exit_code == 1


def test_a_drift_of_everything_is_no_cell_s_change() -> None:
    result = stored_runs.compare(whole_run(), later(drift=1.8))
    assert {one.verdict for one in result.findings} == {INCONCLUSIVE}
    assert [shift.verdict for shift in result.shifts] == [SLOWER, SLOWER]
    faster = stored_runs.compare(later(drift=1.8), whole_run())
    assert {shift.verdict for shift in faster.shifts} == {FASTER}


def test_a_few_cells_know_less_of_what_all_share() -> None:
    """By hand: the spread of two sessions, and a median's error of as many cells as there are."""
    base, head = whole_run(), later()
    few = [r for r in head.records if r["framework"] == "torch"][:3]
    many = {s.framework: s for s in stored_runs.compare(base, head).shifts}["torch"]
    head.records[:] = few
    (alone,) = stored_runs.compare(base, head).shifts
    width = [
        math.log(s.ratios["wall"].high / s.ratios["wall"].low) / 2 / 1.96 for s in (alone, many)
    ]
    shared = math.sqrt(2) * stored_runs.COMMON_SPREAD
    cell = math.sqrt(2) * stored_runs.CELL_SPREAD
    assert width[0] == pytest.approx(math.hypot(shared, 1.2533 * cell / math.sqrt(3)), rel=0.01)
    assert shared < width[1] < width[0]


def test_where_nothing_shared_can_be_taken_out_it_stays_in_the_interval() -> None:
    base, head = whole_run(), later()
    head.records[:] = head.records[:1]
    (finding,) = [f for f in stored_runs.compare(base, head).findings if f.ratios]
    ratio = finding.ratios["wall"]
    spread = math.sqrt(2) * math.hypot(stored_runs.CELL_SPREAD, stored_runs.COMMON_SPREAD)
    assert math.log(ratio.high / ratio.low) / 2 / 1.96 == pytest.approx(spread, rel=0.01)


def test_cells_that_one_run_lacks_are_named() -> None:
    base, head = whole_run(), later()
    gone, new = head.records.pop(0), base.records.pop(3)
    findings = {sample_key(dict(one.cell)): one for one in stored_runs.compare(base, head).findings}
    assert findings[sample_key(gone)].verdict == GONE
    assert findings[sample_key(new)].verdict == NEW


@pytest.mark.parametrize(
    ("outcome", "verdict"), [("wrong_gradients", WRONG), ("crashed", FAILED), ("timeout", FAILED)]
)
def test_what_fails_now_is_no_gap(outcome: str, verdict: str) -> None:
    head = later()
    head.records[2] |= {"outcome": outcome, "seconds": None}
    head.records[2]["missing"]["seconds"] = "because"
    first = stored_runs.compare(whole_run(), head).findings[0]
    assert (first.verdict, "because" in first.why) == (verdict, True)


def test_runs_of_two_machines_are_never_compared() -> None:
    base, head = whole_run(), later(machine="box-2")
    for run, version in ((base, "2.12.0"), (head, "2.13.0")):
        run.machine.update({"torch": version, "stable": ["cpu", "torch"]})
    with pytest.raises(
        RecordError, match=r"box-1 .* of box-2 \(torch: 2.12.0 and 2.13.0\).*regress"
    ):
        stored_runs.compare(base, head)


def test_runs_with_nothing_in_common_are_refused() -> None:
    base = whole_run(scenarios=("gan",))
    with pytest.raises(RecordError, match="no timed cell in common"):
        stored_runs.compare(base, later())


def test_the_command_compares_with_the_newest_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, head = whole_run(), slowed(later(), 4, 2.0)
    for run in (base, head):
        save_run(run, tmp_path)
    assert main(["regress", "--stored", base.id, f"--results={tmp_path}"]) == 1
    shown = capsys.readouterr().out
    assert f"base: run {base.id} of" in shown
    assert f"head: run {head.id} of" in shown
    assert "▲ slower" in shown
    assert "two saved sessions" in shown
    assert main(["regress", "--stored", base.id, head.id, f"--results={tmp_path}", "--json"]) == 1
    assert main(["regress", "--stored", base.id, f"--results={tmp_path}", "--markdown"]) == 1


def test_the_command_compares_what_is_chosen_of_runs_of_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest run may be another machine's; a cell that was not asked for decides nothing."""
    base, head = whole_run(), later()
    place = next(i for i, r in enumerate(head.records) if r["framework"] == "jax")
    slowed(head, place, 3.0)
    for run in (base, head, whole_run("20261123T010203-ab12cd", machine="box-2")):
        save_run(run, tmp_path)
    arguments = ["regress", "--stored", base.id, f"--results={tmp_path}"]
    assert main(arguments) == 1
    assert f"head: run {head.id} of" in capsys.readouterr().out
    assert main([*arguments, "--framework=torch"]) == 3
    assert "jax" not in capsys.readouterr().out.partition(f"head: run {head.id}")[2]
    assert main([*arguments, "--scenario=gan"]) == 2
    assert "no saved cell has --scenario 'gan'" in capsys.readouterr().err
    assert main([*arguments, "--base-python=python"]) == 2
    assert "no interpreter to choose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stored", "nowhere"], "neither a file nor the id"),
        (["--stored", LATER], "is both sides"),
        (["--stored", LATER, LATER, "x"], "takes one more run"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    save_run(later(), tmp_path)
    assert main(["regress", *arguments, f"--results={tmp_path}"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(ZeroDivisionError("x"), 2), (KeyboardInterrupt(), 130)]
)
def test_a_fault_in_the_weak_way_is_no_regression_either(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def run(*_: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(stored_comparison, "run", run)
    assert main(["regress", "--stored=run"]) == code
