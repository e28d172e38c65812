"""Check what hooks on gradients do to a backward pass for each loss.

The code under test is in ``hook_traps.py`` of each implementation. It runs in a worker process and
returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it. That every hook of the release is among them is held
in ``test_whole_kinds.py``.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers

ADDED_UP = "Tensor.register_post_accumulate_grad_hook"  # sees the running total
EACH_WEIGHT = "jax.custom_vjp, each weight"


def test_hook_that_is_not_linear_makes_separate_passes_differ(workers: CheckWorkers) -> None:
    """A hook on gradients, and a backward pass for each loss

    Notice: Compare the gradients of separate passes with those of the summed loss.

    Instead: Change or clip gradients once, after the last pass; or run one pass of the sum. People
    ran into it: [non-stationary_texture_syn
    15](https://github.com/jessemelpolio/non-stationary_texture_syn/issues/15).
    """
    torch = workers.demonstrate("torch", "hooks_that_change_gradients")
    jax = workers.demonstrate("jax", "hooks_that_change_gradients")
    assert jax.pop("jax.custom_jvp")["raised"] is not None
    for result in (torch, jax):
        assert max(result.pop("after_the_last_pass").values()) < 1e-5
        for place, errors in result.items():
            halved = errors.pop("halve")
            assert halved > 0.1 if place == ADDED_UP else halved < 1e-5, place
            few = {"drop_small": errors.pop("drop_small")} if place == EACH_WEIGHT else {}
            assert min(errors.values()) > 0.1, place
            assert all(off > 0.02 for off in few.values())
    assert len(torch) == 11
    assert len(jax) == 4
