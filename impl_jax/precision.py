"""Compute in less than full float32: products in TF32, or the networks in bfloat16.

Parameters, gradients, optimizer state and losses are float32 in every mode.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from impl_jax.problem import Buffers, Constants, Losses, Parameters, Problem, Stage
from impl_jax.runtime import Unavailable

IEEE, TF32, BF16 = "ieee", "tf32", "bf16"
MODES = (IEEE, TF32, BF16)

Function = Callable[..., Any]


@dataclass(frozen=True)
class Precision:
    """Hold the precision mode of one program.

    Attributes:
        mode: one of `MODES`. ``ieee`` is full float32, and leaves every function as it is.
        platform: of the device that the program runs on, such as ``cpu`` or ``gpu``.

    Raises:
        Unavailable: the device has no such mode.
        ValueError: there is no such mode.
    """

    mode: str = IEEE
    platform: str = "cpu"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"precision mode {self.mode!r}; allowed: {', '.join(MODES)}")
        if self.mode == TF32 and self.platform == "cpu":
            raise Unavailable(
                f"precision mode 'tf32' was asked for on {self.platform}: only a GPU multiplies "
                "in TF32; use --device cuda, or --precision-mode bf16"
            )

    def problem(self, problem: Problem) -> Problem:
        """Return the problem that strategies and recipes are to call in place of this one."""
        return _Bfloat16(problem) if self.mode == BF16 else problem

    def within(self, function: Function) -> Function:
        """Return a function whose products are traced as TF32; only ``tf32`` changes it.

        A product of the backward pass has the precision of the product that it belongs to.
        """
        if self.mode != TF32:
            return function

        def traced(*args: Any) -> Any:
            with jax.default_matmul_precision("tensorfloat32"):
                return function(*args)

        return traced


class _Bfloat16(Problem):
    """Run another problem's networks in bfloat16, with all its arrays, which stay float32.

    Parameters and input are cast at the entry of each network, and its output is cast to float32 on
    its way into a loss. The running statistics of a BatchNorm stay float32.
    """

    def __init__(self, problem: Problem) -> None:
        vars(self).update(vars(problem))

    def run_network(
        self, stage: Stage, value: Any, parameters: Parameters, constants: Constants
    ) -> tuple[Any, Buffers]:
        """Run a stage's network in bfloat16; the rest as `Problem.run_network`.

        Only the parameters that the network uses are cast.
        """
        every = self.every_name(parameters, constants)
        own = _cast({name: every[name] for name in stage.parameters}, jnp.float32, jnp.bfloat16)
        entering = _cast(value, jnp.float32, jnp.bfloat16)
        return stage.call(own, constants["buffers"], entering)

    def losses_of(
        self,
        stage: Stage,
        output: Any,
        constants: Constants,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Return the losses of an output that is cast to float32; see `Problem.losses_of`."""
        full = _cast(output, jnp.bfloat16, jnp.float32)
        return super().losses_of(stage, full, constants, among)


def _cast(tree: Any, old: Any, new: Any) -> Any:
    """Return a tree with those of its arrays that have the dtype ``old`` in the dtype ``new``."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(new) if getattr(leaf, "dtype", None) == old else leaf

    return jax.tree.map(cast, tree)
