"""Check what selecting parameters by place or by module does in torch and in JAX.

The code under test is in ``selection_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def test_layer_picked_by_place_may_hold_no_parameter(workers: CheckWorkers) -> None:
    """A learning rate for a layer that turns out to be a ReLU

    Notice: Count the parameters of each group: two layers with weight and bias are four tensors,
    and here there are two.

    Instead: Select by name, and refuse a selection that holds no parameter, layer by layer: a group
    that is not empty may still lack one of the layers that it was meant to hold.
    """
    torch = workers.demonstrate("torch", "layers_picked_by_place")
    jax = workers.demonstrate("jax", "layers_picked_by_place")
    for result in (torch, jax):
        wrong, right = result["places 0 and 3"], result["places 0 and 4"]
        assert wrong == pytest.approx({"first": 0.01, "last": 0.001}, rel=1e-4)
        assert right == pytest.approx({"first": 0.01, "last": 0.01}, rel=1e-4)
        assert_raised(result["refused"]["raised"], "ValueError", "place 3 .*holds no parameter")


def test_weights_set_by_apply_reach_what_is_frozen(workers: CheckWorkers) -> None:
    """Initializing all modules draws frozen weights anew

    Notice: Copy the frozen weights when they are loaded, and compare bit for bit before training.

    Instead: Set weights first and load pretrained ones afterwards, or apply to the new part alone.
    """
    torch = workers.demonstrate("torch", "weights_set_by_apply")
    jax = workers.demonstrate("jax", "weights_set_by_apply")
    for moved in (torch, jax):
        assert min(moved["on_both"].values()) > 0.1
        assert moved["on_net2"]["net1_moved"] == 0.0 < moved["on_net2"]["net2_moved"]


def test_optimizer_state_of_another_phase_is_loaded_by_place(workers: CheckWorkers) -> None:
    """An optimizer's saved state, once something else is frozen

    Notice: Compare the names of what is trained with those of what was, before loading. The shapes
    fit, and the first step is wrong.

    Instead: Save and load moments by the names of the parameters. Or keep one optimizer over
    everything, which skips what has no gradient in torch, and in JAX is `optax.partition`. People
    ran into it: [pytorch 34660](https://github.com/pytorch/pytorch/issues/34660),
    [self-critical.pytorch 174](https://github.com/ruotianluo/self-critical.pytorch/issues/174).
    """
    torch = workers.demonstrate("torch", "optimizer_state_of_another_phase")
    jax = workers.demonstrate("jax", "optimizer_state_of_another_phase")
    silent = [torch[way] for way in ("by_place", "by_place_with_names")]
    silent += [jax[way] for way in ("as_a_list", "as_flat_leaves")]
    for wrong in silent:
        assert wrong["raised"] is None
        assert wrong["step_off"] > 0.5
    assert torch["by_name"] == {"raised": None, "step_off": 0.0}
    assert_raised(jax["keyed_by_name"]["raised"], "ValueError", "Dict key mismatch|structure")
