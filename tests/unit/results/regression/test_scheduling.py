"""Check what a comparison goes on measuring after a look, what it names, and what it promises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.regression import leaving, looks, pace, plan, promises
from benchmarks.regression.pace import Pace, PartTimer, Shape
from results.regression import document as regression
from results.regression import outlook, scheduling, suspects, validation
from results.regression.scheduling import Standing
from results.statistics import look_levels
from results.terminal import regression_table
from tests.helpers.factories.comparisons import comparison


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute the levels from fewer sessions than a user's, so that the tests stay quick."""
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 32_000)
    look_levels.spent_levels.cache_clear()
    yield
    look_levels.spent_levels.cache_clear()


def standing(document: dict[str, Any]) -> Standing:
    found = scheduling.standing_of(document)
    assert found is not None
    return found


def noisy(cell: int, slowdown: float = 0.03, spread: float = 0.05, pairs: int = 24) -> Any:
    """Return a comparison in which one cell is slower and too noisy to be told."""
    document = comparison({cell: slowdown}, pairs=pairs, spread=0.004, taken=(10, pairs))
    rng = np.random.default_rng(5)
    for metric in ("wall", "cpu"):
        rows = np.array(document["cells"][cell]["seconds"][metric])
        noise = rng.permutation(np.linspace(-1.6, 1.6, pairs)) * spread
        rows[:, 1] = rows[:, 0] * np.exp(noise - noise.mean() + math.log1p(slowdown))
        document["cells"][cell]["seconds"][metric] = rows.tolist()
    return document


def test_a_decided_cell_leaves_and_two_stay_as_companions() -> None:
    document = noisy(7)
    now = standing(document)
    assert now.undecided_cells() == [7]
    going_on = scheduling.cells_to_measure(now, [7], [])
    assert len(going_on) == 3  # of jax, the fewest with something in common; torch is done
    assert 7 in going_on
    assert all(place >= 5 for place in going_on)
    assert scheduling.cells_to_measure(now, [7], ["torch"]) == [0, 1, 2, 3, 4, *going_on]
    leaving.leave(document, now, [7], [])
    left = [one.get("left_after") for one in document["cells"]]
    assert [place for place, count in enumerate(left) if count is None] == going_on
    assert set(left) == {None, 24}


def test_a_cell_that_left_keeps_its_verdict_and_the_others_get_more_pairs() -> None:
    whole = comparison({7: 0.05}, pairs=30, taken=(10, 30))
    early = {one.name: one for one in regression.analysis(comparison_cut(whole, 10)).findings}
    for entry in whole["cells"][:5]:
        entry["left_after"] = 10
        entry["seconds"] = {metric: rows[:10] for metric, rows in entry["seconds"].items()}
    for entry in whole["cells"][5:]:  # no control after 20 pairs
        for rows in entry["seconds"].values():
            for row in rows[20:]:
                row[2] = None
    assert validation.document_problem(whole) is None  # `show` reads it again
    late = {one.name: one for one in regression.analysis(whole).findings}
    assert all(late[name] == early[name] for name in late if name.startswith("torch"))
    jax = [name for name in late if name.startswith("jax")]
    assert all(late[n].ratios["wall"] != early[n].ratios["wall"] for n in jax)
    assert late["jax stacked_cascade small jit gradient summed"].verdict == "slower"
    json.dumps(regression_table.document_json(whole, regression.analysis(whole)), allow_nan=False)


def comparison_cut(document: dict[str, Any], pairs: int) -> dict[str, Any]:
    """Return a copy of a comparison as it was after its first look."""
    cut: dict[str, Any] = json.loads(json.dumps(document))
    cut["pairs"], design = pairs, cut["design"]
    design |= {"taken": design["taken"][:1], "shares": design["shares"][:1]}
    for entry in cut["cells"]:
        entry["seconds"] = {m: rows[:pairs] for m, rows in entry["seconds"].items()}
    return cut


def test_the_control_goes_on_until_it_is_known_to_be_inside_the_margin() -> None:
    calm = comparison(spread=0.004)
    assert not scheduling.needs_control(calm, standing(calm), [0, 1, 2])
    moved = comparison(spread=0.004, control={1: 0.022})
    assert scheduling.needs_control(moved, standing(moved), [0, 1, 2])
    assert not scheduling.needs_control(moved, standing(moved), [5, 6, 7])  # not asked
    leaving.leave(calm, standing(calm), [0], [])
    leaving.leave(moved, standing(moved), [1], [])
    assert calm["design"]["control_pairs"] == 24
    assert "control_pairs" not in moved["design"]


# Looks


