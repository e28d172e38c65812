"""What a user's own file has switched is shown wherever its figures are: once, not once a cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.harness.launches import own_code_notes
from benchmarks.regression import plan
from results.records.record import Run
from results.records.storage import save_run
from results.regression.document import analysis
from results.regression.notes import notes_of_sides
from results.report.build import build
from results.report.markdown import markdown
from results.terminal import regression_table, run_page
from tests.helpers.factories.comparisons import comparison
from tests.helpers.factories.report_runs import LATER, whole_run
from tests.helpers.fake_comparisons import Measure, cell

NOTE = "own_torch.py switched anomaly detection on: its own times and gradients are taken so"
OTHER = "own_jax.py changed jax_enable_x64 from False to True"


def noted(run: Run, *notes: str) -> Run:
    """Return the run with these notes in every record of torch."""
    of_torch = [one for one in run.records if one["framework"] == "torch"]
    assert len(of_torch) > 1
    records = [{**one, "notes": list(notes)} if one in of_torch else one for one in run.records]
    return replace(run, records=records)  # type: ignore[arg-type]


def test_show_says_each_note_once_and_none_where_there_is_none() -> None:
    run = whole_run()
    assert "note:" not in run_page.text(run, "report")
    page = " ".join(run_page.text(noted(run, NOTE, OTHER), "report").split())
    assert [page.count(f"note: {note}") for note in (NOTE, OTHER)] == [1, 1]


def test_report_says_each_note_once_at_the_end_of_what_can_be_believed() -> None:
    run = whole_run()
    assert "| switches |" not in markdown(build([run]))
    page = markdown(build([noted(run, NOTE, OTHER)]))
    (told,) = (one for one in page.splitlines() if one.startswith("| switches |"))
    assert f"| {NOTE}; {OTHER} |" in told.replace("\\_", "_")
    assert page.index("Can it be believed?") < page.index(told)


def test_stored_runs_that_are_compared_say_each_note_once_and_of_which_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, head = noted(whole_run(), NOTE), noted(whole_run(LATER, seed=1), NOTE, OTHER)
    for run in (base, head):
        save_run(run, tmp_path)
    main(["regress", "--stored", base.id, head.id, f"--results={tmp_path}"])
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count(f"note: {NOTE}") == 1
    assert shown.count(f"note: head: {OTHER}") == 1
    main(["regress", "--stored", base.id, head.id, f"--results={tmp_path}", "--markdown"])
    shown = capsys.readouterr().out
    assert shown.count("- Note: ") == 2


def test_note_on_both_sides_is_said_once_and_another_with_its_side() -> None:
    sides = {"base": [NOTE], "head": [NOTE, OTHER]}
    assert notes_of_sides(sides) == [NOTE, f"head: {OTHER}"]
    assert notes_of_sides({"base": [OTHER], "head": []}) == [f"base: {OTHER}"]
    assert notes_of_sides({"base": [], "head": []}) == []


@pytest.mark.slow
def test_notes_of_a_comparison_stand_in_its_document_once(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def notes(owner: str, launches: Any) -> list[str]:
        asked.append(owner)
        assert len(launches) == 1
        return [NOTE, OTHER] if len(asked) % 2 == 0 else [NOTE]  # base is asked before head

    monkeypatch.setattr(own_code_notes, "notes", notes)
    monkeypatch.setattr(plan, "by_owner", lambda cells: {"own.py": cells} if cells else {})
    document = measure(cell())
    assert document["pairs"] > 1
    assert set(asked) == {"own.py"}
    assert document["notes"] == [NOTE, f"head: {OTHER}"]


def test_note_of_a_comparison_is_shown_in_its_table() -> None:
    document = comparison() | {"notes": [NOTE]}
    shown = regression_table.text(document, analysis(document))
    assert " ".join(shown.split()).count(f"note: {NOTE}") == 1
