"""The section on several ranks: its finding, its table, and what it leaves to the others."""

from __future__ import annotations

from typing import Any

from results.records.record import explain
from results.report.build import build
from results.report.collection import collect
from results.report.markdown import markdown
from results.report.sections import several_ranks
from tests.helpers.factories.records import CELL, record, run

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