def test_looks_grow_and_the_last_one_stands_where_the_budget_ends() -> None:
    document: dict[str, Any] = {"design": {"taken": [], "shares": []}, "pairs": 9}
    assert not looks.take_due_look(document, 0.3)
    assert not looks.take_last_look(document, 1.0)  # too early for any verdict
    taken = []
    for pairs in range(10, 31):
        document["pairs"] = pairs
        if looks.take_due_look(document, pairs / 40):
            taken.append(pairs)
    assert taken == document["design"]["taken"] == [10, 13, 17, 23, 30]
    assert looks.take_last_look(document, 1.0)  # after no further pair
    assert document["design"]["taken"] == taken
    assert document["design"]["shares"][-2:] == [23 / 40, 1.0]
    document["pairs"] = 32
    looks.take_last_look(document, 1.0)
    assert document["design"]["taken"][-1] == 32


# What looks slower, and what the budget can find


def test_what_looks_slower_is_named_with_the_budget_that_would_decide_it() -> None:
    document = noisy(7, slowdown=0.04) | {"pair_seconds": [20.0] * 24}
    (suspect,) = suspects.suspects_of(document)
    assert suspect["name"] == "jax stacked_cascade small jit gradient summed"
    assert suspect["slowdown"] == pytest.approx(0.04, abs=0.015)
    assert suspect["pairs"] > 24
    assert suspect["budget_seconds"] == 600 + (suspect["pairs"] - 24) * 20
    shown = regression_table.text(document, regression.analysis(document), 250)
    (line,) = [line for line in shown.splitlines() if line.startswith("looks slower, not told")]
    minutes = math.ceil(suspect["budget_seconds"] / 60)
    assert f"--budget {minutes}m, or --confirm {minutes - 10}m" in line
    assert suspects.suspects_of(comparison({3: 0.05})) == []  # told
    assert suspects.suspects_of({"sides": {}}) == []  # two stored runs


def test_what_is_confirmed_is_chosen_and_kept() -> None:
    document = noisy(7, slowdown=0.04)
    now = standing(document)
    chosen = leaving.choose_to_confirm(document, now)
    assert chosen is not None
    assert document["confirming"]["pairs"] == 24
    assert document["confirming"]["cells"] == [document["cells"][7]["cell"]]
    assert validation.document_problem(document) is None  # `show` reads it again
    assert leaving.undecided(now, chosen) == ([7], [])
    calm = comparison()
    assert leaving.choose_to_confirm(calm, standing(calm)) is None
    assert "confirming" not in calm


def test_what_is_confirmed_is_all_that_is_still_measured() -> None:
    document = noisy(7, slowdown=0.04)
    chosen = leaving.start_confirming(document)
    assert chosen is not None
    assert [one["cell"] for one in chosen.entries] == [document["cells"][7]["cell"]]
    left = [place for place, one in enumerate(document["cells"]) if one.get("left_after")]
    assert left[:5] == [0, 1, 2, 3, 4]  # all of torch; of jax two stay as companions
    assert 7 not in left
    calm = comparison()
    assert leaving.start_confirming(calm) is None
    assert not any(one.get("left_after") for one in calm["cells"])


def test_after_a_look_decided_cells_leave_and_the_others_are_announced() -> None:
    document, announced = noisy(7, slowdown=0.04), list[list[int]]()
    going_on = leaving.all_decided(document, None, lambda _, cells: announced.append(cells))
    assert (going_on, announced) == (False, [[7]])
    assert document["cells"][0].get("left_after") == 24
    last = noisy(7, slowdown=0.04)
    assert not leaving.all_decided(last, None, None)  # nothing follows, so nothing leaves
    assert not any(one.get("left_after") for one in last["cells"])
    chosen = leaving.Chosen([], [])
    assert leaving.all_decided(last, chosen, None)


def test_a_promise_is_made_of_all_cells_first_and_said_again_when_it_changes() -> None:
    document, said = noisy(7, spread=0.08), list[str]()
    told = promises.Promises(document, said.append)
    now = standing(document)
    told.announce(now, [7], 240.0, 20.0)
    told.announce(now, [7], 240.0, 20.0)
    told.announce(now, [7], 239.0, 20.0)
    first, second, _ = document["promises"]
    assert (first["cells"], second["cells"]) == (10, 1)
    assert first["pairs_in_all"] == 36
    assert first["slowdown"] < second["slowdown"]  # nine cells vary less than the tenth
    assert first["low"] <= first["slowdown"] <= first["high"]
    assert len(said) == 2
    assert "with about 36 in all, 4 of 5 slowdowns by" in said[0]
    assert "of any one of 10 cells are found" in said[0]
    assert "for +3 %: --budget" in said[1]  # which this one cannot see
    assert second["seconds_for_3_percent"] > 600
    told.announce(now, [], 240.0, 20.0)
    assert len(document["promises"]) == 3


