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
from benchmarks.scenarios.external.errors import PartError, UnsupportedPart
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
    tied: Mapping[str, str],
) -> None:
    """Compare what was built with its spec; raises `PartError` for the first difference.

    Args:
        who: The file and the builder, at the beginning of the message.
        shapes: The shapes of the built parameters and buffers, by canonical name.
        losses: The names of the losses of all built stages.
        weights: The arrays that the spec draws, by canonical name.
        reach: The parameters that each loss of the spec reaches, by the loss's name.
        tied: The other names of parameters that occur at several places, each with the name that
            stands in ``shapes``.
    """
    _check_ties(who, weights, tied)
    _check_shapes(who, shapes, weights, tied)
    _check_losses(who, list(losses), reach)


def _check_ties(who: str, weights: Mapping[str, Any], tied: Mapping[str, str]) -> None:
    """Raise `PartError` if the spec draws one tensor under two names."""
    for name, same in tied.items():
        if name in weights:
            raise PartError(
                f"{who}: {name} is the same tensor as {same} (tied), and the spec names both; "
                f"take one of them out of its parameters(), such as {name}, or build two tensors"
            )


def _check_shapes(
    who: str,
    shapes: Mapping[str, Iterable[int]],
    weights: Mapping[str, Any],
    tied: Mapping[str, str],
) -> None:
    """Raise `PartError` if a built parameter is missing, extra, or of another shape than drawn."""
    missing = [name for name in weights if name not in shapes]
    extra = [name for name in shapes if name not in weights]
    if missing or extra:
        named = [_with_ties(name, tied) for name in extra]
        raise PartError(f"{who}: {_names(missing, named)}")
    for name, array in weights.items():
        actual, expected = list(shapes[name]), list(array.shape)
        if actual != expected:
            raise PartError(
                f"{who}: {name} is {actual}, should be {expected} "
                "(in torch's layout: [outputs, inputs, *kernel])"
            )


def _with_ties(name: str, tied: Mapping[str, str]) -> str:
    """Return a parameter's name and, in brackets, the other names of the same tensor."""
    others = [other for other, same in tied.items() if same == name]
    return f"{name} (the same tensor as {', '.join(others)})" if others else name


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


def check_repeatable(who: str, random: str | None) -> None:
    """Raise `UnsupportedPart` if two runs from the same start differ.

    Args:
        who: the file and the builder, at the beginning of the message.
        random: what gives another output each time, such as ``net.dropout (Dropout, p=0.1)``; None
            where nothing does.
    """
    if random:
        raise UnsupportedPart(
            f"{who}: {random} draws random numbers: it gives other outputs for the same inputs, so "
            "that no two ways to compute a gradient can be compared; switch it off where you build "
            "it (network.eval(), or a rate of 0), or declare the draw: an entry of the spec's "
            "data() that a stage's link or loss applies"
        )


def check_dtypes(
    who: str, dtypes: Mapping[str, str], data: Mapping[str, Any], precision: str
) -> None:
    """Raise `PartError` unless each input reaches the networks in the precision of the session.

    Args:
        who: the file and the builder, at the beginning of the message.
        dtypes: input or target → dtype that the networks get.
        data: the arrays that the spec draws. Those of floats must come in the session's precision,
            those of whole numbers as whole numbers.
        precision: float32 or float64, that of the session.
    """
    for name, array in data.items():
        actual = dtypes.get(name, "absent")
        if array.dtype.kind == "f":
            right, expected = actual == precision, f"{precision}, the precision of the session"
        else:
            right, expected = actual.startswith(("int", "uint", "bool")), "of whole numbers"
        if not right:
            raise PartError(
                f"{who}: the input {name} arrives as {actual}, should be {expected}; a gradient "
                "would be computed in another precision than the one it is recorded under"
            )
