"""A framework's part of a scenario, as the worker sees it: found, and held to its spec."""

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
_imported = cache(files.imported)  # an exception is not cached


def own_part(framework: str, family: str) -> Path | None:
    """The user's file that the family names; None where it is one of our own."""
    return part_of(Path(family), framework) if family.endswith(".py") else None


def builder(framework: str, family: str, build: str) -> Builder:
    """The function of this name in the family's file. Raises `PartError` where there is none."""
    file = own_part(framework, family)
    if file is None:
        found: Builder = getattr(importlib.import_module(f"impl_{framework}.{family}"), build)
        return found
    if not file.is_file():
        raise PartError(f"{file.name}: no such file beside {Path(family).name}")
    return _returning_stages(file, _function(file, _imported(file), build))


def _function(file: Path, module: ModuleType, name: str) -> Builder:
    found = getattr(module, name, None)
    if not callable(found):
        own = [
            n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        defines = f"it defines {', '.join(own)}" if own else "it defines nothing"
        raise PartError(
            f"{file.name}: no function {name!r}; each scenario needs one of its name, {defines}"
        )
    return found


def _returning_stages(file: Path, build: Builder) -> Builder:
    @wraps(build)
    def built(**arguments: Any) -> Any:
        stages = build(**arguments)
        if not isinstance(stages, list) or not all(hasattr(s, "losses") for s in stages):
            kind = type(stages).__name__
            raise PartError(f"{file.name}: {build.__name__} returns {kind}, should be [Stage, …]")
        return stages

    return built


def check_fit(
    who: str,
    shapes: Mapping[str, Iterable[int]],
    losses: Iterable[str],
    weights: Mapping[str, Any],
    reach: Mapping[str, Any],
) -> None:
    """Hold what was built to its spec.

    ``shapes`` of parameters and buffers, and the names of the ``losses`` of all stages, are what
    the part has; ``weights`` and the losses in ``reach`` what the spec says. Raises `PartError`.
    """
    missing = [name for name in weights if name not in shapes]
    extra = [name for name in shapes if name not in weights]
    if missing or extra:
        raise PartError(f"{who}: {_names(missing, extra)}")
    for name, array in weights.items():
        found, should = list(shapes[name]), list(array.shape)
        if found != should:
            raise PartError(
                f"{who}: {name} is {found}, should be {should} "
                "(in torch's layout: [outputs, inputs, *kernel])"
            )
    there = list(losses)
    for loss in reach:
        if loss not in there:
            raise PartError(
                f"{who}: no stage has a loss {loss!r}, which the spec's flow names; "
                f"there is {', '.join(there) or 'none'}"
            )
    for loss in there:
        if loss not in reach:
            raise PartError(
                f"{who}: a stage has a loss {loss!r}, which the spec's flow does not name; "
                f"it names {', '.join(reach)}"
            )


def _names(missing: list[str], extra: list[str]) -> str:
    told = []
    if extra:
        told.append(f"it has {', '.join(extra)}, which the spec does not name")
    if missing:
        told.append(f"it lacks {', '.join(missing)}, which the spec names")
    return "; ".join(told)


def check_scalars(who: str, shapes: Mapping[str, list[int] | None]) -> None:
    """Raises `PartError` where a loss is no single number, or (shape None) no tensor."""
    for loss, shape in shapes.items():
        if shape is None:
            raise PartError(f"{who}: {loss} is no tensor, so nothing can be learned from it")
        if shape:
            raise PartError(
                f"{who}: {loss} has shape {shape}, should be a scalar; take its mean or sum"
            )


def check_finite(who: str, losses: Mapping[str, float]) -> None:
    """Raises `PartError` where a loss is not a finite number."""
    for loss, value in losses.items():
        if not math.isfinite(value):
            raise PartError(f"{who}: {loss} is {value} at the weights and data that the spec draws")
