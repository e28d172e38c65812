"""Look at how a problem runs: dtypes of its inputs, losses, random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from impl_jax.naming import Path
from impl_jax.problem import Parameters, Problem, Stage

REPEATS = 20  # keys among which a rare draw has to show, such as that of a Dropout of 1 %


def input_dtypes(problem: Problem) -> dict[str, str]:
    """Return the dtype of each input and target as the networks get it, such as ``float32``."""
    return {name: str(array.dtype) for name, array in problem.constants["data"].items()}


def loss_shapes(problem: Problem) -> dict[str, list[int] | None]:
    """Return the shape of each loss, empty for a single number."""

    def losses(parameters: Parameters, constants: Any) -> dict[str, jax.Array]:
        return problem.forward(parameters, constants, among=list(problem.reach))[0]

    abstract = jax.eval_shape(losses, problem.trainable, problem.constants)
    return {name: list(loss.shape) for name, loss in abstract.items()}


def by_loss(problem: Problem, reduce: Callable[[jax.Array], jax.Array]) -> dict[str, Parameters]:
    """Return loss → parameter → ``reduce`` of the loss's gradient by the parameter.

    The parameters are the trained ones.
    """

    @jax.jit
    def gradients(parameters: Parameters, constants: Any) -> dict[str, Parameters]:
        by_name = {
            name: jax.grad(lambda p, n=name: problem.losses(p, constants, until=n)[n])(parameters)
            for name in problem.flow
        }
        return jax.tree.map(reduce, by_name)

    return gradients(problem.trainable, problem.constants)


def gradient_of_nothing(problem: Problem, loss: str) -> dict[str, Any]:
    """Differentiate a loss by no parameter, and return the gradients: an empty dict."""

    def value(nothing: Parameters) -> jax.Array:
        parameters = {**problem.trainable, **nothing}
        return problem.forward(parameters, problem.constants, among=(loss,))[0][loss]

    return jax.grad(value)({})


def random_part(problem: Problem) -> str | None:
    """Return what draws random numbers when the problem runs; None where nothing does.

    Two programs from the same weights, buffers and data are compared, each traced anew: what NumPy
    or Python draws while a program is traced stays in it. A generator of nnx's draws if another
    key gives another output; its module is named with its class.
    """
    for stage in problem.stages:
        if module := _drawing_module(problem, stage):
            return module
    first, second = _run(problem), _run(problem)
    for stage in problem.stages:
        if not _same(first[0][stage.name], second[0][stage.name]):
            return f"{stage.name} ({type(stage.network).__name__}, while it is traced)"
    return None if _same(first[1], second[1]) else "a loss, while it is traced"


def _run(problem: Problem) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Return the output of each stage and every loss, from a program that is traced anew."""

    @jax.jit
    def run(parameters: Parameters, constants: Any) -> Any:
        losses, _ = problem.forward(parameters, constants, among=list(problem.reach))
        return problem.outputs(parameters, constants), losses

    outputs, losses = run(problem.trainable, problem.constants)
    return outputs, losses


def _drawing_module(problem: Problem, drawing: Stage) -> str | None:
    """Return the module of a stage one of whose generators changes its output, or None."""
    if not drawing.generators:
        return None
    data, value = problem.constants["data"], problem.constants["data"]["x"]
    arrays, buffers = (
        problem.every_name(problem.trainable, problem.constants),
        problem.constants["buffers"],
    )
    for stage in problem.stages:
        entered = stage.enter(value, data)
        value, _ = stage.call(arrays, buffers, entered)
        if stage is drawing:
            break
    for path in drawing.generators:
        for key in range(1, REPEATS + 1):
            other, _ = drawing.call(arrays, buffers, entered, {path: key})
            if not _same(value, other):
                return _described(drawing, path)
    return None


def _same(one: Any, other: Any) -> bool:
    """Return whether the arrays of two pytrees are equal up to rounding; NaN is equal to NaN."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(
        bool(jnp.allclose(a, b, rtol=_rounding(a), atol=0.0, equal_nan=True)) for a, b in pairs
    )


def _rounding(array: Any) -> float:
    """Return the relative difference that two orders of the same sum can make."""
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return 100 * float(jnp.finfo(array.dtype).eps) if floating else 0.0


def _described(stage: Stage, path: Path) -> str:
    """Return the canonical name of the module that holds a generator and, in brackets, its class.

    Args:
        stage: whose network holds the generator.
        path: nnx's path to the generator's state.
    """
    module: Any = stage.network
    names = [stage.name]
    for part in path:
        child = module[part] if isinstance(part, int) else getattr(module, str(part))
        if not isinstance(child, nnx.Module):
            break
        module, names = child, [*names, str(part)]
    rate = getattr(module, "rate", None)
    return f"{'.'.join(names)} ({type(module).__name__}{'' if rate is None else f', rate={rate}'})"
