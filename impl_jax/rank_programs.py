"""Hold the program of all ranks, devices of one process, and count what a call of it reduces."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from math import prod
from typing import Any

import jax
from jax import Array
from jax.sharding import NamedSharding, PartitionSpec

from impl_jax import compiling
from impl_jax import program as programs

EVERYWHERE = PartitionSpec()
ITEMS = {"f32": 4, "f64": 8}
# `%name = f32[8,8]{1,0} all-reduce(…)`, or a tuple of such arrays
REDUCTION = re.compile(r" = (?P<shapes>.+?) all-reduce(?:-start)?\(")
SHAPE = re.compile(r"(?P<type>f32|f64)\[(?P<sides>[\d,]*)\]")


class RankProgram:
    """Hold the program of all devices, and count what it reduces.

    Args:
        own: the program.
    """

    def __init__(self, own: programs.Program) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        """Return what the program has under this name."""
        return getattr(self.own, name)

    @property
    def replicas(self) -> list[programs.Program]:
        """Return the program as each device sees its results, which must all be alike."""
        return [_on_device(self.own, place) for place in range(jax.device_count())]

    def count(self) -> dict[str, Any]:
        """Return the counts of all devices together; XLA tells those of one."""
        counts = self.own.count()
        flops = counts["flops"]
        return {**counts, "flops": None if flops is None else flops * jax.device_count()}

    def communication(self) -> dict[str, Any]:
        """Return ``reductions`` of one call, and the ``reduced_bytes`` of a device, with ``sizes``.

        Both are read in the programs that XLA has compiled.
        """
        texts = [one.executable.as_text() for one in self.own.compiler.functions
                 if isinstance(one, compiling.CompiledFunction) and one.executable]  # fmt: skip
        sizes = [size for text in texts for size in reductions(text)]
        total = {"reductions": len(sizes), "reduced_bytes": sum(sizes)}
        return {**total, "sizes": {"reduce": sizes}}


class Step(programs.Step):
    """Time forward pass, backward pass and update, with parameters and state on all devices."""

    def reset(self) -> None:
        """Restore parameters and state on every device."""
        super().reset()
        mesh = next(iter(self.parameters.values())).sharding.mesh  # type: ignore[attr-defined]
        everywhere = NamedSharding(mesh, EVERYWHERE)
        self.parameters, self.state = jax.device_put((self.parameters, self.state), everywhere)


def reductions(text: str) -> Iterator[int]:
    """Yield the bytes of each all-reduce in the text of a compiled program."""
    for match in REDUCTION.finditer(text):
        yield sum(
            ITEMS[shape["type"]] * prod(map(int, filter(None, shape["sides"].split(","))))
            for shape in SHAPE.finditer(match["shapes"])
        )


def _on_device(program: programs.Program, place: int) -> programs.Program:
    """Return a copy of a program with the results that one device holds."""
    view = copy.copy(program)
    view.problem = copy.copy(program.problem)
    start = view.problem.parameters, view.problem.constants["buffers"]
    view.problem.load(*jax.tree.map(lambda array: _held(array, place), start))
    for name in ("result", "parameters", "state", "buffers"):
        if hasattr(program, name):
            replica = jax.tree.map(lambda array: _held(array, place), getattr(program, name))
            setattr(view, name, replica)
    return view


def _held(array: Array, place: int) -> Array:
    """Return what a device holds of an array, which must be all of it.

    Raises:
        ValueError: a device holds only a part.
    """
    if not array.is_fully_replicated:
        raise ValueError(f"an array of shape {array.shape} is not whole on every device")
    return array.addressable_data(place)
