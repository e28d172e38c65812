"""Check what looks like freezing, or like one update, and is not.

The code under test is in ``update_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

import math

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers


def test_mask_of_the_decay_alone_freezes_nothing(workers: CheckWorkers) -> None:
    """A mask of the decay, and decay behind a partition

    Notice: Compare the frozen weights before and after a step, bit for bit.

    Instead: `optax.partition` around the whole optimizer, its decay included; in torch
    `requires_grad_(False)`, and decay of what is trained alone. People ran into it: [optax
    494](https://github.com/google-deepmind/optax/issues/494), [optax
    1567](https://github.com/google-deepmind/optax/issues/1567).
    """
    torch = workers.demonstrate("torch", "decay_that_looks_like_freezing")
    jax = workers.demonstrate("jax", "decay_that_looks_like_freezing")
    for result, mask, behind in (
        (torch, "group_without_decay", "decay_by_hand"),
        (jax, "mask_of_adamw", "decay_behind_partition"),
    ):
        assert result.pop(mask)["net1_moved"] == pytest.approx(0.1, rel=1e-3)
        assert result.pop(behind)["net1_moved"] == pytest.approx(0.1 * 0.1 * 2.0, rel=1e-3)
        assert result
        for right in result.values():
            assert right["net1_moved"] == 0.0 < right["net2_moved"]


def test_gradient_stopped_in_a_constructor_is_not_stopped(workers: CheckWorkers) -> None:
    """A gradient stopped in a constructor

    Notice: Print the gradient of what should be frozen: it is not 0.

    Instead: Stop it where the weight is used, in `__call__` or `forward`; or keep the weight as a
    buffer, in nnx as a `Variable` of another type than `Param`. People ran into it: [equinox
    31](https://github.com/patrick-kidger/equinox/issues/31).
    """
    torch = workers.demonstrate("torch", "gradient_stopped_in_a_constructor")
    jax = workers.demonstrate("jax", "gradient_stopped_in_a_constructor")
    for result in (torch, jax):
        assert result["in_the_constructor"]["gradient"] > 1.0
    assert torch["where_it_is_used"] == torch["as_a_buffer"] == {"gradient": None}
    assert jax["where_it_is_used"] == {"gradient": 0.0}  # zeros, not absent
    assert jax["of_another_type"] == {"gradient": None}


def test_clipping_inside_a_partition_clips_each_part(workers: CheckWorkers) -> None:
    """Clipping by a global norm, part by part

    Notice: Compute the norm of the whole update: it is above the bound.

    Instead: Clip once, in front of the partition, over all that is trained. People ran into it:
    [marin 6160](https://github.com/marin-community/marin/pull/6160).
    """
    torch = workers.demonstrate("torch", "clipping_inside_a_partition")
    jax = workers.demonstrate("jax", "clipping_inside_a_partition")
    for result in (torch, jax):
        assert result["inside"]["norm"] == pytest.approx(math.sqrt(2.0), rel=1e-4)
        assert result["inside"]["cosine"] < 0.9
        assert result["in_front"]["norm"] == pytest.approx(1.0, rel=1e-4)
        assert result["in_front"]["cosine"] == pytest.approx(1.0, abs=1e-5)


def test_multi_steps_over_two_losses_halves_their_sum(workers: CheckWorkers) -> None:
    """Gradients of two losses, accumulated as if they were two batches

    Notice: Compare the update with that of the summed loss: it is half of it.

    Instead: Sum the losses. Or `MultiSteps(..., use_grad_mean=False)`; torch's `.grad` adds up, and
    needs no division.
    """
    torch = workers.demonstrate("torch", "losses_accumulated_over_calls")
    jax = workers.demonstrate("jax", "losses_accumulated_over_calls")
    for result, wrong in ((torch, "each_divided_by_two"), (jax, "MultiSteps")):
        assert result.pop(wrong)["update_over_summed"] == pytest.approx(0.5, rel=1e-4)
        assert len(result) == 2
        for right in result.values():
            assert right["update_over_summed"] == pytest.approx(1.0, rel=1e-4)


def test_head_replaced_under_an_optimizer_inherits_its_moments(workers: CheckWorkers) -> None:
    """A head that is replaced under its optimizer

    Notice: In torch the new head does not move; in nnx its first step is not one of Adam's first
    steps, which are as long as the rate.

    Instead: A new optimizer, or in torch a group for the new parameter. Clearing the moments of a
    running Adam is not enough: its count of steps goes on.
    """
    torch = workers.demonstrate("torch", "head_replaced_under_an_optimizer")
    jax = workers.demonstrate("jax", "head_replaced_under_an_optimizer")
    assert torch["old_optimizer"]["step_off"] == 1.0  # no step at all
    assert torch["old_optimizer_new_values"]["step_off"] > 1.0
    assert torch["group_added"] == torch["new_optimizer"] == {"step_off": 0.0}
    inherited = torch["old_optimizer_new_values"]["step_off"]
    assert jax["old_optimizer"]["step_off"] == pytest.approx(inherited, rel=1e-3)
    assert jax["moments_cleared_but_not_the_count"]["step_off"] > 0.2
    assert jax["new_optimizer"] == {"step_off": 0.0}
