"""An encoder and a head with a loss on each, to build training steps from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cascade_bench import Case


def plain_networks() -> tuple[Any, Any]:
    """Return an encoder and a head of Linear layers."""
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16)), nn.Linear(16, 4)


def norm_networks() -> tuple[Any, Any]:
    """Return the same with a BatchNorm in the encoder."""
    encoder, head = plain_networks()
    encoder[1] = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU())
    return encoder, head


class Parts:
    """Hold networks, batch and losses; the losses may be replaced.

    Args:
        networks: builds encoder and head.
    """

    def __init__(self, networks: Callable[[], tuple[Any, Any]] = plain_networks) -> None:
        self.encoder, self.head = networks()
        self.batch = {"x": torch.randn(8, 8), "y": torch.randint(4, (8,))}
        self.losses: Callable[[Any], Any] = self.two_losses

    def two_losses(self, batch: Any) -> dict[str, Tensor]:
        """Return a loss at the code and one at the head's output."""
        code = self.encoder(batch["x"])
        task = F.cross_entropy(self.head(code), batch["y"])
        return {"code": code.square().mean(), "task": task}

    def zero_grad(self) -> None:
        """Drop every gradient."""
        for parameter in everything(self):
            parameter.grad = None

    def summed(self, optimizer: Any) -> Callable[[], None]:
        """Return the step that runs one backward pass of the sum."""

        def step() -> None:
            optimizer.zero_grad()
            total: Any = sum(self.losses(self.batch).values())
            total.backward()
            optimizer.step()

        return step

    def task_only(self, optimizer: Any) -> Callable[[], None]:
        """Return the step that trains by the last loss alone."""

        def step() -> None:
            optimizer.zero_grad()
            list(self.losses(self.batch).values())[-1].backward()
            optimizer.step()

        return step

    def separate(self, optimizer: Any) -> Callable[[], None]:
        """Return the step that runs a backward pass for each loss, through one graph."""

        def step() -> None:
            optimizer.zero_grad()
            *earlier, last = self.losses(self.batch).values()
            for loss in earlier:
                loss.backward(retain_graph=True)
            last.backward()
            optimizer.step()

        return step

    def case(self, step: Callable[..., Any], **options: Any) -> Case:
        """Return the case."""
        networks = {"encoder": self.encoder, "head": self.head}
        return Case(networks, lambda batch: self.losses(batch), self.batch, step=step, **options)


def everything(parts: Parts) -> list[Any]:
    """Return the parameters of both networks, tied ones once."""
    both = [*parts.encoder.parameters(), *parts.head.parameters()]
    return list({id(p): p for p in both}.values())


class _Clip(torch.autograd.Function):
    """Hand a value on, and its gradient at norm 0.01."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * (1e-2 / (grad.norm() + 1e-12))


def clipped(value: Tensor) -> Tensor:
    """Return a value whose gradient is clipped on its way back."""
    return _Clip.apply(value)
