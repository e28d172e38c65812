"""Check what a part that is unfrozen late does to learning-rate schedules, in torch and in JAX.

The code under test is in ``schedule_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it. That every schedule of the release is among them is
held in ``test_whole_kinds.py``.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised

RAISING = {  # what a scheduler raises at its step after a group was added
    "MultiplicativeLR": ("ValueError", "zip"),
    "LambdaLR": ("ValueError", "zip"),
    "ChainedScheduler of LambdaLR": ("ValueError", "zip"),
    "SequentialLR of LambdaLR": ("ValueError", "zip"),
    "CosineAnnealingWarmRestarts": ("ValueError", "zip"),
    "CyclicLR": ("ValueError", "zip"),
    "OneCycleLR": ("KeyError", "max_lr"),
    "SWALR": ("KeyError", "swa_lr"),
    "ReduceLROnPlateau, min_lr a list": ("RuntimeError", "number of param groups"),
}


def test_group_added_at_the_unfreeze_has_no_schedule_behind_it(workers: CheckWorkers) -> None:
    """A group added at the unfreeze, under a schedule that has been running

    Notice: Print every group's rate after the first step that follows the unfreeze.

    Instead: All groups from the start, the frozen ones without gradients. In optax one partition
    for the groups and the schedule behind it, whose state is kept. People ran into it: [pytorch
    79888](https://github.com/pytorch/pytorch/issues/79888), [transformers
    20029](https://github.com/huggingface/transformers/issues/20029).
    """
    torch = workers.demonstrate("torch", "group_added_at_the_unfreeze")
    jax = workers.demonstrate("jax", "group_added_at_the_unfreeze")
    for name, late in torch.items():
        if name in RAISING:
            assert_raised(late["raised"], *RAISING[name])
        else:
            assert late["raised"] is None
            assert late["late_over_early"] > 1.4, name
    assert jax.pop("constant_schedule")["anew_over_once"] == 1.0  # nothing is counted
    for name, restarted in jax.items():
        assert abs(restarted["anew_over_once"] - 1.0) > 0.3, name
