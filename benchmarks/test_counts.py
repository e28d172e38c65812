"""Compare counted FLOPs, saved bytes and optimizer state with numbers worked out by hand.

`linear_cascade`, two Linear layers with a squared error at each output, is the smallest cascade:
every product and every saved tensor can be named. ``test_recipes.py`` does the same for recipes.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Optimizer

LINEAR = "linear_cascade"
ONES = 8  # bytes of the cotangents of two losses, passed on beside the saved tensors

# (phase, strategy): matrix products, then saved activations, saved weights and further saved bytes;
# None where the saved tensors are inside one program and cannot be counted.
# Products: a forward pass takes 2. The backward pass of loss1 takes 1, as net1's input needs no
# gradient; that of loss2 takes 3, for two weights and net2's input; that of their sum takes 3, as
# the two cotangents at net1's output are added before they go on.
# Saved: torch keeps references to x, out1, out2 and both targets; a second forward pass for loss2
# adds another out1. JAX's residuals are copies: x, out1, the two differences, and net2's weight,
# once for both losses. A checkpoint around one Linear layer changes neither: the backward pass
# needs the layer's input alone.
COUNTS: dict[str, dict[tuple[str, str], tuple[int, tuple[int, int, int] | None]]] = {
    "torch": {
        ("backward", "summed"): (3, (5, 0, 0)),
        ("backward", "multi_root"): (3, (5, 0, 0)),
        ("backward", "separate_retained"): (4, (5, 0, 0)),
        ("backward", "separate_grad"): (4, (5, 0, 0)),
        ("backward", "boundary_split"): (3, (5, 0, 0)),
        ("backward", "batched"): (6, (5, 0, 0)),
        ("backward", "functional"): (3, None),
        ("backward", "checkpointed"): (4, (5, 0, 0)),
        ("gradient", "summed"): (5, (5, 0, 0)),
        ("gradient", "reforward"): (7, (6, 0, 0)),
        ("step", "summed"): (5, (5, 0, 0)),
    },
    "jax": {
        ("backward", "summed"): (3, (4, 1, 0)),
        ("backward", "separate_retained"): (4, (4, 1, 0)),
        ("backward", "separate_pullbacks"): (6, (4, 1, 0)),
        ("backward", "boundary_split"): (3, (4, 1, ONES)),
        ("backward", "batched"): (6, (4, 1, 0)),
        ("backward", "checkpointed"): (4, (4, 1, 0)),
        ("gradient", "summed"): (5, None),
        ("gradient", "reforward"): (7, None),
        ("step", "summed"): (5, None),
    },
}


def test_products_and_saved_bytes_are_those_worked_out(
    workers: CheckWorkers, framework: str
) -> None:
    size = CATALOGUE[LINEAR].sizes["small"]
    product = 2 * size["batch"] * size["width"] ** 2
    activation, weight = 4 * size["batch"] * size["width"], 4 * size["width"] ** 2
    launch = workers.open((LINEAR, "-", "small"), framework, "float32")
    for (phase, strategy), (products, saved) in COUNTS[framework].items():
        counted = launch.ask("count", kind="backward", name=strategy, phase=phase)
        assert_products(counted["flops"] / product, products, framework, phase, strategy)
        expected = None if saved is None else saved[0] * activation + saved[1] * weight + saved[2]
        assert counted["residual_bytes"] == expected, (phase, strategy)


def assert_products(
    counted: float, products: int, framework: str, phase: str, strategy: str
) -> None:
    """Compare counted with expected products: XLA counts additions and updates as well."""
    elementwise = {"torch": 0.0, "jax": 0.15 if phase == "step" else 0.03}[framework]
    assert products <= counted <= products + elementwise, (phase, strategy)


def test_what_is_let_go_on_the_way_is_counted_all_the_same(workers: CheckWorkers) -> None:
    """Two tensors that occupy one address after each other count twice.

    `reforward` runs four forward passes through 1, 2, 3 and 4 networks of three layers. Each saves
    its activations and its target; all share x. Memory that one pass frees, the next one uses.
    """
    problem = ("stacked_cascade", "n4", "small")
    size = CATALOGUE[problem[0]].sizes["small"]
    launch = workers.open(problem, "torch", "float32")
    counted = launch.ask("count", kind="backward", name="reforward", phase="gradient")
    activations = 3 * (1 + 2 + 3 + 4) + 1 + 4
    assert counted["residual_bytes"] == activations * 4 * size["batch"] * size["width"]


def test_checkpointed_keeps_what_passes_between_the_networks(workers: CheckWorkers) -> None:
    """x, the outputs of both networks and two targets; without checkpoints four activations more.

    In JAX the residuals are copies, and those of a checkpointed network are its parameters too.
    """
    problem = ("stacked_cascade", "n2", "small")
    size = CATALOGUE[problem[0]].sizes["small"]
    activation = 4 * size["batch"] * size["width"]
    launch = workers.open(problem, "torch", "float32")
    for strategy, activations in (("separate_retained", 9), ("checkpointed", 5)):
        counted = launch.ask("count", kind="backward", name=strategy, phase="gradient")
        assert counted["residual_bytes"] == activations * activation, strategy
    launch = workers.open(problem, "jax", "float32")
    saved, all_saved = (
        launch.ask("count", kind="backward", name=strategy, phase="backward")["residual_bytes"]
        for strategy in ("checkpointed", "separate_retained")
    )
    assert saved < all_saved - 4 * activation


# Bytes of `linear_cascade` at size seed, whose four tensors hold 24 numbers: each moment of all of
# them, and a count of steps, which torch has for each tensor and optax for each optimizer.
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
    """Plain gradient descent has a state of 0 bytes, which is a count and not a missing figure."""
    problem = (LINEAR, "-", "seed")
    optimizer, expected = STATES[name]
    files, launch = workers.files(problem), workers.open(problem, framework, "float32")
    changed: dict[str, Any] = {**files.problem_spec, "optimizer": optimizer.as_dict()}
    try:
        launch.ask("open", facts=changed, weights=files.weights, data=files.data)
        counted = launch.ask("count", kind="backward", name="summed", phase="step")
    finally:
        files.open_in(launch)  # with the optimizer that the other tests expect
    assert counted["optimizer_state_bytes"] == expected[framework]
