"""A whole run's estimates: which cell is compared with which, from which samples, and why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from results.estimates.run_estimates import estimate_run
from results.records.record import FIGURES, Record, finish, new_record, sample_key


def cell(strategy: str, framework: str = "torch", **known: Any) -> Record:
    fields = {
        "kind": "backward", "scenario": "stacked_cascade", "variant": "n2", "size": "seed",
        "framework": framework, "mode": "eager", "strategy": strategy, "phase": "backward",
        "device": "cpu", "dtype": "float32", "precision_mode": "ieee",
    }  # fmt: skip
    known = {"outcome": "ok", "missing": dict.fromkeys(FIGURES, "not measured")} | known
    changed = {name: known.pop(name) for name in list(known) if name in fields}
    return new_record(fields | changed, family="cascade", baseline="summed", rerun="x", **known)


def rows(*times: float, launches: int = 6) -> list[list[float]]:
    """Samples of launches, each a little slower than the one before, in equal steps."""
    return [[time * (1 + 0.1 * index) for time in times] for index in range(launches)]


def estimated(*pairs: tuple[Record, Any]) -> list[Any]:
    samples = {sample_key(record): launches for record, launches in pairs if launches}
    return [finish(one) for one in estimate_run([record for record, _ in pairs], samples)]


def test_every_ok_cell_gets_its_time_and_its_ratio_to_the_baseline() -> None:
    base, other = estimated((cell("summed"), rows(1.0)), (cell("separate"), rows(1.5)))
    assert base["ratio"] is None
    assert base["missing"]["ratio"] == "this cell is the baseline"
    assert base["seconds"]["estimate"] == pytest.approx(1.25)
    assert other["ratio"]["estimate"] == pytest.approx(1.5)
    assert other["ratio"]["low"] == pytest.approx(1.5)  # each launch has the same ratio


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"phase": "gradient"}, "its baseline 'summed' is not part of this run"),
        ({"size": "large"}, "its baseline 'summed' is not part of this run"),
        ({"kind": "freeze"}, "its baseline 'summed' is not part of this run"),
        ({"framework": "jax"}, "its baseline 'summed' is not part of this run"),
        ({"scenario": "gan"}, "its baseline 'summed' is not part of this run"),
        ({"variant": "n4"}, "its baseline 'summed' is not part of this run"),
        ({"mode": "compile"}, "its baseline 'summed' is not part of this run"),
        ({"device": "cuda"}, "its baseline 'summed' is not part of this run"),
        ({"dtype": "float64"}, "its baseline 'summed' is not part of this run"),
        ({"precision_mode": "bf16"}, "its baseline 'summed' is not part of this run"),
    ],
)
def test_a_cell_is_never_compared_outside_its_group(change: dict[str, str], why: str) -> None:
    _, other = estimated((cell("summed"), rows(1.0)), (cell("separate", **change), rows(2.0)))
    assert other["ratio"] is None
    assert other["missing"]["ratio"] == why
    assert other["seconds"]["estimate"] == pytest.approx(2.5)


def test_each_ratio_is_that_of_its_own_samples_to_its_own_baselines() -> None:
    other = {"size": "large"}
    pairs = [
        (cell("summed"), rows(1.0)),
        (cell("separate"), rows(1.5)),
        (cell("batched"), rows(3.0)),
        (cell("summed", **other), rows(10.0)),
        (cell("separate", **other), rows(40.0)),
    ]
    records = estimated(*pairs)
    ratios = [one["ratio"] and one["ratio"]["estimate"] for one in records]
    assert ratios == [None, pytest.approx(1.5), pytest.approx(3.0), None, pytest.approx(4.0)]
    assert [one["seconds"]["estimate"] for one in records] == pytest.approx(
        [1.25, 1.875, 3.75, 12.5, 50.0]
    )


def test_a_baseline_that_failed_is_the_reason_for_no_ratio() -> None:
    failed = cell("summed", outcome="wrong_gradients")
    base, other = estimated((failed, rows(1.0)), (cell("separate"), rows(2.0)))
    assert other["ratio"] is None
    assert other["missing"]["ratio"] == "its baseline 'summed' has outcome wrong_gradients"
    assert base["seconds"] is None  # wrong gradients: no number


def test_samples_that_cannot_be_used_are_the_reason_and_stop_nothing() -> None:
    base, short, zero, none = estimated(
        (cell("summed"), rows(1.0)),
        (cell("short"), rows(1.0, launches=5)),
        (cell("zero"), [[0.0]] * 6),
        (cell("none"), None),
    )
    assert "6 launches and the cell 5" in short["missing"]["ratio"]
    assert "above 0 s" in zero["missing"]["ratio"]
    assert "above 0 s" in zero["missing"]["seconds"]
    assert none["missing"]["seconds"] == "no samples of 'none' are kept"
    assert base["seconds"]["launches"] == 6


def test_under_six_launches_the_ends_of_the_interval_are_null_with_the_reason() -> None:
    few = {"launches": 3}
    _, other = estimated((cell("summed"), rows(1.0, **few)), (cell("other"), rows(2.0, **few)))
    assert other["ratio"]["estimate"] == pytest.approx(2)
    for path in ("seconds.low", "seconds.high", "ratio.low", "ratio.high"):
        assert other["missing"][path] == "an interval needs 6 launches; there were 3"


def test_the_prior_is_shared_within_a_framework_and_not_across() -> None:
    rng = np.random.default_rng(7)

    def noisy(spread: float) -> list[list[float]]:
        return [[float(np.exp(rng.normal(0, spread)))] for _ in range(6)]

    quiet = [(cell(f"s{index}"), noisy(0.001)) for index in range(8)]
    alone = estimated((cell("summed"), rows(1.0)), *quiet)
    loud = [(cell(f"s{index}", "jax"), noisy(0.5)) for index in range(8)]
    jax = (cell("summed", "jax"), rows(1.0))
    both = estimated((cell("summed"), rows(1.0)), *quiet, jax, *loud)
    assert [one["ratio"] for one in both[: len(alone)]] == [one["ratio"] for one in alone]


def test_a_figure_that_is_there_loses_its_old_reason() -> None:
    pair = [cell("summed"), cell("separate")]
    done = estimate_run(pair, {sample_key(record): rows(1.0) for record in pair})
    assert "seconds" not in done[1]["missing"]
    assert "ratio" not in done[1]["missing"]
    assert done[1]["missing"]["flops"] == "not measured"


def test_samples_of_no_record_are_refused() -> None:
    with pytest.raises(ValueError, match=r"samples of no record: \['other'\]"):
        estimate_run([cell("summed")], {"other": rows(1.0)})


def test_the_records_given_stay_as_they_were() -> None:
    given = cell("summed")
    estimate_run([given], {sample_key(given): rows(1.0)})
    assert given["seconds"] is None
    assert given["missing"]["seconds"] == "not measured"
