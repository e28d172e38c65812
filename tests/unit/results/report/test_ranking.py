"""Test the recommendations, the headlines made of them, and the choice of newest records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from results.records.record import Record
from results.records.samples import samples_path
from results.records.storage import save_run
from results.report.collection import collect, load
from results.report.model import Table
from results.report.ranking import (
    first_of_each,
    in_front,
    largest_size,
    largest_size_of_each_scenario,
    recommend,
)
from results.report.sections import headlines
from results.report.sections.headlines import right_or_wrong
from tests.helpers.factories.records import CELL, record
from tests.helpers.factories.report_runs import whole_run


def compared(
    strategy: str, low: float, estimate: float, high: float, verdict: str, **cell: str
) -> Record:
    ratio = {"estimate": estimate, "low": low, "high": high, "confidence": 0.95, "launches": 6}
    return record({**CELL, "strategy": strategy, **cell}, ratio=ratio, verdict=verdict)


BASELINE = record({**CELL, "strategy": "summed"})


def test_the_baseline_is_in_front_of_a_slower_strategy() -> None:
    slower = compared("separate_retained", 1.4, 1.5, 1.6, "slower")
    assert in_front([BASELINE, slower]) == ["summed"]


def test_an_equal_strategy_is_in_front_beside_the_baseline() -> None:
    equal = compared("boundary_split", 0.995, 1.001, 1.006, "equal")
    assert in_front([BASELINE, equal]) == ["summed", "boundary_split"]


def test_a_faster_strategy_is_in_front_alone() -> None:
    faster = compared("multi_root", 0.80, 0.85, 0.90, "faster")
    assert in_front([BASELINE, faster]) == ["multi_root"]


def test_what_is_inconclusive_is_not_in_front_however_wide_its_interval() -> None:
    wide = compared("separate_retained", 0.7, 1.2, 2.1, "inconclusive")
    assert in_front([BASELINE, wide]) == ["summed"]


def test_nothing_is_in_front_where_there_are_no_intervals() -> None:
    bare = record({**CELL, "strategy": "separate_retained"})
    assert in_front([BASELINE, bare]) == []


def test_the_unfrozen_network_never_competes_with_recipes_that_freeze() -> None:
    freeze: dict[str, Any] = {"kind": "freeze", "phase": "step"}
    base = record({**CELL, **freeze, "strategy": "unfrozen"}) | {"baseline": "unfrozen"}
    wasteful = compared("optimizer_only", 1.01, 1.05, 1.09, "slower", **freeze)
    detach = compared("detach", 1.02, 1.06, 1.10, "slower", **freeze)
    members = [one | {"baseline": "unfrozen"} for one in (base, wasteful, detach)]
    assert in_front(members) == ["optimizer_only", "detach"]


def test_the_strategy_most_often_in_front_is_recommended_and_the_others_are_sorted() -> None:
    recommended = {(a.kind, a.framework): a for a in first_of_each(recommend(whole_run().records))}
    torch = recommended["backward", "torch"]
    assert torch.best is not None
    assert torch.best.strategy == "summed"
    assert [way.strategy for way in torch.others] == ["boundary_split", "separate_retained"]
    assert torch.others[1].mean_ratio == pytest.approx(1.5, rel=0.01)
    assert torch.others[1].mean_predicted_ratio == pytest.approx(1.45)
    frozen = recommended["freeze", "jax"]
    assert frozen.best is not None
    assert frozen.best.strategy == "partition"


def test_of_equally_fast_recipes_the_simplest_is_recommended_and_the_others_are_as_good() -> None:
    freeze: dict[str, Any] = {"kind": "freeze", "phase": "step", "framework": "jax", "mode": "jit"}
    base = record({**CELL, **freeze, "strategy": "unfrozen"})
    # which of the two has the lower mean is chance
    ways = [
        compared("partition", 0.59, 0.60, 0.61, "faster", **freeze),
        compared("grad_of_trainable", 0.60, 0.61, 0.62, "faster", **freeze),
        compared("all_gradients", 0.97, 0.99, 1.01, "inconclusive", **freeze),
    ]
    cells = [one | {"baseline": "unfrozen"} for one in (base, *ways)]
    assert rows(headlines.table(cells)) == [
        ["Cascades, to freeze a part", "jax jit", "step",
         "grad_of_trainable · gradient of the rest", "1 of 1", "partition · no update by optax",
         "1 inconclusive"],
    ]  # fmt: skip


def rows(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_each_strategy_faster_than_its_baseline_is_named() -> None:
    slower = compared("separate_retained", 1.4, 1.5, 1.6, "slower")
    assert headlines.faster_table([BASELINE, slower]) == []
    found = "Another way than the sum was faster in 0 of 1 comparisons"
    assert headlines.title([BASELINE, slower]) == found
    small = {"size": "seed", "phase": "gradient"}
    exception = compared("reforward", 0.82, 0.86, 0.89, "faster", **small)
    both = [BASELINE, slower, record({**CELL, "strategy": "summed", **small}), exception]
    (table,) = headlines.faster_table(both)
    assert table.title == "Where another way was faster than the sum: 1 of 2"
    way = "reforward · forward again for each loss"
    names = ["stacked_cascade n4", "seed", "gradient", "torch eager"]
    assert rows(table) == [[*names, way, "0.86 ± 0.04 ▼"]]


def test_the_smallest_size_has_a_recommendation_of_its_own() -> None:
    small = {"size": "seed"}
    both = [
        BASELINE, compared("boundary_split", 0.99, 1.0, 1.01, "equal"),
        record({**CELL, "strategy": "summed", **small}),
        compared("boundary_split", 1.28, 1.32, 1.36, "slower", **small),
    ]  # fmt: skip
    found = [row for row in rows(headlines.table(both)) if row[0].startswith("size seed")]
    assert found == [
        ["size seed, backward pass", "torch eager", "backward", "summed · one pass of the sum",
         "1 of 1", "", "1 slower"],
    ]  # fmt: skip
    assert not [row for row in rows(headlines.table(both[:2])) if row[0].startswith("size")]


def test_the_usual_mode_is_recommended_first() -> None:
    both = whole_run(modes={"jax": "eager"}).records + whole_run().records
    assert [a.mode for a in first_of_each(recommend(both)) if a.framework == "jax"] == [
        "jit",
        "jit",
    ]


def test_the_row_names_the_recommended_way_those_as_good_and_the_verdicts_of_the_others() -> None:
    (torch, *_) = rows(headlines.table(whole_run(sizes=("medium",)).records))
    assert torch[:6] == [
        "Cascades", "torch eager", "backward", "summed · one pass of the sum", "2 of 2",
        "boundary_split · cut between networks",
    ]  # fmt: skip
    assert torch[6] == "2 slower"


def test_a_bar_counts_each_verdict_of_the_ways_that_are_not_as_good() -> None:
    records = whole_run(sizes=("medium",)).records
    for one in records:
        if one["strategy"] == "boundary_split" and one["variant"] == "n2":
            one["verdict"] = "slower"
    cell = headlines.table(records).rows[0].cells[6]
    assert list(cell.bar) == [("slower", 3), ("equal", 1)]
    assert cell.text == "3 slower, 1 equal"


def test_a_bar_of_groups_has_no_colour_of_a_verdict() -> None:
    records = whole_run(sizes=("medium",)).records
    kinds = {kind for row in headlines.table(records).rows for kind, _ in row.cells[4].bar}
    assert kinds == {"front", "behind"}


def test_without_a_comparison_there_is_no_recommendation() -> None:
    alone = [r for r in whole_run().records if r["strategy"] == "summed"]
    (torch, _) = recommend(alone)
    assert torch.best is None
    cell = headlines.table(alone).rows[0].cells[3]
    assert (cell.text, cell.kind) == ("not told", "missing")
    assert "no second way" in cell.note


def test_wrong_gradients_come_first_in_the_headlines() -> None:
    wrong = record(outcome="wrong_gradients", equivalence="net1.weight: relative difference 1")
    text = "".join(right_or_wrong([BASELINE, wrong]))
    assert text.startswith("Wrong: the gradients of 1 cell ")
    assert "".join(right_or_wrong([BASELINE])).startswith("Right: all 1 cell")


def test_failed_cells_are_counted_in_the_headlines() -> None:
    text = "".join(right_or_wrong([BASELINE, record(outcome="timeout")]))
    assert "No time for 1 cell: 1 timeout." in text


def test_the_largest_size_goes_by_size_and_not_by_name() -> None:
    names = ("seed", "large", "large_batch32", "medium")
    sizes = [record({**CELL, "size": size}) for size in names]
    assert [r["size"] for r in largest_size(sizes)] == ["large"]


def test_each_way_of_timing_a_network_has_a_largest_size_of_its_own() -> None:
    cells = [
        {"size": "large"}, {"size": "seed"},
        {"size": "medium", "mode": "compile"}, {"size": "seed", "mode": "compile"},
        {"size": "medium", "phase": "gradient"},
    ]  # fmt: skip
    records = largest_size_of_each_scenario(record({**CELL, **cell}) for cell in cells)
    assert [r["size"] for r in records] == ["large", "medium", "medium"]


def test_a_strategy_counts_over_every_group_in_which_it_was_timed() -> None:
    timed = [BASELINE, compared("separate_retained", 1.4, 1.5, 1.6, "slower")]
    bare = [
        record({**CELL, "size": "tiny", "strategy": name})
        for name in ("summed", "separate_retained")
    ]
    (answer,) = recommend([*timed, *bare])
    assert answer.best is not None
    assert (answer.best.front, answer.best.groups) == (1, 2)


def test_phases_are_never_averaged_together() -> None:
    forward = compared("separate_retained", 1.1, 1.2, 1.3, "slower", phase="gradient")
    both = [BASELINE, compared("separate_retained", 1.4, 1.5, 1.6, "slower"), forward]
    recommended = recommend([*both, record({**CELL, "phase": "gradient", "strategy": "summed"})])
    assert [a.phase for a in recommended] == ["backward", "gradient"]
    assert [a.others[0].mean_ratio for a in recommended] == pytest.approx([1.5, 1.2])
    assert [a.phase for a in first_of_each(recommended)] == ["backward"]


def test_the_newest_record_of_each_cell_counts() -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd", drift=1.1, seed=1)
    (machine,) = collect([new, old, old])
    assert [run.id for run in machine.runs] == [old.id, new.id]
    assert machine.records == new.records
    assert len(machine.repeated) == len(new.records)


def test_an_interrupted_run_does_not_stand_for_cells_that_another_measured() -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd")
    new.records[0] = new.records[0] | {"outcome": "interrupted"}
    (machine,) = collect([old, new])
    assert machine.records[0]["outcome"] == "ok"
    assert sum(r in old.records for r in machine.records) >= 1
    assert {r["outcome"] for r in machine.records} == {"ok"}


def test_runs_are_grouped_by_machine() -> None:
    one, other = whole_run(), whole_run("20261122T010203-ab12cd", machine="box-2")
    assert [m.id for m in collect([one, other])] == ["box-1", "box-2"]


def test_samples_are_not_loaded_for_a_run_that_newer_runs_replace(tmp_path: Path) -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd", seed=1)
    paths = [save_run(run, tmp_path) for run in (old, new)]
    samples_path(paths[0]).write_bytes(b"no archive, and nobody looks")
    runs = load(paths)
    assert [len(run.samples) for run in runs] == [0, len(new.records)]
    assert [run.records for run in runs] == [old.records, new.records]
