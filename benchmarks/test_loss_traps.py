"""Check what several losses do to scaling and hooks, and what a weight of 0 costs.

The code under test is in ``loss_traps.py`` of each implementation. It runs in a worker process and
returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised


def test_one_scaler_is_updated_once_for_all_losses(workers: CheckWorkers) -> None:
    """One loss scale, and several losses

    Notice: Compare one step with that of the same losses without a scaler.

    Instead: `scaler.scale(loss)` for each, `scaler.unscale_` for each optimizer, clip, step all
    that are trained, and one `scaler.update()` at the end. In JAX divide each gradient by its own
    scale, then clip. People ran into it: [neosr 9](https://github.com/neosr-project/neosr/pull/9),
    [nerfstudio 1919](https://github.com/nerfstudio-project/nerfstudio/pull/1919).
    """
    torch = workers.demonstrate("torch", "one_scaler_and_several_losses")
    jax = workers.demonstrate("jax", "one_scaler_and_several_losses")
    for result in (torch, jax):
        assert result["update_between"]["step_off"] > 0.2
        assert result["clip_before_unscale"]["step_off"] > 0.99
    idle = torch["optimizer_of_a_frozen_network"]["raised"]
    assert_raised(idle, "AssertionError", "No inf checks were recorded")
    assert jax["each_by_its_scale"]["step_off"] < 1e-6


def test_hook_that_is_not_linear_makes_separate_passes_differ(workers: CheckWorkers) -> None:
    """A hook on gradients, and a backward pass for each loss

    Notice: Compare the gradients of separate passes with those of the summed loss.

    Instead: Change or clip gradients once, after the last pass; or run one pass of the sum. People
    ran into it: [non-stationary_texture_syn
    15](https://github.com/jessemelpolio/non-stationary_texture_syn/issues/15).
    """
    torch = workers.demonstrate("torch", "hooks_that_change_gradients")
    jax = workers.demonstrate("jax", "hooks_that_change_gradients")
    for result in (torch, jax):
        assert max(result.pop("after_the_last_pass").values()) < 1e-5
        halved = {place: errors.pop("halve") for place, errors in result.items()}
        assert halved.pop("after_accumulation", 1.0) > 0.1
        assert max(halved.values()) < 1e-5
        assert min(min(errors.values()) for errors in result.values()) > 0.1
    assert set(torch) == {"parameter", "after_accumulation", "boundary", "module"}


def test_loss_weighted_zero_costs_its_full_price(workers: CheckWorkers) -> None:
    """A loss weighted 0

    Notice: A step is as slow as with the loss, and weights that only it reaches still move.

    Instead: Leave the loss out of the sum while its weight is 0, in JAX by `lax.cond` or by another
    function to compile. People ran into it: transfuser, pull request 335.
    """
    torch = workers.demonstrate("torch", "loss_weighted_zero")
    jax = workers.demonstrate("jax", "loss_weighted_zero")
    for result in (torch, jax):
        left_out = result.pop("left_out")
        assert left_out["products"] == pytest.approx(5.0, abs=0.5)
        assert left_out["net2_moved"] == 0.0
        for wrong in result.values():
            assert wrong["products"] == pytest.approx(11.0, abs=0.5)
            assert wrong["net2_moved"] > 0.0
