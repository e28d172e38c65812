"""Count the floating-point operations of a training step while it runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from impl_torch.operation_arguments import flops
from impl_torch.step_changes import dense


class Work(TorchDispatchMode):
    """Count the floating-point operations of matrix products, convolutions and attention.

    Attributes:
        total: all of them.
        zero: those in backward passes in which one of the factors is 0 throughout.
        backward: whether a backward pass runs; `Replay` sets it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total, self.zero, self.backward = 0, 0, False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and count it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        count = flops(func, args, kwargs, result) or 0
        self.total += count
        if count and self.backward and any(map(_all_zero, args)):
            self.zero += count
        return result


def _all_zero(value: Any) -> bool:
    """Return whether this is a tensor of floats that are all 0."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return False
    return not bool(dense(value).any())
