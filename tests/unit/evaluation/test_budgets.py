"""Check that whole comparisons are replayed as the command would make them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.evaluation.trial import budgets
from benchmarks.evaluation.trial.budgets import Noise
from results.statistics import look_levels


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute the levels from fewer sessions, so that the tests stay quick."""
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 16_000)
    look_levels.spent_levels.cache_clear()
    yield
    look_levels.spent_levels.cache_clear()


def noise(spread: float) -> Noise:
    """Return launches of four cells of each framework, of normal noise."""
    drawn = np.random.default_rng(1).normal(0, spread / np.sqrt(2), (30, 3, 8))
    return Noise("made", {"wall": drawn, "cpu": drawn})


@pytest.mark.smoke
def test_a_slowdown_is_found_and_what_is_decided_leaves() -> None:
    document = budgets.replayed(noise(0.01), [1], {3: 0.05})
    assert budgets.calls_slower(document, 3)
    assert not budgets.calls_slower(document, 4)
    assert document["promises"][0]["slowdown"] < 0.03
    assert document["design"]["control_pairs"] <= document["pairs"]
    assert not budgets.alarmed(budgets.replayed(noise(0.01), [2], {}))


@pytest.mark.smoke
def test_a_noisy_comparison_uses_all_of_its_budget_and_then_what_confirms() -> None:
    alone = budgets.replayed(noise(0.12), [3], {3: 0.09})
    assert alone["design"]["shares"][-1] == 1.0
    assert alone["design"]["taken"][-1] == alone["pairs"]
    document = budgets.replayed(noise(0.12), [3], {3: 0.09}, confirm=300.0)
    assert document["confirming"]["pairs"] >= alone["pairs"]
    assert document["pairs"] > document["confirming"]["pairs"]
    confirmed = [one for one in document["cells"] if not one.get("left_after")]
    assert 0 < len(confirmed) < 10
    assert document["cells"][3] in confirmed
    shares = document["design"]["shares"]
    assert 600 / 900 in shares  # the budget ended there, with α left for confirming
    assert shares[-1] <= 1.0


def test_unchanged_comparisons_alarm_in_no_more_than_one_of_a_hundred() -> None:
    alarms = sum(budgets.alarmed(budgets.replayed(noise(0.03), [4, i], {})) for i in range(300))
    assert alarms <= 8  # of 3 expected at most; more than 8 come once in 300 times
