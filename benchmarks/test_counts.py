"""What is counted, held to numbers worked out by hand: FLOPs, saved bytes, optimizer state.

Row 3 is two Linear layers with a squared error at each output: the smallest cascade there is, so
every product and every saved tensor can be named. What recipes cost stands in test_recipes.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Optimizer

ROW_3 = "linear_cascade"
ONES = 8  # bytes: the cotangents of two losses, handed on beside what is saved

# (phase, strategy): products, then activations, weights and further bytes saved.
# Products: a forward pass is 2. A backward pass of loss1 is 1, for net1's input needs no gradient;
# of loss2 3: two weights and net2's input. One of their sum is 3: net1's two cotangents meet first.
# torch saves references: x, out1, out2 and both targets. Run again, loss2's forward saves another
# out1. JAX's residuals are copies: x, out1, the two differences, and net2's weight; each of two
# pullbacks has an x of its own. Within one program nobody sees what is saved.
COUNTS: dict[str, dict[tuple[str, str], tuple[int, tuple[int, int, int] | None]]] = {
    "torch": {
        ("backward", "summed"): (3, (5, 0, 0)),
        ("backward", "multi_root"): (3, (5, 0, 0)),
        ("backward", "separate_retained"): (4, (5, 0, 0)),
        ("backward", "separate_grad"): (4, (5, 0, 0)),
        ("backward", "boundary_split"): (3, (5, 0, 0)),
        ("backward", "batched"): (6, (5, 0, 0)),
        ("backward", "functional"): (3, None),
        ("gradient", "summed"): (5, (5, 0, 0)),
        ("gradient", "reforward"): (7, (6, 0, 0)),
        ("step", "summed"): (5, (5, 0, 0)),
    },
    "jax": {
        ("backward", "summed"): (3, (4, 1, 0)),
        ("backward", "separate_retained"): (4, (5, 1, 0)),
        ("backward", "separate_pullbacks"): (6, (4, 1, 0)),
        ("backward", "boundary_split"): (3, (4, 1, ONES)),
        ("backward", "batched"): (6, (4, 1, 0)),
        ("gradient", "summed"): (5, None),
        ("gradient", "reforward"): (7, None),
        ("step", "summed"): (5, None),
    },
}


def test_products_and_saved_bytes_are_those_worked_out(
    workers: CheckWorkers, framework: str
) -> None:
    size = CATALOGUE[ROW_3].sizes["small"]
    product = 2 * size["batch"] * size["width"] ** 2
    activation, weight = 4 * size["batch"] * size["width"], 4 * size["width"] ** 2
    launch = workers.at((ROW_3, "-", "small"), framework, "float32")
    for (phase, strategy), (products, saved) in COUNTS[framework].items():
        counted = launch.ask("count", kind="backward", name=strategy, phase=phase)
        assert_products(counted["flops"] / product, products, framework, phase, strategy)
        expected = None if saved is None else saved[0] * activation + saved[1] * weight + saved[2]
        assert counted["residual_bytes"] == expected, (phase, strategy)


def assert_products(found: float, products: int, framework: str, phase: str, strategy: str) -> None:
    """torch counts products and nothing else, XLA adding and updating as well."""
    elementwise = {"torch": 0.0, "jax": 0.15 if phase == "step" else 0.03}[framework]
    assert products <= found <= products + elementwise, (phase, strategy)


def test_what_is_let_go_on_the_way_is_counted_all_the_same(workers: CheckWorkers) -> None:
    """Its memory is handed out again: two storages at one address are two.

    Four forward passes through 1, 2, 3 and 4 networks of three layers, x in all, a target in each.
    """
    problem = ("stacked_cascade", "n4", "small")
    size = CATALOGUE[problem[0]].sizes["small"]
    launch = workers.at(problem, "torch", "float32")
    counted = launch.ask("count", kind="backward", name="reforward", phase="gradient")
    activations = 3 * (1 + 2 + 3 + 4) + 1 + 4
    assert counted["residual_bytes"] == activations * 4 * size["batch"] * size["width"]


# bytes for row 3 at size seed, whose four tensors hold 24 numbers: moments, and counts of steps,
# which torch keeps for each tensor, optax for each optimizer
MOMENT, COUNT = 24 * 4, 4
STATES: dict[str, tuple[Optimizer, dict[str, int]]] = {
    "adam": (
        Optimizer("adam", {"lr": 1e-3}, "together"),
        {"torch": 2 * MOMENT + 4 * COUNT, "jax": 2 * MOMENT + COUNT},
    ),
    "adam_for_each_network": (
        Optimizer("adam", {"lr": 1e-3}, "separate"),
        {"torch": 2 * MOMENT + 4 * COUNT, "jax": 2 * MOMENT + 2 * COUNT},
    ),
    "adamw": (
        Optimizer("adamw", {"lr": 1e-3, "weight_decay": 1e-2}, "together"),
        {"torch": 2 * MOMENT + 4 * COUNT, "jax": 2 * MOMENT + COUNT},
    ),
    "momentum": (
        Optimizer("sgd", {"lr": 1e-3, "momentum": 0.9}, "together"),
        {"torch": MOMENT, "jax": MOMENT},
    ),
    "plain": (Optimizer("sgd", {"lr": 1e-3}, "together"), {"torch": 0, "jax": 0}),
}


@pytest.mark.parametrize("name", STATES)
def test_optimizer_keeps_the_bytes_worked_out(
    workers: CheckWorkers, framework: str, name: str
) -> None:
    """None is null and nothing is 0: plain gradient descent keeps exactly nothing."""
    problem = (ROW_3, "-", "seed")
    optimizer, expected = STATES[name]
    files, launch = workers.files(problem), workers.at(problem, framework, "float32")
    facts: dict[str, Any] = {**files.facts, "optimizer": optimizer.facts()}
    try:
        launch.ask("open", facts=facts, weights=files.weights, data=files.data)
        counted = launch.ask("count", kind="backward", name="summed", phase="step")
    finally:
        files.open_in(launch)  # as the other tests expect it
    assert counted["optimizer_state_bytes"] == expected[framework]
