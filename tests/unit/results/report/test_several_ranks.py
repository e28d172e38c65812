"""The section on several ranks: its finding, its table, and what it leaves to the others."""

from __future__ import annotations

from typing import Any

from results.records.record import explain
from results.report.build import build
from results.report.collection import collect
from results.report.markdown import markdown
from results.report.sections import several_ranks
from results.report.sections.every_cell import RUN_COLUMNS
from tests.helpers.factories.records import CELL, record, run
from tests.helpers.report_pages import tables

RANKED = {**CELL, "kind": "distributed", "mode": "ddp_each_x2", "phase": "gradient"}


def ranked(strategy: str, reduced: int = 0, **known: Any) -> Any:
    made = explain(record({**RANKED, "strategy": strategy}, **known), "not timed")
    counts = {"ranks": 2, "reductions": 2, "reduced_bytes": reduced, "predicted_bytes": reduced}
    return {**made, "baseline": "summed", **({"communication": counts} if reduced else {})}


def section_of(*records: Any) -> Any:
    (machine,) = collect([run(records=list(records))])
    return machine, several_ranks.section(machine)


def test_title_says_how_much_more_is_reduced_than_by_the_sum() -> None:
    _, section = section_of(ranked("summed", 1000), ranked("reforward", 1500))
    assert section.title.endswith("reduces 1.50 times the bytes of the sum")
    _, once = section_of(ranked("summed", 1000), ranked("multi_root", 1000))
    assert once.title == "Every way that was timed in several ranks reduces each gradient once"


def test_table_holds_what_was_reduced_and_why_a_cell_has_no_time() -> None:
    reason = "silently wrong, and so never timed"
    lost = explain(ranked("separate_retained", outcome="unsupported"), reason)
    lost = {**lost, "missing": {**lost["missing"], "seconds": reason}}
    _, section = section_of(ranked("summed", 2048), lost)
    (table, *_) = section.blocks
    first, second = (row.cells for row in table.rows)
    assert [cell.text for cell in first[-3:]] == ["2.00 KiB", "2.00 KiB", "2"]
    assert (second[4].text, second[4].note) == ("unsupported", reason)
    _, failed = section_of(ranked("summed", 2048), {**lost, "outcome": "crashed"})
    assert failed.title == "Of 2 cells of several ranks 1 failed, and have no time"


def test_measured_ratio_stands_beside_the_one_that_flops_and_bytes_predict() -> None:
    parts = {"compute_seconds": 0.3, "exchange_seconds": 0.2}
    far, near = (ratioed(name, parts, 1.5, predicted) for name, predicted in FAR_AND_NEAR)
    _, section = section_of(ranked("summed", 1000), far, near)
    table, told, *_ = section.blocks
    place = table.columns.index("FLOPs and bytes")
    older, _, shown = (row.cells[place] for row in table.rows)
    assert shown.text == "1.60"
    assert shown.note == "alone 300 ms of computing and 200 ms of exchanging"
    assert told == ["Within 10% of the ratio that FLOPs and bytes predict: 1 of 2 in "
                    "torch ddp_each_x2."]  # fmt: skip
    assert older.note == "measured by a version that timed no part alone"


FAR_AND_NEAR = (("separate_retained", 2.0), ("reforward", 1.6))


def ratioed(strategy: str, parts: dict[str, float], measured: float, predicted: float) -> Any:
    """Return the record of a way with a measured ratio and a predicted one."""
    estimate = {"estimate": measured, "low": None, "high": None, "confidence": 0.95, "launches": 2}
    made = ranked(strategy, 1500, ratio=estimate)
    counts = {**made["communication"], **parts, "predicted_ratio": predicted}
    return {**made, "communication": counts}


def test_what_sharded_networks_gather_stands_behind_what_they_reduce() -> None:
    mode = {**RANKED, "mode": "fsdp_each_x2"}
    more = {"gatherings": 3, "gathered_bytes": 3072, "predicted_gathered_bytes": 4096}
    sharded = ranked("reforward", 2048)
    sharded = {**sharded, **mode, "strategy": "reforward",
               "communication": {**sharded["communication"], **more}}  # fmt: skip
    lost = {**ranked("summed", outcome="crashed"), **mode, "strategy": "summed"}
    _, section = section_of(ranked("summed", 2048), sharded, lost)
    whole, parts = section.blocks[:2]
    assert list(parts.columns) == [*whole.columns, *several_ranks.GATHERED]
    assert [cell.text for cell in parts.rows[0].cells[-3:]] == ["3.00 KiB", "4.00 KiB", "3"]
    assert {len(row.cells) for row in parts.rows} == {len(parts.columns)}
    assert {len(row.cells) for row in whole.rows} == {len(whole.columns)}


def test_other_sections_are_of_one_process_alone() -> None:
    machine, section = section_of(record(), ranked("summed", 1000))
    assert [one["kind"] for one in machine.records] == [CELL["kind"]]
    assert len(machine.over_ranks) == 1
    assert several_ranks.section(collect([run(records=[record()])])[0]) is None
    page = markdown(build([run(records=[ranked("summed", 1000)])]))
    assert section.title in page


def test_cells_of_several_ranks_that_two_runs_timed_stand_beside_each_other() -> None:
    seconds = {"estimate": 1e-3, "low": None, "high": None, "confidence": 0.95, "launches": 2}
    records = [ranked(name, 1000, seconds=seconds) for name in ("summed", "reforward")]
    ids = (f"2026112{day}T010203-ab12cd" for day in range(1, 3 + RUN_COLUMNS))
    runs = [run(run_id, records=records, samples={}) for run_id in ids]
    for several in (runs[:2], runs):  # a column a run, and what moved most
        (part,) = build(several).parts
        (section,) = (one for one in part.sections if one.name == "runs")
        names = [row.cells[0].text for table in tables(section) for row in table.rows]
        assert len(names) == len(records)
        assert all("ddp_each_x2" in name for name in names)
