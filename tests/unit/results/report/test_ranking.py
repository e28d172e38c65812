"""Test the recommendations, the headlines made of them, and the choice of newest records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from results.records.record import Record
from results.records.samples import samples_path
from results.records.storage import save_run
from results.report.collection import collect, load
from results.report.ranking import (
    first_of_each,
    in_front,
    largest_size,
    largest_size_of_each_scenario,
    recommend,
)
from results.report.sections import headlines
from results.report.sections.headlines import right_or_wrong, sentence
from tests.helpers.factories.records import CELL, record
from tests.helpers.factories.report_runs import whole_run


def compared(
    strategy: str, low: float, estimate: float, high: float, verdict: str, **cell: str
) -> Record:
    ratio = {"estimate": estimate, "low": low, "high": high, "confidence": 0.95, "launches": 6}
    return record({**CELL, "strategy": strategy, **cell}, ratio=ratio, verdict=verdict)


BASELINE = record({**CELL, "strategy": "summed"})


def test_the_baseline_is_in_front_of_what_is_slower() -> None:
    slower = compared("separate_retained", 1.4, 1.5, 1.6, "slower")
    assert in_front([BASELINE, slower]) == ["summed"]


def test_what_is_equal_is_in_front_beside_the_baseline() -> None:
    equal = compared("boundary_split", 0.995, 1.001, 1.006, "equal")
    assert in_front([BASELINE, equal]) == ["summed", "boundary_split"]


def test_what_is_faster_leaves_the_baseline_behind() -> None:
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


def test_an_answer_names_what_is_in_front_most_often_and_sorts_the_others() -> None:
    found = {(a.kind, a.framework): a for a in first_of_each(recommend(whole_run().records))}
    torch = found["backward", "torch"]
    assert torch.best is not None
    assert torch.best.strategy == "summed"
    assert [way.strategy for way in torch.others] == ["boundary_split", "separate_retained"]
    assert torch.others[1].mean_ratio == pytest.approx(1.5, rel=0.01)
    assert torch.others[1].mean_predicted_ratio == pytest.approx(1.45)
    frozen = found["freeze", "jax"]
    assert frozen.best is not None
    assert frozen.best.strategy == "partition"


def test_of_ways_that_cannot_be_told_apart_the_plainest_is_named_and_the_others_as_good() -> None:
    freeze: dict[str, Any] = {"kind": "freeze", "phase": "step", "framework": "jax", "mode": "jit"}
    base = record({**CELL, **freeze, "strategy": "unfrozen"})
    # which of the two has the lower mean is chance
    ways = [
        compared("partition", 0.59, 0.60, 0.61, "faster", **freeze),
        compared("grad_of_trainable", 0.60, 0.61, 0.62, "faster", **freeze),
        compared("all_gradients", 0.97, 0.99, 1.01, "inconclusive", **freeze),
    ]
    (answer,) = recommend([one | {"baseline": "unfrozen"} for one in (base, *ways)])
    assert "".join(sentence(answer)) == (
        "write grad_of_trainable, 0.610 [0.600, 0.620] times the time of unfrozen, in front in 1 "
        "of 1 groups; as good wherever it was timed: partition; all_gradients 0.990 [0.970, 1.01] "
        "times."
    )


def headline_texts(records: list[Record]) -> list[str]:
    return ["".join(line) for line in headlines.paragraphs(records)]


def test_what_is_faster_than_its_baseline_anywhere_is_named() -> None:
    slower = compared("separate_retained", 1.4, 1.5, 1.6, "slower")
    assert "In none of 1 comparisons was another way told to be faster." in headline_texts(
        [BASELINE, slower]
    )
    small = {"size": "seed", "phase": "gradient"}
    exception = compared("reforward", 0.82, 0.86, 0.89, "faster", **small)
    found = headline_texts(
        [BASELINE, slower, record({**CELL, "strategy": "summed", **small}), exception]
    )
    assert found[2] == (
        "Faster than their baseline in 1 of 2 comparisons: reforward 0.860 [0.820, 0.890] "
        "(stacked_cascade n4, seed, torch eager, gradient)."
    )


def test_the_smallest_size_has_an_answer_of_its_own() -> None:
    small = {"size": "seed"}
    both = [
        BASELINE, compared("boundary_split", 0.99, 1.0, 1.01, "equal"),
        record({**CELL, "strategy": "summed", **small}),
        compared("boundary_split", 1.28, 1.32, 1.36, "slower", **small),
    ]  # fmt: skip
    (line,) = [
        one for one in headline_texts(both) if one.startswith("At size seed, where dispatch")
    ]
    assert line.endswith(
        "write summed, in front in 1 of 1 groups; boundary_split 1.32 [1.28, 1.36] times."
    )
    assert not [one for one in headline_texts(both[:2]) if one.startswith("At size")]


def test_the_usual_mode_answers_before_another() -> None:
    both = whole_run(modes={"jax": "eager"}).records + whole_run().records
    assert [a.mode for a in first_of_each(recommend(both)) if a.framework == "jax"] == [
        "jit",
        "jit",
    ]


def test_the_sentence_says_what_to_write_and_what_the_dearest_costs() -> None:
    (torch,) = [
        a for a in recommend(whole_run().records) if (a.kind, a.framework) == ("backward", "torch")
    ]
    text = "".join(sentence(torch))
    beginning = "write summed, in front in 4 of 4 groups; as good wherever it was timed: "
    assert text.startswith(f"{beginning}boundary_split; separate_retained 1.5")
    number = r"\d\.\d+"
    end = rf"{number} \[{number}, {number}\] \(stacked_cascade n\d\)"
    span = rf"{end} to {end} times"
    assert re.search(rf"; separate_retained {span}\.$", text)


def test_an_answer_is_not_made_up_where_nothing_was_compared() -> None:
    alone = [r for r in whole_run().records if r["strategy"] == "summed"]
    (torch, _) = recommend(alone)
    assert torch.best is None
    assert "nothing can be told" in "".join(sentence(torch))


def test_a_wrong_gradient_is_told_first() -> None:
    wrong = record(outcome="wrong_gradients", equivalence="net1.weight: relative difference 1")
    text = "".join(right_or_wrong([BASELINE, wrong]))
    assert text.startswith("Wrong: the gradients of 1 cell ")
    assert "".join(right_or_wrong([BASELINE])).startswith("Right: all 1 cell")


def test_a_cell_that_failed_is_told_beside_what_went_right() -> None:
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
    found = largest_size_of_each_scenario(record({**CELL, **cell}) for cell in cells)
    assert [r["size"] for r in found] == ["large", "medium", "medium"]


def test_a_way_counts_over_every_group_that_it_was_timed_in() -> None:
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
    found = recommend([*both, record({**CELL, "phase": "gradient", "strategy": "summed"})])
    assert [a.phase for a in found] == ["backward", "gradient"]
    assert [a.others[0].mean_ratio for a in found] == pytest.approx([1.5, 1.2])
    assert [a.phase for a in first_of_each(found)] == ["backward"]


def test_of_each_cell_the_newest_record_counts() -> None:
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


def test_runs_of_two_machines_are_never_one() -> None:
    one, other = whole_run(), whole_run("20261122T010203-ab12cd", machine="box-2")
    assert [m.id for m in collect([one, other])] == ["box-1", "box-2"]


def test_samples_are_read_of_no_run_that_a_newer_one_stands_for(tmp_path: Path) -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd", seed=1)
    paths = [save_run(run, tmp_path) for run in (old, new)]
    samples_path(paths[0]).write_bytes(b"no archive, and nobody looks")
    found = load(paths)
    assert [len(run.samples) for run in found] == [0, len(new.records)]
    assert [run.records for run in found] == [old.records, new.records]
