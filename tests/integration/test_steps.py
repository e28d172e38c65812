"""What a timed step leaves behind: nothing after a reset, and no second copy of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol import cells
from benchmarks.scenarios import FRAMEWORKS
from tests.helpers.lazy_module import LazyModule
from tests.helpers.open_problems import open_problem

pytestmark = pytest.mark.usefixtures("stored_programs")
jax, optax = LazyModule("jax"), LazyModule("optax")
ARRANGEMENTS = ("groups", "separate", "together")
NORMALIZING = ("attention_on_frozen_backbone", "batch_statistics")


def stepped(program: Any) -> dict[str, np.ndarray]:
    """Run one step; return all parameters and buffers after it."""
    program.wait(program.run(program.prepare()))
    return dict(program.updates())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_block_of_steps_begins_at_the_statistics_that_were_loaded(framework: str) -> None:
    """After a reset a step moves weights and BatchNorm's statistics as the very first one did."""
    program = open_problem(framework, *NORMALIZING).program("backward", "summed", "step")
    program.reset()
    first, second = stepped(program), stepped(program)
    program.reset()
    again = stepped(program)
    moving = [name for name in first if "running" in name]
    assert len(moving) == 8
    for name in moving:
        assert not np.array_equal(second[name], first[name]), name
    for name, array in first.items():
        assert np.array_equal(again[name], array), name


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("strategy", ["summed", "separate_retained"])
def test_step_of_jax_overwrites_every_parameter_and_all_state(
    arrangement: str, strategy: str
) -> None:
    """The arrays of before are deleted, whether one program takes the step or several do."""
    program = open_problem("jax", "linear_cascade", "-", arrangement).program(
        "backward", strategy, "step"
    )
    for _ in range(2):  # the first step takes what reset has made, the next what a step returned
        before = jax.tree.leaves((program.parameters, program.state))
        stepped(program)
        assert len(before) >= 4 + 2 * 4 + 1  # parameters, two moments of each, steps counted
        assert [array for array in before if not array.is_deleted()] == []


def optimizers_of(program: Any) -> int:
    """Return how many optimizers a step has; each has a group or a state of its own."""
    if hasattr(program, "steppers"):
        return sum(len(one.param_groups) for one in program.steppers)
    kinds = (optax.ScaleByAdamState, optax.TraceState)
    leaves = jax.tree.leaves(program.state, is_leaf=lambda node: isinstance(node, kinds))
    return sum(isinstance(leaf, kinds) for leaf in leaves)


RECIPES = [(framework, recipe) for framework in FRAMEWORKS for recipe in cells.RECIPES[framework]]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize(("framework", "recipe"), RECIPES)
def test_recipe_of_a_freeze_has_one_optimizer_over_a_single_list(
    framework: str, recipe: str, arrangement: str
) -> None:
    """Whatever the scenario's own arrangement, with one learning rate for all it holds."""
    problem = open_problem(framework, "two_player", "turn_b", arrangement)
    program = problem.program("freeze", recipe, "step")
    if framework == "torch":
        assert len(program.steppers) == 1
    # a rate of 0 is that of a second group
    assert optimizers_of(program) == (2 if recipe == "rate_zero" else 1)


@pytest.mark.parametrize(
    ("arrangement", "count"), [("groups", 2), ("separate", 2), ("together", 1)]
)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_strategy_has_the_optimizers_of_its_scenario(
    framework: str, arrangement: str, count: int
) -> None:
    program = open_problem(framework, "conv_cascade", "-", arrangement).program(
        "backward", "summed", "step"
    )
    assert optimizers_of(program) == count
