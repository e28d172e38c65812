"""Check what costs its full price although nothing comes of it.

The code under test is in ``cost_traps.py`` of each implementation. It runs in a worker process and
returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` has a
section of ``docs/costs.md``, which is made from it.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def products_of(result: dict[str, dict[str, float]]) -> dict[str, int]:
    """Return way → matrix products, rounded: XLA counts the arithmetic of elements as well."""
    return {way: round(one["products"]) for way, one in result.items()}


def test_zeros_that_are_multiplied_are_computed_first(workers: CheckWorkers) -> None:
    """Freezing that saves nothing

    Notice: A step takes as long as with nothing frozen.

    Instead: `requires_grad_(False)`; in JAX `set_to_zero`, or differentiate what is trained alone.
    Where the frozen set changes while it runs, `lax.cond`. People ran into it: [optax
    290](https://github.com/google-deepmind/optax/issues/290), [optax
    993](https://github.com/google-deepmind/optax/issues/993), [big_vision
    14](https://github.com/google-research/big_vision/pull/14), [equinox
    266](https://github.com/patrick-kidger/equinox/issues/266).
    """
    torch = workers.demonstrate("torch", "frozen_front_that_saves_nothing")
    jax = workers.demonstrate("jax", "frozen_front_that_saves_nothing")
    assert products_of(torch) == {
        "nothing_frozen": 17, "rate_0": 17, "gradient_set_to_0": 17, "gradient_times_0": 17,
        "left_out_of_the_optimizer": 17, "requires_grad_false": 11,
    }  # fmt: skip
    assert products_of(jax) == {
        "nothing_frozen": 17, "rate_0": 17, "scale_0": 17, "traced_mask": 17,
        "cond": 11, "set_to_zero": 11,
    }  # fmt: skip
    moved = {f"torch {way}": one["net1_moved"] for way, one in torch.items()}
    moved |= {f"jax {way}": one["net1_moved"] for way, one in jax.items()}
    assert {way for way, far in moved.items() if far > 0.0} == {
        "torch nothing_frozen", "torch gradient_set_to_0", "torch gradient_times_0",
        "jax nothing_frozen",
    }  # fmt: skip


def test_mask_inside_a_scan_saves_nothing(workers: CheckWorkers) -> None:
    """A mask inside a loop over stacked layers

    Notice: The cost does not fall with the number of frozen layers.

    Instead: Two scans, of which the front one is not differentiated.
    """
    result = workers.demonstrate("jax", "mask_inside_a_scan")
    assert products_of(result) == {"mask_inside_one_scan": 18, "two_scans": 12}


def test_each_frozen_set_is_compiled_until_a_limit(workers: CheckWorkers) -> None:
    """Gradual freezing of what is compiled

    Notice: `torch.compile` writes one line, "hit config.recompile_limit", and is slow from then on.
    `fullgraph=True` raises instead.

    Instead: Raise `torch._dynamo.config.recompile_limit` above the number of frozen sets, or
    compile anew at each. In JAX a static argument, for which there is no limit. People ran into it:
    [pytorch 141039](https://github.com/pytorch/pytorch/issues/141039).
    """
    torch = workers.demonstrate("torch", "gradual_freezing_when_compiled")
    jax = workers.demonstrate("jax", "gradual_freezing_when_compiled")
    sets, limit = 12, 8
    assert torch["default"]["graphs"] == torch["fullgraph"]["graphs"] == limit
    assert torch["default"]["ran_eagerly"] == sets - limit
    assert torch["default"]["raised"] is None
    assert_raised(torch["fullgraph"]["raised"], "FailOnRecompileLimitHit", "fullgraph=True")
    right = torch["limit_raised"]
    assert (right["graphs"], right["ran_eagerly"]) == (sets, 0)
    assert jax["static"]["graphs"] == sets
    assert jax["traced"]["graphs"] == 1


def test_checkpoint_costs_nothing_around_what_is_not_differentiated(workers: CheckWorkers) -> None:
    """A checkpoint, and a frozen front

    Notice: Count the forward passes: what is checkpointed runs once more for each backward pass.

    Instead: Checkpoint what is trained and does not fit into memory. Around a frozen front it
    changes nothing; around front and back together the front runs again for nothing. People ran
    into it: [pytorch 96136](https://github.com/pytorch/pytorch/issues/96136).
    """
    torch = workers.demonstrate("torch", "checkpoint_around_a_frozen_front")
    jax = workers.demonstrate("jax", "checkpoint_around_a_frozen_front")
    for result in (torch, jax):
        assert products_of(result) == {"nothing": 11, "net2": 14, "both": 17, "front": 11}


def test_gradient_of_each_loss_costs_a_pass_each_by_parameter_and_none_at_the_boundary(
    workers: CheckWorkers,
) -> None:
    """The gradient of each loss alone

    Notice: A step that balances losses by their gradients (PCGrad, GradNorm) walks the networks
    once for each loss.

    Instead: By the last layer that the losses share; or at its output, where the split backward
    pass has them for nothing: gradients by the value, whose norms are not those by the parameters.
    People ran into it: [Pytorch-PCGrad
    2](https://github.com/WeiChengTseng/Pytorch-PCGrad/issues/2).
    """
    torch = workers.demonstrate("torch", "gradient_of_each_loss_alone")
    jax = workers.demonstrate("jax", "gradient_of_each_loss_alone")
    for result in (torch, jax):
        products = {way: one["products"] for way, one in result.items()}
        assert products["by_boundary"] == pytest.approx(products["summed"], rel=0.01)
        assert products["by_parameter"] > 1.4 * products["summed"]
        assert products["summed"] < products["by_last_layer"] < 1.25 * products["summed"]
