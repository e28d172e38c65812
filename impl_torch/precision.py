"""Compute in less than full float32: products in TF32, or the forward pass under bfloat16 autocast.

Parameters, gradients, optimizer state and losses are float32 in every mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from impl_torch.problem import Problem
from impl_torch.runtime import Unavailable

IEEE, TF32, BF16 = "ieee", "tf32", "bf16"
MODES = (IEEE, TF32, BF16)

Function = Callable[..., Any]


@dataclass(frozen=True)
class Precision:
    """Hold the precision mode of one program.

    Attributes:
        mode: one of `MODES`. ``ieee`` is full float32, and leaves every function as it is.
        device: that the program runs on.

    Raises:
        Unavailable: the device has no such mode.
        ValueError: there is no such mode.
    """

    mode: str = IEEE
    device: torch.device = torch.device("cpu")  # noqa: RUF009  # torch's devices never change
    multiplies_in_tf32: ClassVar[bool] = False  # whether `apply` has switched this process to TF32

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"precision mode {self.mode!r}; allowed: {', '.join(MODES)}")
        if self.mode == TF32 and self.device.type != "cuda":
            raise Unavailable(
                f"precision mode 'tf32' was asked for on {self.device.type}: only a GPU multiplies "
                "in TF32; use --device cuda, or --precision-mode bf16"
            )

    @property
    def suffix(self) -> str:
        """Return what is added to the name of a program in this mode; nothing for ``ieee``."""
        return "" if self.mode == IEEE else f" {self.mode}"

    def problem(self, problem: Problem) -> Problem:
        """Return the problem that strategies and recipes are to call in place of this one."""
        return problem

    def within(self, function: Function) -> Function:
        """Return a forward pass as a function that runs under autocast; only ``bf16`` changes it.

        Each call is a region of its own. Autocast caches the weights that it has cast until a
        region ends: in a longer one the weights of an earlier step would be used again.
        """
        if self.mode != BF16:
            return function
        kind = self.device.type

        def cast(*args: Any) -> Any:
            with torch.autocast(kind, dtype=torch.bfloat16):
                return function(*args)

        return cast

    def apply(self) -> None:
        """Set how this process multiplies float32 numbers, before a program compiles or runs.

        A process that never ran a program in TF32 is left as it is.
        """
        wanted = self.mode == TF32
        if wanted != Precision.multiplies_in_tf32:
            torch.backends.fp32_precision = "tf32" if wanted else "ieee"  # type: ignore[attr-defined]
            Precision.multiplies_in_tf32 = wanted
