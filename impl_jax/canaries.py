"""Make programs for the harness's canaries: checks of the measurement with a known answer.

`Chain` is work of a known amount: a clock must show twice the time for twice the products, and the
harness must notice a call whose work is not waited for. `Gradient` is known by hand: the check of
gradients must accept the right one, and refuse the one that is wrong by a factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from impl_jax import layout, runtime
from impl_jax.session import Session

# rows of the square operand: its product takes far longer than the dispatch of a call
SIDE = {"cpu": 256, "gpu": 2048}


class Canaries:
    """Make the programs of the canaries on a session's device and in its dtype."""

    def __init__(self, session: Session) -> None:
        self.device, self.dtype = session.device, session.dtype
        side = SIDE[self.device.platform]
        # a reflection: its powers neither overflow nor vanish
        reflection = np.asarray(np.eye(side) - 2 / side, dtype=self.dtype)
        self.operand = jax.device_put(reflection, self.device)
        self.multiply = jax.jit(jnp.matmul).lower(self.operand, self.operand).compile()

    def synchronous(self) -> str | None:
        """Return the reason why no call returns before its work is done; None where one may.

        The harness cannot check there that it waits for the work.
        """
        ahead = jax.config.values.get("jax_cpu_enable_async_dispatch", True)
        if self.device.platform == "cpu" and not ahead:
            return "jax_cpu_enable_async_dispatch is off: a call returns when its work is done"
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
        self.multiply = canaries.multiply
        self.count, self.waited = count, waited
        self.result = self.operand

    def prepare(self) -> None:
        """Wait for work that an earlier call may have left behind."""
        runtime.synchronize(self.result)  # an unwaited call may have left work behind

    def run(self, carry: None) -> jax.Array:
        """Start the products, and return the last one without waiting for it; see `wait`."""
        value = self.operand
        for _ in range(self.count):
            value = self.multiply(value, self.operand)
        self.result = value
        return value

    def wait(self, result: jax.Array) -> None:
        """Wait until the products are computed, or return at once if not ``waited``."""
        if self.waited:
            runtime.synchronize(result)

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
        self.device, dtype = canaries.device, canaries.dtype
        self.scale = scale
        self.w = jax.device_put(layout.parameter_in(arrays["w"], dtype), self.device)
        self.x, self.t = (
            jax.device_put(layout.data_in(arrays[n], dtype), self.device) for n in ("x", "t")
        )
        self.result = self.w

    def prepare(self) -> None:
        """Do nothing: a call leaves nothing behind."""

    def run(self, carry: None) -> jax.Array:
        """Compute the gradient."""
        return _gradient(self.w, self.x, self.t, self.scale)

    def wait(self, result: jax.Array) -> None:
        """Wait until the gradient is computed."""
        runtime.synchronize(result)
        self.result = result

    def finished(self) -> bool:
        """Return whether all queued work is done."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Do nothing: there is no state to restore."""

    def gradients(self) -> dict[str, NDArray[Any]]:
        """Return the gradient of the last `run`, under the name ``w``."""
        return {"w": layout.parameter_out(self.result)}


@jax.jit
@jax.grad
def _gradient(w: jax.Array, x: jax.Array, t: jax.Array, scale: float) -> jax.Array:
    """Return the loss, scale · ½‖x w − t‖²; the decorators make it the gradient by w, jitted.

    ``w`` is in JAX's layout, the transpose of the canonical one.
    """
    return scale / 2 * jnp.square(x @ w - t).sum()
