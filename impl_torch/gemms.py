"""The matrix products inside a cell, found by watching it, to measure the machine's peak with.

A share of a vendor's peak would mix the machine with the library. The peak meant here is what this
framework's own GEMM reaches on operands of the same shapes and layouts.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
PRODUCTS = {aten.mm.default: slice(0, 2), aten.addmm.default: slice(1, 3)}

Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype, torch.device]  # shape, strides, …


class Product:
    """``count`` products of one shape and layout; ``run`` computes one, into fresh memory."""

    def __init__(self, operands: tuple[Layout, Layout], count: int) -> None:
        self.count = count
        (rows, inner), columns = operands[0][0], operands[1][0][1]
        self.flops = 2 * rows * inner * columns
        self._operands = tuple(_like(operand) for operand in operands)

    def run(self) -> torch.Tensor:
        return torch.mm(*self._operands)


class Watch(TorchDispatchMode):
    """Notes each product that is computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[tuple[Layout, Layout]] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in PRODUCTS:
            left, right = (
                (tuple(t.shape), tuple(t.stride()), t.dtype, t.device) for t in args[PRODUCTS[func]]
            )
            self.found[left, right] += 1
        return func(*args, **(kwargs or {}))

    def products(self) -> list[Product]:
        """The products seen so far, equal ones counted together."""
        return [Product(operands, count) for operands, count in self.found.items()]


def _like(layout: Layout) -> torch.Tensor:
    shape, strides, dtype, device = layout
    return torch.empty_strided(shape, strides, dtype=dtype, device=device).normal_()
