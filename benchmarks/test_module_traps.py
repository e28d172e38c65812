"""Check what outlives a step, or runs twice in one: cached weights, and what is checkpointed.

The code under test is in ``module_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers


def test_cached_weights_outlive_the_steps(workers: CheckWorkers) -> None:
    """Several steps inside one autocast region, or with a jit that closes over the weights

    Notice: The loss is the same at each step, to the last digit.

    Instead: A region for each forward pass; in JAX, weights as an argument. People ran into it:
    [Flow-Factory 186](https://github.com/X-GenGroup/Flow-Factory/pull/186).
    """
    torch = workers.demonstrate("torch", "weights_cached_over_steps")
    jax = workers.demonstrate("jax", "weights_cached_over_steps")
    for losses, wrongs in ((torch, ["one_region"]), (jax, ["closed_over", "nnx_closed_over"])):
        for wrong in wrongs:
            stale = losses.pop(wrong)
            assert stale["first_loss"] == stale["fourth_loss"]
        assert len(losses) == 2
        for right in losses.values():
            assert right["fourth_loss"] < 0.5 * right["first_loss"]


def test_checkpoint_behind_a_frozen_front_and_around_batch_norm(workers: CheckWorkers) -> None:
    """A checkpoint behind a frozen front, or around BatchNorm

    Notice: In torch net1's gradients are None after the first backward pass, and a BatchNorm has
    counted more batches than there were. In JAX its statistics are still at their start.

    Instead: `use_reentrant=False`, and leave BatchNorm out of what is checkpointed. In JAX
    `nnx.remat`, which counts each batch once. People ran into it: [transformers
    21381](https://github.com/huggingface/transformers/issues/21381), [pytorch
    7617](https://github.com/pytorch/pytorch/issues/7617).
    """
    result = workers.demonstrate("torch", "checkpoint_behind_a_frozen_front")
    assert result["reentrant"] == {
        "net1_has_gradient": False, "net2_has_gradient": True, "warned": True,
    }  # fmt: skip
    assert result["not_reentrant"] == {
        "net1_has_gradient": True, "net2_has_gradient": True, "warned": False,
    }  # fmt: skip
    for passes in (1, 2):
        assert result[f"batch_norm_kept_{passes}_passes"] == {"counted": 1}
        assert result[f"batch_norm_checkpointed_{passes}_passes"] == {"counted": passes + 1}
    jax = workers.demonstrate("jax", "checkpoint_behind_a_frozen_front")
    counts = {"kept": 1, "nnx.remat": 1, "jax.checkpoint": 0}
    for way, count in counts.items():
        assert jax[way] == {"net1_has_gradient": True, "net2_has_gradient": True}
        for passes in (1, 2):
            assert jax[f"batch_norm_{way}_{passes}_passes"] == {"counted": count}