def test_budget_for_3_percent_counts_the_time_of_confirming_that_has_passed() -> None:
    document = noisy(7, spread=0.08) | {"confirm_seconds": 300.0, "promises": [{}]}
    now = standing(document)
    promises.Promises(document, lambda _: None).announce(now, [7], 240.0, 20.0)
    document["confirming"] = {}  # from here on seconds are left of both times
    promises.Promises(document, lambda _: None).announce(now, [7], 240.0, 20.0)
    _, within, confirming = document["promises"]
    assert confirming["seconds_for_3_percent"] == within["seconds_for_3_percent"] + 300.0


def test_a_promise_that_moved_is_news() -> None:
    one = {"slowdown": 0.03, "low": 0.028, "high": 0.033}
    assert outlook.has_changed(None, one)
    assert not outlook.has_changed(one, one | {"slowdown": 0.032})
    assert outlook.has_changed(one, one | {"slowdown": 0.034})
    assert outlook.has_changed(one, one | {"slowdown": None})
    assert not outlook.has_changed(one | {"slowdown": None}, one | {"slowdown": None})


def test_no_promise_of_a_slowdown_that_no_budget_finds() -> None:
    promise: dict[str, Any] = {"cells": 1, "pairs": 10, "pairs_in_all": 12, "slowdown": None}
    assert "no slowdown of one cell could be found" in promises.sentence(promise, 600.0)
    promise |= {"slowdown": 0.05, "low": 0.04, "high": None, "seconds_for_3_percent": None}
    line = promises.sentence(promise, 600.0)
    assert "5.0 % (4.0 to any)" in line
    assert "cannot be seen here with any budget" in line


# Where the time goes


def test_a_pair_is_foreseen_from_those_before_in_its_shape() -> None:
    whole, half = Shape(2, 10, 3), Shape(1, 3, 2)
    measured = Pace()
    assert measured.expected(whole) == 0.0
    measured.add(whole, 60.0, 6.0)
    assert measured.expected(whole) == 60.0
    measured.add(whole, 21.0, 6.0)  # the first one compiled
    assert measured.expected(whole) == 21.0
    assert measured.expected(half) == pytest.approx(6.0 / 3 + 15.0 / 5)


def test_at_least_half_of_a_pair_is_timing() -> None:
    shape = Shape(2, 10, 3)
    seconds = pace.cell_seconds(12.0, shape, plan.CELL_SECONDS, plan.MOST_CELL_SECONDS)
    assert seconds * 30 == pytest.approx(12.0)
    assert pace.cell_seconds(3.0, shape, 0.25, 0.6) == 0.25
    assert pace.cell_seconds(90.0, shape, 0.25, 0.6) == 0.6


def test_no_pair_is_made_so_long_that_the_first_verdict_is_missed() -> None:
    assert looks.seconds_to_first(4, 70.0) == 10.0
    assert looks.seconds_to_first(10, 70.0) == math.inf
    shape = Shape(2, 2, 3)
    assert pace.cell_seconds(5.0, shape, 0.25, 0.6) == 0.6
    assert pace.cell_seconds(5.0, shape, 0.25, 0.6, allowed=7.4) == pytest.approx(0.4)
    assert pace.cell_seconds(5.0, shape, 0.25, 0.6, allowed=3.0) == 0.25


def test_seconds_of_preparing_are_split_by_what_the_workers_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter([0.0, 10.0, 10.0, 13.0])
    monkeypatch.setattr("benchmarks.regression.pace.time.monotonic", lambda: next(moments))
    timer, spans = PartTimer(), [(1.0, 4.0), (2.0, 5.0)]
    with timer.preparing(spans):
        pass
    assert spans == []
    with timer.spending("timing"):
        pass
    assert {name: part for name, part in timer.seconds.items() if part} == {
        "building": 4.0,
        "checking": 6.0,
        "timing": 3.0,
    }
    assert pace.overhead_of(dict.fromkeys(pace.PARTS, 0.0), timer.seconds) == 10.0


def test_what_the_time_went_to_is_a_line_of_the_result() -> None:
    document = comparison() | {"seconds_by_part": {"starting": 25.0, "timing": 75.0, "other": 0.0}}
    shown = regression_table.markdown(document, regression.analysis(document))
    assert "- time: 100 s: starting 25 %, timing 75 %\n" in shown
