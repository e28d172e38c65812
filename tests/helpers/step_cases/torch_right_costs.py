"""Right training steps in PyTorch that look wasteful, or unsafe in low precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, everything


def by_hand() -> Case:
    """Plain gradient descent without an optimizer."""
    parts = Parts()

    def step() -> None:
        parts.zero_grad()
        total: Any = sum(parts.losses(parts.batch).values())
        total.backward()
        with torch.no_grad():
            for parameter in everything(parts):
                parameter -= 0.1 * parameter.grad

    return parts.case(step)


def touching_everything() -> Case:
    """``0 * sum of all parameters`` keeps DDP content, and costs nothing."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        losses: Any = sum(parts.losses(parts.batch).values())
        (losses + 0.0 * sum(p.sum() for p in everything(parts))).backward()
        optimizer.step()

    return parts.case(step)


def annealed_weight() -> Case:
    """A weight that is 0 in the first step alone."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    calls = [0]

    def step() -> None:
        optimizer.zero_grad()
        losses = parts.losses(parts.batch)
        (losses["code"] + min(1.0, calls[0] / 10) * losses["task"]).backward()
        calls[0] += 1
        optimizer.step()

    return parts.case(step)


def masked_loss() -> Case:
    """No example of this batch counts in the loss: its gradient is 0, and no weight is."""
    parts = Parts()
    mask = torch.zeros(8)

    def losses(batch: Any) -> Any:
        code = parts.encoder(batch["x"])
        each = F.cross_entropy(parts.head(code), batch["y"], reduction="none")
        return {"code": code.square().mean(), "task": (mask * each).sum() / mask.sum().clamp(1)}

    parts.losses = losses
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def infinite_mask() -> Case:
    """A buffer of an attention mask holds −∞ from the start."""
    parts = Parts()
    parts.encoder.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))
    return parts.case(parts.summed(torch.optim.SGD(everything(parts), lr=0.1)))


def a_region_for_each_pass() -> Case:
    """Two steps, each with an autocast region for its forward pass."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)

    def step() -> None:
        for _ in range(2):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                total: Any = sum(parts.losses(parts.batch).values())
            total.backward()
            optimizer.step()

    return parts.case(step)


def region_around_one_step() -> Case:
    """The optimizer steps inside the region, at its end: no forward pass follows."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    take = parts.summed(optimizer)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            take()

    return parts.case(step)


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    by_hand: ("CB201",),
    touching_everything: ("CB304",),
    annealed_weight: ("CB304",),
    masked_loss: ("CB304",),
    infinite_mask: ("CB401",),
    a_region_for_each_pass: ("CB402",),
    region_around_one_step: ("CB402",),
}
