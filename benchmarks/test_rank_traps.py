"""Check how torch and JAX reduce gradients in several ranks: one behaviour a test, and its name.

The code under test is in ``rank_traps.py`` of each implementation. It runs in processes of its own
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised

ROUNDING = 1e-6


def test_separate_passes_behind_two_wrappers_drive_the_ranks_apart(workers: CheckWorkers) -> None:
    """A DDP wrapper for each network, and a backward pass for each loss

    Notice: After some steps compare a checksum of the weights of two ranks. `no_sync` does not
    help: it is for passes that follow forward passes of their own.

    Instead: Sum the losses: one pass, each gradient reduced once. FSDP2 reduces in every pass, and
    is right. People ran into it: [pytorch 47260](https://github.com/pytorch/pytorch/issues/47260).
    """
    result = workers.demonstrate("torch", "separate_passes_behind_two_wrappers")
    assert result["summed"]["net1_apart"] == 0.0
    assert result["separate"]["net1_apart"] > 0.02


def test_separate_passes_behind_one_wrapper_raise(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "separate_passes_behind_one_wrapper")
    assert result["summed"] is None
    assert_raised(result["separate"], "RuntimeError", "Expected to mark a variable ready only once")


def test_separate_passes_are_right_when_fully_sharded_and_reduce_more_often(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "separate_passes_when_fully_sharded")
    assert all(0.0 <= one["error"] < ROUNDING for one in result.values())
    reduced = {name: one["reduced"] for name, one in result.items()}
    assert reduced == {"summed": 2, "first_then_second": 3, "second_then_first": 3}


def test_weights_changed_behind_a_forward_pass_are_not_seen_when_sharded(
    workers: CheckWorkers,
) -> None:
    """The weights of a frozen network that are changed in place behind FSDP2

    Notice: Compare the network's output before and after a change, as of a teacher that follows by
    a moving average: it does not move. Its parameters, listed before the first pass, do.

    Instead: Call `reshard()` behind each change, or shard with `reshard_after_forward=True`, which
    gathers anew for each forward pass.
    """
    result = workers.demonstrate("torch", "changed_behind_a_forward_pass_when_sharded")
    moved = {way: one["output_moved"] for way, one in result.items()}
    assert moved.pop("changed") == 0.0
    assert len(moved) == 2
    assert all(distance > 0.1 for distance in moved.values()), moved


def test_freezing_after_wrapping_raises_in_the_next_iteration(workers: CheckWorkers) -> None:
    result = workers.demonstrate("torch", "frozen_after_wrapping")
    assert result["before"] is None
    assert_raised(
        result["after"], "RuntimeError", "Expected to have finished reduction in the prior"
    )


def test_part_unfrozen_after_wrapping_is_not_reduced(workers: CheckWorkers) -> None:
    """A part that is unfrozen after the network was wrapped in DDP

    Notice: After some steps compare a checksum of that part's weights in two ranks.

    Instead: Wrap anew after every change of what is frozen. People ran into it:
    [pytorch-lightning 20340](https://github.com/Lightning-AI/pytorch-lightning/issues/20340).
    """
    result = workers.demonstrate("torch", "unfrozen_after_wrapping")
    assert result["wrapped_anew"]["front_apart"] == 0.0
    assert result["not_wrapped_anew"]["front_apart"] > 0.02


def test_mean_of_gradients_in_shard_map_counts_them_twice(workers: CheckWorkers) -> None:
    """A mean, or a sum, of gradients inside `shard_map`

    Notice: Compare one gradient with that of the whole batch on one device: it is too long by the
    number of devices, or by its square.

    Instead: Take the mean of the loss, `jax.lax.pmean`, and differentiate that. Or write
    `check_vma=False`, and reduce the gradients yourself. People ran into it: [jax
    3970](https://github.com/jax-ml/jax/issues/3970).
    """
    result = workers.demonstrate("jax", "mean_of_gradients_in_shard_map")
    times = {name: one["times_the_gradient"] for name, one in result.items()}
    assert times == {
        "pmean of the loss": pytest.approx(1.0),
        "pmean of the gradients, check_vma=False": pytest.approx(1.0),
        "pmean of the gradients": pytest.approx(2.0),
        "psum of the gradients": pytest.approx(4.0),
    }
