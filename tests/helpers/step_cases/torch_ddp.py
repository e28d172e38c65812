"""Training steps in PyTorch with DistributedDataParallel, in a group of one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cascade_bench import Case
from tests.helpers.step_cases.torch_parts import Parts, everything


def beside_ddp() -> Case:
    """The encoder is wrapped; the head is trained beside it."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    parts.encoder = DistributedDataParallel(parts.encoder)
    return parts.case(parts.task_only(optimizer))


def unfrozen_after_wrapping() -> Case:
    """The encoder is frozen when it is wrapped, and unfrozen afterwards."""
    whole, case = _whole(frozen=True)
    whole.module[0].requires_grad_(True)
    return case


def one_wrapper() -> Case:
    """One wrapper holds everything."""
    return _whole(frozen=False)[1]


def frozen_beside_ddp() -> Case:
    """Freeze the network that stands beside the wrapper."""
    parts = Parts()
    parts.encoder.requires_grad_(False)
    parts.head = DistributedDataParallel(parts.head)
    return parts.case(parts.task_only(torch.optim.SGD(parts.head.parameters(), lr=0.1)))


def reduced_by_hand() -> Case:
    """The head's gradients are reduced by hand."""
    parts = Parts()
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    parts.encoder = DistributedDataParallel(parts.encoder)

    def step() -> None:
        optimizer.zero_grad()
        parts.losses(parts.batch)["task"].backward()
        for parameter in parts.head.parameters():
            dist.all_reduce(parameter.grad)
        optimizer.step()

    return parts.case(step)


def _whole(frozen: bool) -> tuple[Any, Case]:
    """Return a wrapped encoder and head, and a case with the plain step."""
    parts = Parts()
    parts.encoder.requires_grad_(not frozen)
    optimizer = torch.optim.SGD(everything(parts), lr=0.1)
    whole = DistributedDataParallel(nn.Sequential(parts.encoder, parts.head))

    def losses(batch: Any) -> Any:
        return {"task": F.cross_entropy(whole(batch["x"]), batch["y"])}

    def step() -> None:
        optimizer.zero_grad()
        losses(parts.batch)["task"].backward()
        optimizer.step()

    return whole, Case({"whole": whole}, losses, parts.batch, step=step)


WRONG: dict[Any, list[tuple[str, str]]] = {
    beside_ddp: [("CB404", "local")],
    unfrozen_after_wrapping: [("CB404", "local")],
}
# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    one_wrapper: ("CB404",),
    frozen_beside_ddp: ("CB404",),
    reduced_by_hand: ("CB404",),
}
