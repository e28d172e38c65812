"""Make programs for the harness's canaries: checks of the measurement with a known answer.

`Chain` is work of a known amount: a clock must show twice the time for twice the products, and the
harness must notice a call whose work is not waited for. `Gradient` is known by hand: the check of
gradients must accept the right one, and refuse the one that is wrong by a factor.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from impl_torch import layout, runtime
from impl_torch.session import Session

# rows of the square operand: its product takes far longer than the dispatch of a call
SIDE = {"cpu": 256, "cuda": 2048}


class Canaries:
    """Make the programs of the canaries on a session's device and in its dtype."""

    def __init__(self, session: Session) -> None:
        self.device, self.dtype = session.device, session.dtype
        side = SIDE[self.device.type]
        # a reflection: its powers neither overflow nor vanish
        self.operand = torch.eye(side, dtype=self.dtype, device=self.device) - 2 / side

    def synchronous(self) -> str | None:
        """Return the reason why no call returns before its work is done; None where one may.

        The harness cannot check there that it waits for the work.
        """
        if self.device.type == "cpu":
            return "torch on CPU returns when its work is done"
        if os.environ.get("CUDA_LAUNCH_BLOCKING", "0") != "0":
            return "CUDA_LAUNCH_BLOCKING lets no call return before its work is done"
        return None

    def chain(self, count: int, *, waited: bool = True) -> Chain:
        """Return a program of ``count`` matrix products, each of the result before it.

        Unless ``waited``, its `wait` returns at once, which the harness must notice.
        """
        return Chain(self, count, waited)

    def gradient(self, arrays: Mapping[str, NDArray[Any]], scale: float) -> Gradient:
        """Return a program that computes ``scale`` times the gradient of ½‖x wᵀ − t‖² by w.

        A ``scale`` other than 1 makes a wrong gradient, which the harness must refuse. ``arrays``
        are w, x and t in the canonical layout.
        """
        return Gradient(self, arrays, scale)


class Chain:
    """Multiply ``count`` times, each product by the one before, so that no two run in parallel."""

    graphs = 0  # none is compiled while it is timed

    def __init__(self, canaries: Canaries, count: int, waited: bool) -> None:
        self.device, self.operand = canaries.device, canaries.operand
        self.count, self.waited = count, waited

    def prepare(self) -> None:
        """Wait for work that an earlier call may have left behind."""
        runtime.synchronize(self.device)  # an unwaited call may have left work behind

    def run(self, carry: None) -> torch.Tensor:
        """Start the products, and return the last one without waiting for it; see `wait`."""
        value = self.operand
        for _ in range(self.count):
            value = value @ self.operand
        return value

    def wait(self, result: torch.Tensor) -> None:
        """Wait until the products are computed, or return at once if not ``waited``."""
        if self.waited:
            runtime.synchronize(self.device)

    def finished(self) -> bool:
        """Return whether all queued work is done."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Do nothing: there is no state to restore."""


class Gradient:
    """Compute a gradient that can be worked out by hand: (x wᵀ − t)ᵀ x, times ``scale``."""

    def __init__(
        self, canaries: Canaries, arrays: Mapping[str, NDArray[Any]], scale: float
    ) -> None:
        self.device, self.scale = canaries.device, scale
        dtype = canaries.dtype
        self.w = layout.parameter_in(arrays["w"], dtype).to(self.device).requires_grad_()
        self.x, self.t = (layout.data_in(arrays[n], dtype).to(self.device) for n in ("x", "t"))

    def prepare(self) -> None:
        """Clear the gradient of the call before."""
        self.w.grad = None

    def run(self, carry: None) -> None:
        """Compute the gradient."""
        difference = self.x @ self.w.mT - self.t
        (self.scale / 2 * difference.square().sum()).backward()

    def wait(self, result: None) -> None:
        """Wait until the gradient is computed."""
        runtime.synchronize(self.device)

    def finished(self) -> bool:
        """Return whether all queued work is done."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Do nothing: there is no state to restore."""

    def gradients(self) -> dict[str, NDArray[Any]]:
        """Return the gradient of the last `run`, under the name ``w``."""
        assert self.w.grad is not None
        return {"w": layout.parameter_out(self.w.grad)}
