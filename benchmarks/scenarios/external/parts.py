"""Find a framework's part of a scenario in the worker, and compare it with its spec."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.scenarios.external import files
from benchmarks.scenarios.external.errors import PartError
from benchmarks.scenarios.spec import part_of

Builder = Callable[..., Any]
_import_once = cache(files.import_file)  # a call that raises is not cached


def external_part(framework: str, family: str) -> Path | None:
    """Return the file of a framework's part of a user's scenario; None for one of this suite.

    Args:
        framework: ``torch`` or ``jax``.
        family: path of the user's spec, or the name of a module of the implementation.
    """
    return part_of(Path(family), framework) if family.endswith(".py") else None


def find_builder(framework: str, family: str, build: str) -> Builder:
    """Return the function that builds a scenario's networks in a framework.

    Args:
        framework: ``torch`` or ``jax``.
        family: path of the user's spec, or the name of a module of the implementation.
        build: name of the function.

    Raises:
        PartError: the user's part, or the function in it, does not exist.
    """
    file = external_part(framework, family)
    if file is None:
        function: Builder = getattr(importlib.import_module(f"impl_{framework}.{family}"), build)
        return function
    if not file.is_file():
        raise PartError(f"{file.name}: no such file beside {Path(family).name}")
    return _returning_stages(file, _function(file, _import_once(file), build))


def _function(file: Path, module: ModuleType, name: str) -> Builder:
    """Return a function of the user's part.

    Args:
        file: the part.
        module: the imported part.
        name: of the function.

    Raises:
        PartError: the part has no such function; the message lists those that it has.
    """
    function = getattr(module, name, None)
    if not callable(function):
        defined = [
            n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        defines = f"it defines {', '.join(defined) or 'nothing'}"
        raise PartError(
            f"{file.name}: no function {name!r}; each scenario needs one of its name, {defines}"
        )
    return function


def _returning_stages(file: Path, build: Builder) -> Builder:
    """Wrap the builder so that it raises `PartError` unless it returns a list of stages."""

    @wraps(build)
    def checked(**arguments: Any) -> Any:
        """Build the networks and check that they come as a list of stages."""
        stages = build(**arguments)
        if not isinstance(stages, list) or not all(hasattr(s, "losses") for s in stages):
            kind = type(stages).__name__
            raise PartError(f"{file.name}: {build.__name__} returns {kind}, should be [Stage, …]")
        return stages

    return checked


def check_fit(
    who: str,
    shapes: Mapping[str, Iterable[int]],
    losses: Iterable[str],
    weights: Mapping[str, Any],
    reach: Mapping[str, Any],
) -> None:
    """Compare what was built with its spec; raises `PartError` for the first difference.

    Args:
        who: The file and the builder, at the beginning of the message.
        shapes: The shapes of the built parameters and buffers, by canonical name.
        losses: The names of the losses of all built stages.
        weights: The arrays that the spec draws, by canonical name.
        reach: The parameters that each loss of the spec reaches, by the loss's name.
    """
    _check_shapes(who, shapes, weights)
    _check_losses(who, list(losses), reach)


def _check_shapes(
    who: str, shapes: Mapping[str, Iterable[int]], weights: Mapping[str, Any]
) -> None:
    """Raise `PartError` if a built parameter is missing, extra, or of another shape than drawn."""
    missing = [name for name in weights if name not in shapes]
    extra = [name for name in shapes if name not in weights]
    if missing or extra:
        raise PartError(f"{who}: {_names(missing, extra)}")
    for name, array in weights.items():
        actual, expected = list(shapes[name]), list(array.shape)
        if actual != expected:
            raise PartError(
                f"{who}: {name} is {actual}, should be {expected} "
                "(in torch's layout: [outputs, inputs, *kernel])"
            )


def _check_losses(who: str, losses: list[str], reach: Mapping[str, Any]) -> None:
    """Raise `PartError` if the built stages have other losses than the spec's flow."""
    for loss in reach:
        if loss not in losses:
            raise PartError(
                f"{who}: no stage has a loss {loss!r}, which the spec's flow names; "
                f"there is {', '.join(losses) or 'none'}"
            )
    for loss in losses:
        if loss not in reach:
            raise PartError(
                f"{who}: a stage has a loss {loss!r}, which the spec's flow does not name; "
                f"it names {', '.join(reach)}"
            )


def _names(missing: list[str], extra: list[str]) -> str:
    """Return a sentence about the parameters that are missing and those that are extra."""
    clauses = []
    if extra:
        clauses.append(f"it has {', '.join(extra)}, which the spec does not name")
    if missing:
        clauses.append(f"it lacks {', '.join(missing)}, which the spec names")
    return "; ".join(clauses)


def check_scalars(who: str, shapes: Mapping[str, list[int] | None]) -> None:
    """Raise `PartError` for a loss that is no scalar, or no tensor at all.

    Args:
        who: the file and the builder, at the beginning of the message.
        shapes: loss → its shape; None for what is no tensor.
    """
    for loss, shape in shapes.items():
        if shape is None:
            raise PartError(f"{who}: {loss} is no tensor, so nothing can be learned from it")
        if shape:
            raise PartError(
                f"{who}: {loss} has shape {shape}, should be a scalar; take its mean or sum"
            )


def check_finite(who: str, losses: Mapping[str, float]) -> None:
    """Raise `PartError` for a loss whose value is not a finite number.

    Args:
        who: the file and the builder, at the beginning of the message.
        losses: loss → its value.
    """
    for loss, value in losses.items():
        if not math.isfinite(value):
            raise PartError(f"{who}: {loss} is {value} at the weights and data that the spec draws")
