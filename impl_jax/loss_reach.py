"""Find out which loss of a case sends a gradient to which tensor, each loss alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from impl_jax.case_examination import _state, _used
from impl_jax.case_losses import check_losses, check_names
from impl_jax.step_case import StepCase

SLIGHT = 1e-6  # a gradient below this share of the largest is rounding
NUDGE = 1e-2  # relative change of a parameter that must change a loss which depends on it
MOST_PASSES = 200  # forward passes that may be spent on finding what is cut off


class LossReach:
    """Hold what each loss of a case does to each parameter.

    Args:
        case: its losses are pure.
        parameters: where they are differentiated; None for the start.

    Attributes:
        states: loss → parameter → ``value``, ``zero`` or ``absent``.
        values: loss → its value.
        gradients: loss → parameter → gradient.
        finite: loss → whether its value and all its gradients are finite.
        slight: parameters whose gradients are rounding beside all others', as before a BatchNorm.
        cut: parameters that a loss depends on, while none sends a gradient there.
        unused: parameters that no loss depends on.
    """

    def __init__(self, case: StepCase, parameters: Mapping[str, Any] | None = None) -> None:
        self.case = case
        self.start = {n: jnp.asarray(a) for n, a in (parameters or case.parameters).items()}
        check_losses(jax.eval_shape(case.losses, self.start))
        self._run = jax.jit(case.losses)
        self.values = {n: float(v) for n, v in self._run(self.start).items()}
        self.gradients = self._by_loss()
        self.states = {
            loss: {n: _state(grads.get(n)) for n in self.start}
            for loss, grads in self.gradients.items()
        }
        self.finite = {
            loss: bool(np.isfinite(self.values[loss]))
            and all(bool(jnp.isfinite(g).all()) for g in grads.values())
            for loss, grads in self.gradients.items()
        }
        self.slight = self._slight()
        self._budget = MOST_PASSES
        reached = {n for states in self.states.values() for n, s in states.items() if s == "value"}
        asked = [n for n in self.start if n not in reached]
        self.cut = self._mattering(asked)
        self.unused = [name for name in asked if name not in self.cut]

    def _by_loss(self) -> dict[str, dict[str, Any]]:
        """Return loss → parameter → gradient of each loss alone, of parameters that it uses."""

        def by_each(parameters: Any) -> Any:
            return {loss: jax.grad(self._loss_alone(loss))(parameters) for loss in self.values}

        by_loss = jax.jit(by_each)(self.start)
        used = {
            loss: _used(lambda p, _, loss=loss: self._loss_alone(loss)(p), self.start, {})
            for loss in self.values
        }
        return {
            loss: {n: g for n, g in grads.items() if n in used[loss]}
            for loss, grads in by_loss.items()
        }

    def _slight(self) -> set[str]:
        """Return the parameters whose gradient by every loss is next to nothing."""
        largest = dict.fromkeys(self.start, 0.0)
        for grads in self.gradients.values():
            for name, gradient in grads.items():
                largest[name] = max(largest[name], float(jnp.abs(gradient).max(initial=0.0)))
        most = max(largest.values(), default=0.0)
        return {name for name, size in largest.items() if size < SLIGHT * most}

    def _loss_alone(self, loss: str) -> Any:
        """Return one loss as a function of the parameters."""

        def alone(parameters: Any) -> Any:
            losses = self.case.losses(parameters)
            check_names(self.values, losses)
            return losses[loss]

        return alone

    def _mattering(self, names: list[str]) -> list[str]:
        """Return those of these parameters that a loss depends on, by halves."""
        if not names or self._budget <= 0 or not self._depends(names):
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        return self._mattering(names[:middle]) + self._mattering(names[middle:])

    def _depends(self, names: list[str]) -> bool:
        """Return whether any loss changes when these parameters do."""
        self._budget -= 1
        rng = np.random.default_rng(self.case.seed)
        moved = dict(self.start)
        for name in names:
            noise = rng.standard_normal(moved[name].shape).astype(moved[name].dtype)
            moved[name] = moved[name] + noise * NUDGE * (1.0 + jnp.abs(moved[name]))
        values = self._run(moved)
        return any(
            float(value) != self.values[n]
            for n, value in values.items()
            if np.isfinite(self.values[n])
        )
