"""A freeze holds: every recipe trains what is trained, and leaves the rest alone bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness import cells, equivalence
from benchmarks.harness.arrays import read_arrays
from benchmarks.harness.checks import Laboratory, Problem, plan
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Optimizer, Scenario, Segment

STEPS = 5
DECAYING = {
    "adam_with_l2": Optimizer("adam", {"lr": 1e-3, "weight_decay": 1e-2}, "together"),
    "adamw": Optimizer("adamw", {"lr": 1e-3, "weight_decay": 1e-2}, "together"),
    "momentum_with_decay": Optimizer(
        "sgd", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-2}, "together"
    ),
}


def spec(problem: Problem) -> Scenario:
    return CATALOGUE[problem[0]]


def recipes(problem: Problem, framework: str) -> list[str]:
    """Those that can exist, without the baseline."""
    variant = spec(problem).variants[problem[1]]
    front = variant.frozen_in_front
    return [r for r in cells.RECIPES[framework][1:] if front or r not in cells.FRONT_ONLY]


def frozen(laboratory: Laboratory, problem: Problem) -> list[str]:
    return list(laboratory.files(problem).facts["frozen"])


def test_every_recipe_gives_the_gradients_it_should_and_no_others(
    laboratory: Laboratory, freezing: Problem, framework: str
) -> None:
    """Absent where frozen, unless the recipe computes it all the same and throws it away."""
    first, unfrozen = laboratory.frameworks(freezing)[0], ("freeze", "unfrozen")
    whole = laboratory.gradients(freezing, first, unfrozen, "gradient", "float64")
    still = frozen(laboratory, freezing)
    allowed = equivalence.tolerance("float32", spec(freezing).kink_margin(*freezing[1:]))
    for recipe in ["unfrozen", *recipes(freezing, framework)]:
        wasted = recipe in cells.WASTEFUL
        found = laboratory.gradients(freezing, framework, ("freeze", recipe), "gradient", "float32")
        difference = equivalence.compare(
            found,
            {n: a for n, a in whole.items() if wasted or n not in still},
            allowed=allowed,
            dtype="float32",
            networks=list(spec(freezing).variants[freezing[1]].networks),
            zero_gradient=spec(freezing).zero_gradient,
        )
        assert difference.problem is None, f"{recipe}: {difference.problem}"


@pytest.mark.parametrize("decaying", DECAYING)
def test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework(
    laboratory: Laboratory, freezing: Problem, decaying: str
) -> None:
    start = read_arrays(laboratory.files(freezing).weights)
    still = frozen(laboratory, freezing)
    ends = {
        (framework, recipe): trained(laboratory, freezing, framework, recipe, decaying)
        for framework in laboratory.frameworks(freezing)
        for recipe in recipes(freezing, framework)
    }
    reference = next(iter(ends.values()))["weights"]
    for (framework, recipe), found in ends.items():
        who = f"{framework} {recipe}"
        for name, array in found["weights"].items():
            if name in still:
                assert np.array_equal(array, start[name]), f"{who}: {name} is frozen and moved"
            elif name not in spec(freezing).zero_gradient:
                assert not np.array_equal(array, start[name]), f"{who}: {name} did not move"
                off = equivalence.relative(array, reference[name])
                assert off <= 1e-9, f"{who}: {name} is off by {off:.2g}"
        # chain_freeze holds, and still remembers what it never applies
        remembered = set(start) if recipe == "chain_freeze" else set(start) - set(still)
        assert set(found["moments"]) == remembered & set(found["weights"]), who
        assert_bytes(found, 1 if decaying == "momentum_with_decay" else 2, who)


def assert_bytes(found: dict[str, Any], moments: int, who: str) -> None:
    """The moments, and a few numbers a tensor at most: counts of steps, a learning rate."""
    expected = moments * sum(array.nbytes for array in found["moments"].values())
    few = 64 * len(found["weights"])
    assert expected <= found["state_bytes"] <= expected + few, who


def trained(
    laboratory: Laboratory, problem: Problem, framework: str, recipe: str, decaying: str
) -> dict[str, Any]:
    segments = (Segment(STEPS, (problem[1],)),)
    optimizer = DECAYING[decaying]
    made = plan(spec(problem), problem[2], segments, optimizer=optimizer, recipe=recipe)
    return laboratory.train(problem, framework, made)
