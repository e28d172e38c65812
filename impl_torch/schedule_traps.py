"""Demonstrate the traps of learning-rate schedules where a part is unfrozen later, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_schedule_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler as schedulers

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
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ExponentialLR(o, gamma=0.7)]
    ),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o,
        [schedulers.ConstantLR(o, factor=0.5), schedulers.ExponentialLR(o, gamma=0.7)],
        milestones=[2],
    ),
}
# base classes, and SWALR, which ends a training; torch names LRScheduler twice
NOT_SCHEDULES = ("LRScheduler", "_LRScheduler", "SWALR")


def group_added_at_the_unfreeze() -> dict[str, Any]:
    """Unfreeze a part by a group of its own, under a scheduler that has been stepping for a while.

    Schedulers that multiply the current rate begin with the late group at its full rate; those that
    look up what each group started with raise, having never seen this one. The table shows the
    group's rate after 4 further steps, over that of a group that was there from the start.
    """
    return {name: {**_late_over_early(build)} for name, build in SCHEDULERS.items()}


def schedulers_of_this_release() -> dict[str, Any]:
    """Return the names of all schedulers that this release of torch has."""
    found = {
        name
        for name, value in vars(schedulers).items()
        if isinstance(value, type) and issubclass(value, (schedulers.LRScheduler,))
    }
    return {"names": sorted((found | {"ReduceLROnPlateau"}) - set(NOT_SCHEDULES))}


def _late_over_early(build: Build) -> dict[str, Any]:
    """Return the late group's rate over the early one's, or the error that a step raised."""
    early = _rate(build, late=False)
    try:
        late = _rate(build, late=True)
    except Exception as error:
        return {
            "raised": {"type": type(error).__name__, "message": str(error)},
            "late_over_early": None,
        }
    return {"raised": None, "late_over_early": late / early}


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
