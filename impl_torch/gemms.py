"""Collect the matrix products inside a cell, to measure the peak of the machine with them.

The peak is the rate that this framework's own GEMM reaches on operands of the same shapes and
layouts. A share of the vendor's peak would mix the machine's speed with the library's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
PRODUCTS = {aten.mm.default: slice(0, 2), aten.addmm.default: slice(1, 3)}

Layout = tuple[
    tuple[int, ...], tuple[int, ...], torch.dtype, torch.device
]  # shape, strides, dtype, device


class Product:
    """Hold operands of one shape and layout; ``count`` is how often the cell multiplies such.

    ``flops`` is the cost of one product.
    """

    def __init__(self, operands: tuple[Layout, Layout], count: int) -> None:
        self.count = count
        (rows, inner), columns = operands[0][0], operands[1][0][1]
        self.flops = 2 * rows * inner * columns
        self._operands = tuple(_like(operand) for operand in operands)

    def run(self) -> torch.Tensor:
        """Compute one product of the operands, and return it."""
        return torch.mm(*self._operands)


class Watch(TorchDispatchMode):
    """Count each product that is computed while this dispatch mode is active."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[Layout, Layout]] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Count the operation if it is a matrix product, then run it."""
        if func in PRODUCTS:
            left, right = (
                (tuple(t.shape), tuple(t.stride()), t.dtype, t.device) for t in args[PRODUCTS[func]]
            )
            self.counts[left, right] += 1
        return func(*args, **(kwargs or {}))

    def products(self) -> list[Product]:
        """Return the products seen so far, equal ones as one `Product` with their count."""
        return [Product(operands, count) for operands, count in self.counts.items()]


def _like(layout: Layout) -> torch.Tensor:
    """Return a tensor of this shape, strides, dtype and device with random elements."""
    shape, strides, dtype, device = layout
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # what is expanded lies in memory once, and cannot be filled element by element
    held = torch.randn(last + 1 if all(shape) else 0, dtype=dtype, device=device)
    return held.as_strided(shape, strides)
