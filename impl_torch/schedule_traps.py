"""Demonstrate the traps of learning-rate schedules where a part is unfrozen later, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_schedule_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers
from torch.optim import swa_utils

from impl_torch.backward_traps import _raised

LR, BEFORE, AFTER = 0.1, 4, 4  # the rate at first; steps before the unfreeze, and after it
Build = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Build] = {
    "StepLR": lambda o: schedulers.StepLR(o, step_size=2, gamma=0.5),
    "MultiStepLR": lambda o: schedulers.MultiStepLR(o, [2, 4], gamma=0.5),
    "ExponentialLR": lambda o: schedulers.ExponentialLR(o, gamma=0.7),
    "MultiplicativeLR": lambda o: schedulers.MultiplicativeLR(o, lambda step: 0.7),
    "ConstantLR": lambda o: schedulers.ConstantLR(o, factor=0.5, total_iters=6),
    "LinearLR": lambda o: schedulers.LinearLR(o, 1.0, 0.1, total_iters=8),
    "PolynomialLR": lambda o: schedulers.PolynomialLR(o, total_iters=10),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, T_max=10),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda step: 0.7**step),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=10),
    "CyclicLR": lambda o: schedulers.CyclicLR(o, 0.01, LR, step_size_up=3),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, max_lr=LR, total_steps=10),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, factor=0.5, patience=0),
    "SWALR": lambda o: swa_utils.SWALR(o, swa_lr=0.01, anneal_epochs=8),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ExponentialLR(o, gamma=0.7)]
    ),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o,
        [schedulers.ConstantLR(o, factor=0.5), schedulers.ExponentialLR(o, gamma=0.7)],
        milestones=[2],
    ),
}
# Two that pass on what the scheduler inside them does, and one with a value for each group.
FURTHER: dict[str, Build] = {
    "ChainedScheduler of LambdaLR": lambda o: schedulers.ChainedScheduler(
        [schedulers.LambdaLR(o, lambda step: 0.7**step)]
    ),
    "SequentialLR of LambdaLR": lambda o: schedulers.SequentialLR(
        o,
        [schedulers.ConstantLR(o, factor=0.5), schedulers.LambdaLR(o, lambda step: 0.7**step)],
        milestones=[2],
    ),
    "ReduceLROnPlateau, min_lr=[…]": lambda o: schedulers.ReduceLROnPlateau(
        o, factor=0.5, patience=0, min_lr=[0.0] * len(o.param_groups)
    ),
}
DECLARED = {  # name → why nothing is shown for it
    "LRScheduler": "the base class",
    "_LRScheduler": "the base class, by its old name",
}


def group_added_at_the_unfreeze() -> dict[str, Any]:
    """Unfreeze a part by a group of its own, under a scheduler that has been stepping for a while.

    Schedulers that multiply the current rate begin with the late group at its full rate; those that
    look up what each group started with raise, having never seen this one. The table shows the
    group's rate after 4 further steps, over that of a group that was there from the start.
    """
    return {name: _late_over_early(build) for name, build in {**SCHEDULERS, **FURTHER}.items()}


def schedulers_of_this_release() -> dict[str, Any]:
    """Return the names of all schedulers of this release of torch, of those shown, and declared."""
    modules = vars(schedulers) | vars(swa_utils)
    names = [
        name
        for name, value in modules.items()
        if inspect.isclass(value) and issubclass(value, schedulers.LRScheduler)
    ]
    return {"found": sorted(names), "shown": sorted(SCHEDULERS), "declared": DECLARED}


def _late_over_early(build: Build) -> dict[str, Any]:
    """Return the late group's rate over the early one's, or the error that a step raised."""
    raised = _raised(lambda: _rate(build, late=True))
    ratio = None if raised else _rate(build, late=True) / _rate(build, late=False)
    return {"raised": raised, "late_over_early": ratio}


def _rate(build: Build, *, late: bool) -> float:
    """Return the rate of the unfrozen group after `BEFORE` and `AFTER` steps of the scheduler."""
    net1, net2 = (nn.Parameter(torch.ones(1)) for _ in range(2))
    groups = [{"params": [net2]}] if late else [{"params": [net2]}, {"params": [net1]}]
    optimizer = torch.optim.SGD(groups, lr=LR, momentum=0.9)
    scheduler = build(optimizer)
    for step in range(BEFORE + AFTER):
        if late and step == BEFORE:
            optimizer.add_param_group({"params": [net1], "lr": LR})
        net1.grad, net2.grad = torch.ones(1), torch.ones(1)
        optimizer.step()
        plateau = isinstance(scheduler, schedulers.ReduceLROnPlateau)
        scheduler.step(1.0) if plateau else scheduler.step()
    return float(optimizer.param_groups[1]["lr"])
