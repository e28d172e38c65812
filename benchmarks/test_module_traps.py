"""Check what outlives a step, or runs twice in one: cached weights, and what is checkpointed.

The code under test is in ``module_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it. That every such region, compiler and checkpoint of
the release is among them is held in ``test_whole_kinds.py``.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def test_cached_weights_outlive_the_steps(workers: CheckWorkers) -> None:
    """Several steps inside one autocast region, or with a jit that closes over the weights

    Notice: The loss is the same at each step, to the last digit.

    Instead: A region for each forward pass; in JAX, weights as an argument. People ran into it:
    [Flow-Factory 186](https://github.com/X-GenGroup/Flow-Factory/pull/186), [jax
    6905](https://github.com/jax-ml/jax/issues/6905), [flax
    5485](https://github.com/google/flax/pull/5485).
    """
    torch = workers.demonstrate("torch", "weights_cached_over_steps")
    jax = workers.demonstrate("jax", "weights_cached_over_steps")
    stopped = torch["parametrize.cached"].pop("one_region")["raised"]
    assert_raised(stopped, "RuntimeError", "backward through the graph a second time")
    uncached = torch.pop("torch.amp.autocast, cache_enabled=False")
    rights = list(uncached.values())
    for losses, wrong in ((torch, "one_region"), (jax, "closed_over")):
        for name, ways in losses.items():
            stale = ways.pop(wrong, None)
            assert stale is None or stale["first_loss"] == stale["fourth_loss"], name
            assert len(ways) == 1
            rights += ways.values()
    assert len(rights) == 2 + len(torch) + len(jax)
    for right in rights:
        assert right.get("raised") is None
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
    torch = workers.demonstrate("torch", "checkpoint_behind_a_frozen_front")
    assert torch.pop("no checkpoint") == {
        "net1_has_gradient": True, "net2_has_gradient": True, "warned": False,
        "counted_in_1_passes": 1, "counted_in_2_passes": 1,
    }  # fmt: skip
    assert len(torch) == 4
    for way, seen in torch.items():
        reentrant = "use_reentrant=True" in way
        assert seen == {
            "net1_has_gradient": not reentrant, "net2_has_gradient": True, "warned": reentrant,
            "counted_in_1_passes": 2, "counted_in_2_passes": 3,
        }, way  # fmt: skip
    jax = workers.demonstrate("jax", "checkpoint_behind_a_frozen_front")
    counts = {"no checkpoint": 1, "nnx.remat": 1, "jax.checkpoint": 0}
    assert jax == {
        way: {
            "net1_has_gradient": True, "net2_has_gradient": True,
            "counted_in_1_passes": count, "counted_in_2_passes": count,
        }
        for way, count in counts.items()
    }  # fmt: skip
