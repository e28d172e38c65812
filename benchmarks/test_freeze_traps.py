"""Check how torch and JAX freeze and optimize: one behaviour a test, and its name.

The code under test is in ``freeze_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def test_zero_gradient_moves_frozen_parameters(workers: CheckWorkers) -> None:
    """A frozen parameter whose gradient is zero

    Notice: Copy the frozen weights when you freeze them, and compare bit for bit after a few steps.
    Gradient norms show nothing: they are 0.

    Instead: Give the optimizer only what is trained. In JAX that is
    `optax.selective_transform(optimizer, freeze_mask=frozen)`, or differentiating by the trained
    part alone. In torch, also leave `zero_grad()` at its default, `set_to_none=True`.
    """
    torch = workers.demonstrate("torch", "zero_gradients_of_frozen_parameters")
    jax = workers.demonstrate("jax", "zero_gradients_of_frozen_parameters")
    for moved in (torch["zero"], jax["optimizer_of_both"]):
        assert moved.pop("sgd") == 0.0
        assert len(moved) == 5
        assert min(moved.values()) > 0.05
    assert jax["optimizer_of_both"] == pytest.approx(torch["zero"], rel=1e-4)
    for right in (torch["none"], jax["optimizer_of_net2"]):
        assert set(right.values()) == {0.0}


def test_stale_gradient_moves_parameters_frozen_after_a_backward_pass(
    workers: CheckWorkers,
) -> None:
    """Freezing leaves the old gradient behind

    Notice: Once net1 is frozen, `all(p.grad is None for p in net1.parameters())` should hold.

    Instead: Clear where you freeze: `net1.requires_grad_(False)`, then `net1.zero_grad()`. Or build
    the optimizer anew from what is trained.
    """
    moved = workers.demonstrate("torch", "stale_gradient_after_freezing")
    assert moved["left"]["net1_moved"] > 0.5
    assert moved["cleared"]["net1_moved"] == 0.0


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_frozen_batch_norm_moves_its_statistics_until_eval(
    workers: CheckWorkers, framework: str
) -> None:
    moved = workers.demonstrate(framework, "frozen_batch_norm_moves_its_statistics")
    assert set(moved) - {"no_grad"} == {"frozen", "eval", "eval_then_train"}
    assert ("no_grad" in moved) == (framework == "torch")
    assert min(way["net2"] for way in moved.values()) > 0.001
    assert moved.pop("eval")["net1"] == 0.0
    assert min(way["net1"] for way in moved.values()) > 0.01


def test_generator_step_fills_discriminator_gradients(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "generator_step_fills_discriminator_gradients")
    assert result["nothing"]["left_by_g"] > 0.1
    assert result["nothing"]["relative_error"] > 0.1
    assert result["zero_grad_before_turn"]["left_by_g"] == result["nothing"]["left_by_g"]
    assert result["zero_grad_before_turn"]["relative_error"] == 0.0
    assert result["freeze_in_turn_of_g"] == {"left_by_g": None, "relative_error": 0.0}


def test_discriminator_graph_raises_after_its_step(workers: CheckWorkers) -> None:
    raised = workers.demonstrate("torch", "discriminator_graph_after_its_step")
    assert_raised(raised["reused"], "RuntimeError", "modified by an inplace operation")
    assert raised["new"] is None


def test_gradients_of_two_players_add_up_until_cleared(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "gradients_of_two_players_add_up")
    a, b = (np.array(result[name]) for name in ("a_alone", "b_alone"))
    assert min(abs(a).min(), abs(b).min()) > 0.1
    np.testing.assert_allclose(result["after_both_turns"], a + b, rtol=1e-6)
    assert result["cleared_before_b"] == result["b_alone"]


def test_masked_alone_lets_frozen_parameters_climb(workers: CheckWorkers) -> None:
    """`optax.masked` alone does not freeze

    Notice: Compare the frozen weights before and after a step: they move by their gradient. With a
    small one the loss may still fall, so the loss alone does not show it.

    Instead: `optax.selective_transform(optimizer, freeze_mask=frozen)`, or `optax.partition` with
    `set_to_zero()` for the frozen label. People ran into it: [optax
    159](https://github.com/google-deepmind/optax/issues/159).
    """
    result = workers.demonstrate("jax", "masked_alone")
    start, climbing = result.pop("no_step")["loss"], result.pop("masked_alone")
    assert climbing["by_its_gradient"]
    assert climbing["net1_moved"] > 0.1
    assert climbing["loss"] > start + 1.0
    assert set(result) == {"masked_then_zero", "partition", "selective_transform"}
    for right in result.values():
        assert right["net1_moved"] == 0.0
        assert right["loss"] < start - 0.5


def test_freeze_must_stand_after_the_optimizer(workers: CheckWorkers) -> None:
    """`optax.freeze` in the wrong place

    Notice: Compare the frozen weights before and after a step: with weight decay they shrink a
    little. Alone, the loss explodes.

    Instead: `optax.chain(optimizer, optax.freeze(frozen))`, with the freeze last. Or
    `optax.selective_transform(optimizer, freeze_mask=frozen)`, which has no order to get wrong.
    """
    result = workers.demonstrate("jax", "freeze_before_after_or_alone")
    start = result["no_step"]["loss"]
    assert result["freeze_then_adamw"]["net1_moved"] > 0.01
    assert result["freeze_alone"]["net1_moved"] == 0.0
    assert result["freeze_alone"]["loss"] > 10.0 * start
    assert result["adamw_then_freeze"]["net1_moved"] == 0.0
    assert result["adamw_then_freeze"]["loss"] < start


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_clipping_by_global_norm_counts_frozen_gradients(
    workers: CheckWorkers, framework: str
) -> None:
    result = workers.demonstrate(framework, "clipping_counts_frozen_gradients")
    assert result["both"] == pytest.approx(3.0 / np.hypot(40.0, 3.0), rel=1e-5)
    assert result["trained_only"] == pytest.approx(1.0, rel=1e-5)


def test_optimizer_of_a_part_drops_gradients_silently_and_the_reverse_raises(
    workers: CheckWorkers,
) -> None:
    """An nnx optimizer drops the gradients it has no parameters for

    Notice: After the first step, check that every network that should train has moved.

    Instead: One filter, used twice: `wrt=part` for the optimizer, and for the gradient
    `argnums=nnx.DiffState(0, part)`, which then does not compute the frozen part's. A misspelt
    filter still trains nothing: check.
    """
    result = workers.demonstrate("jax", "optimizer_of_a_part")
    right = result["gradients of net2, optimizer of net2"]
    assert result["gradients of all, optimizer of net2"] == right
    assert right["raised"] is None
    assert right["net1_moved"] == 0.0 < right["net2_moved"]
    nothing = result["gradients of all, optimizer of a misspelt net"]
    assert nothing == {"raised": None, "net1_moved": 0.0, "net2_moved": 0.0}
    raised = result["gradients of net2, optimizer of all"]["raised"]
    assert_raised(raised, "ValueError", "different numbers of pytree children")


def test_plain_jit_drops_batch_norm_updates(workers: CheckWorkers) -> None:
    """Plain `jax.jit` over an nnx model drops its BatchNorm updates

    Notice: The running statistics are still at their start, mean 0 and variance 1, and evaluation
    normalizes by those.

    Instead: `nnx.jit`. Or split the model outside, merge it inside, and return its state.
    """
    result = workers.demonstrate("jax", "batch_norm_under_plain_jit")
    assert result.pop("jax.jit") == {"mean_moved": 0.0}
    assert set(result) == {"no jit", "nnx.jit", "split and merge"}
    assert min(right["mean_moved"] for right in result.values()) > 0.01


Trajectories = dict[tuple[str, str], NDArray[Any]]


@pytest.fixture(scope="module")
def trajectories(workers: CheckWorkers) -> Trajectories:
    """Return the weights after each step, ``[steps, weights]``, by (framework, optimizer).

    They are float64: in float32 the two Adams are 1e-5 apart, as optax corrects the bias in the
    precision of the moments, torch in that of Python's float.
    """
    return {
        (framework, name): np.array(path)
        for framework in ("torch", "jax")
        for name, path in workers.demonstrate(framework, "optimizer_trajectories").items()
    }


def apart(trajectories: Trajectories, torch: str, jax: str) -> float:
    """Return the largest difference of any weight at any step between torch and JAX.

    Args:
        trajectories: weights after each step, by framework and optimizer.
        torch: name of torch's optimizer.
        jax: name of JAX's optimizer.
    """
    return float(abs(trajectories["torch", torch] - trajectories["jax", jax]).max())


@pytest.mark.parametrize("name", ["gradients", "sgd_nesterov", "adam", "adamw"])
def test_optimizers_of_the_same_settings_go_the_same_way(
    trajectories: Trajectories, name: str
) -> None:
    assert apart(trajectories, name, name) < 1e-13


def test_weight_decay_of_torch_adam_is_l2(trajectories: Trajectories) -> None:
    assert apart(trajectories, "adam_weight_decay", "decayed_weights_then_adam") < 1e-13
    assert apart(trajectories, "adam_weight_decay", "adamw") > 0.1


def test_default_decay_of_adamw_is_a_hundredfold_in_torch(trajectories: Trajectories) -> None:
    assert apart(trajectories, "adamw_default", "adamw_default") > 1e-3
    assert apart(trajectories, "adamw_1e-4", "adamw_default") < 1e-13
    assert apart(trajectories, "adamw_default", "adamw_1e-2") < 1e-13


def test_rmsprop_matches_only_with_decay_and_epsilon_of_torch(trajectories: Trajectories) -> None:
    assert apart(trajectories, "rmsprop", "rmsprop_decay_eps") < 1e-13
    for name in ("rmsprop", "rmsprop_decay", "rmsprop_eps"):
        assert apart(trajectories, "rmsprop", name) > 0.1


def test_adam_over_all_that_requires_gradients_is_adam_over_net1_alone(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "adam_over_what_requires_gradients")
    assert all(end["net2_still"] for end in result.values())
    assert result["net1"] == result["requires_grad"] == result["everything"]
