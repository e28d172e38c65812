"""Check what a frozen network still does: state that moves, draws, cached weights.

The code under test is in ``module_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers


def test_train_undoes_eval_of_a_frozen_module(workers: CheckWorkers) -> None:
    """`train()` undoes the `eval()` of what is frozen

    Notice: Run a frozen network twice on one batch: the outputs and its buffers stay the same.

    Instead: Call `eval()` on the frozen part again after each `train()`, or override `train` there.
    People ran into it: [gt-pyg 112](https://github.com/pgniewko/gt-pyg/pull/112).
    """
    torch = workers.demonstrate("torch", "train_undoes_eval")
    jax = workers.demonstrate("jax", "train_undoes_eval")
    assert (len(torch), len(jax)) == (16, 2)
    for name, ways in {**torch, **jax}.items():
        assert max(ways["eval_then_train"].values()) > 0.01, name
        for right in ("eval", "eval_again_after_train"):
            assert set(ways[right].values()) == {0.0}, name


def test_spectral_norm_of_a_frozen_network_drifts(workers: CheckWorkers) -> None:
    """Spectral normalization in a frozen network

    Notice: Compare the weight that it computes with before and after some forward passes.

    Instead: `eval()` for the frozen network. People ran into it: [pytorch
    55368](https://github.com/pytorch/pytorch/issues/55368).
    """
    result = workers.demonstrate("torch", "spectral_norm_of_a_frozen_network")
    assert result["spectral_norm_train"]["weight_moved"] > 0.1
    assert result["parametrization_train"]["weight_moved"] > 1e-3
    for kind in ("spectral_norm", "parametrization"):
        assert result[f"{kind}_eval"]["weight_moved"] == 0.0


def test_cached_weights_outlive_the_steps(workers: CheckWorkers) -> None:
    """Several steps inside one autocast region, or with a jit that closes over the weights

    Notice: The loss is the same at each step, to the last digit.

    Instead: A region for each forward pass; in JAX, weights as an argument. People ran into it:
    [Flow-Factory 186](https://github.com/X-GenGroup/Flow-Factory/pull/186).
    """
    torch = workers.demonstrate("torch", "weights_cached_over_steps")
    jax = workers.demonstrate("jax", "weights_cached_over_steps")
    for losses, wrong in ((torch, "one_region"), (jax, "closed_over")):
        stale = losses.pop(wrong)
        assert stale["first_loss"] == stale["fourth_loss"]
        for right in losses.values():
            assert right["fourth_loss"] < 0.5 * right["first_loss"]


def test_checkpoint_behind_a_frozen_front_and_around_batch_norm(workers: CheckWorkers) -> None:
    """A checkpoint behind a frozen front, or around BatchNorm

    Notice: After the first backward pass, net1's gradients are None; with BatchNorm, it has counted
    more batches than there were.

    Instead: `use_reentrant=False`; and leave BatchNorm out of what is checkpointed. People ran into
    it: [transformers 21381](https://github.com/huggingface/transformers/issues/21381), [pytorch
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
