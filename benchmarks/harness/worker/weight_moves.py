"""Find out how the parameters of a case in PyTorch become those of its counterpart in JAX.

What the user's function ``weights`` does is found out by calling it on numbers that tell where each
element goes. So gradients by JAX's parameters can be turned into gradients by torch's.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.worker.case_files import CaseMistakeError
from benchmarks.harness.worker.weight_names import AS_IT_IS, TRANSPOSED, paired

Arrays = Mapping[str, NDArray[Any]]
Weights = Callable[[dict[str, Any]], Any]
# (function, all elements in a row, gradients by what it returns) → gradients by the elements
Derive = Callable[[Callable[[Any], list[Any]], NDArray[Any], list[NDArray[Any]]], NDArray[Any]]
DIGIT = 2**20  # positions are told in two numbers, each exact in float32 after a rescaling
AGREES = 1e-5  # relative difference of a float32 value that has been rescaled and shifted


@dataclasses.dataclass
class Origin:
    """Say where the elements of one array of JAX come from.

    Attributes:
        index: positions among all elements of torch's parameters, in the shape of the array; None
            where an element is made of several.
        scale: what each element is multiplied with, or all are.
        how: in words.
    """

    index: NDArray[np.int64] | None
    scale: NDArray[Any]
    how: str


class Start:
    """Hold what a case in PyTorch starts from.

    Args:
        arrays: see `impl_torch.case_weights.handed_over`.
    """

    def __init__(self, arrays: Arrays) -> None:
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for name, array in arrays.items():
            kind, _, rest = name.partition("/")
            parts.setdefault(kind, {})[rest] = array
        self.used, self.unused = parts.get("weights", {}), parts.get("unused", {})
        self.tensors = {**self.used, **self.unused, **parts.get("buffers", {})}
        self.aliases = {name: str(first) for name, first in parts.get("alias", {}).items()}
        self.batch = parts.get("batch", {})
        ends = np.cumsum([array.size for array in self.tensors.values()])
        self.offsets = dict(zip(self.tensors, [0, *map(int, ends)], strict=False))
        self.size = int(ends[-1]) if len(ends) else 0

    def named(self, flat: Any) -> dict[str, Any]:
        """Return name → tensor, tied ones under each of their names, from all elements in a row."""
        tensors = {
            name: flat[self.offsets[name] : self.offsets[name] + array.size].reshape(array.shape)
            for name, array in self.tensors.items()
        }
        return _Tensors(tensors | {name: tensors[first] for name, first in self.aliases.items()})

    def names_at(self, index: NDArray[np.int64]) -> list[str]:
        """Return the names of the tensors that hold these positions."""
        starts = np.array(list(self.offsets.values()))
        mask = np.zeros(len(starts), bool)
        mask[np.searchsorted(starts, index.ravel(), side="right") - 1] = True
        return [name for name, one in zip(self.offsets, mask, strict=True) if one]


class _Tensors(dict[str, Any]):
    """Hold torch's tensors by name, and say which there are where one is asked for that is not."""

    def __missing__(self, name: Any) -> Any:
        near = difflib.get_close_matches(str(name), self, 3, 0.4) or [*self][:5]
        raise CaseMistakeError(
            f"weights asks for {name!r}, which the torch case does not have",
            f"write one of {', '.join(near)}",
        )


class Moves:
    """Say how the parameters of a case in PyTorch become those of the one in JAX.

    Args:
        start: what torch starts from.
        shapes: name → shape of each array of the JAX networks that holds real numbers.
        parameters: names of those that are differentiated by.
        weights: the user's function; None where names and shapes tell everything.
        derive: differentiates it where it computes an element from several.

    Attributes:
        values: name → value, of every array that is filled.
        origins: name → where its elements come from.

    Raises:
        CaseMistakeError: a parameter has no counterpart in the other framework, or several.
    """

    def __init__(
        self,
        start: Start,
        shapes: Mapping[str, tuple[int, ...]],
        parameters: list[str],
        weights: Weights | None,
        derive: Derive,
    ) -> None:
        self.start, self.shapes, self.weights = start, shapes, weights
        self._derive = derive
        flat = np.concatenate([a.ravel() for a in start.tensors.values()] or [np.zeros(0)])
        self.flat = flat.astype(np.float64)  # exact, and so is what a function makes of it
        self.values: dict[str, NDArray[Any]] = {}
        self.origins: dict[str, Origin] = {}
        if weights is not None:
            self._ask()
        self._pair([name for name in parameters if name not in self.values])
        self._check_everything_goes_somewhere()

    def _ask(self) -> None:
        """Call the user's function, and find out where it takes each element from."""
        self.values = self._called(self.flat)
        count = np.arange(self.start.size)
        zero = self._called(np.zeros(self.start.size))
        one = self._called(np.ones(self.start.size))
        low, high = (self._called(part.astype(float)) for part in (count % DIGIT, count // DIGIT))
        for name, value in self.values.items():
            scale, shift = one[name] - zero[name], zero[name]
            with np.errstate(divide="ignore", invalid="ignore"):
                digits = [(part[name] - shift) / scale for part in (low, high)]
            index = sum(_whole(d) * size for d, size in zip(digits, (1, DIGIT), strict=True))
            known = np.clip(index, 0, max(self.start.size - 1, 0)).astype(np.int64)
            guess = self.flat[known] * scale + shift if self.start.size else shift
            size = np.abs(value).max(initial=0.0) + np.abs(shift).max(initial=0.0)
            if np.all(np.abs(guess - value) <= AGREES * size) and np.all(scale != 0):
                how = "shifted" if np.any(shift != 0) else self._kind_of_move(known, scale, name)
                self.origins[name] = Origin(known, scale, how)
            else:
                self.origins[name] = Origin(None, scale, "by the function weights")

    def _called(self, flat: Any) -> dict[str, Any]:
        """Return what the user's function makes of torch's elements, as arrays by name."""
        named = self._checked_weights(self.start.named(flat))
        return {name: np.asarray(value, dtype=np.float64) for name, value in named.items()}

    def _checked_weights(self, tensors: dict[str, Any]) -> dict[str, Any]:
        """Return name → array of what the user's function returns, whichever tree it is."""
        assert self.weights is not None
        returned = self.weights(tensors)
        if not isinstance(returned, Mapping):
            raise CaseMistakeError(
                f"weights returns {type(returned).__name__}, not name → array",
                "return a dictionary such as {'encoder.linear.kernel': w['encoder.weight'].T}",
            )
        arrays = dict(_leaves(returned))
        for name, value in arrays.items():
            if name not in self.shapes:
                near = difflib.get_close_matches(name, self.shapes, 3, 0.4) or [*self.shapes][:5]
                raise CaseMistakeError(
                    f"weights returns {name!r}, which the JAX case does not have",
                    f"write one of {', '.join(near)}",
                )
            if np.shape(value) != self.shapes[name]:
                raise CaseMistakeError(
                    f"weights returns shape {list(np.shape(value))} for {name}, which has "
                    f"{list(self.shapes[name])}",
                    "transpose or reshape it: a Linear weight of torch is [outputs, inputs], a "
                    "kernel of flax [inputs, outputs]",
                )
        return arrays

    def _kind_of_move(self, index: NDArray[np.int64], scale: NDArray[Any], name: str) -> str:
        """Return in words what the user's function does to fill an array."""
        if np.any(scale != 1):
            return "rescaled"
        flat, shape = index.ravel(), self.shapes[name]
        if np.array_equal(flat, np.arange(flat[0], flat[0] + flat.size) if flat.size else flat):
            return AS_IT_IS
        if len(shape) > 1 and flat.size:
            last = (len(shape) - 1, len(shape) - 2, *range(len(shape) - 2))
            moved = index.transpose(last).ravel()
            if np.array_equal(moved, np.arange(moved[0], moved[0] + moved.size)):
                return TRANSPOSED
        return "rearranged"

    def _pair(self, wanted: list[str]) -> None:
        """Fill what the user's function leaves out, by names and shapes."""
        reached = self.start.named(self._reached())
        positions = self.start.named(np.arange(self.start.size))
        free = {n: a.shape for n, a in positions.items() if not reached[n].all() or not a.size}
        left = {n: shape for n, shape in self.shapes.items() if n not in self.values}
        for name, other, how in paired(free, left, wanted):
            index = positions[other]
            if how == TRANSPOSED:
                index = index.transpose((*range(2, index.ndim), 1, 0))
            index = index.reshape(self.shapes[name])
            self.values[name] = self.flat[index]
            self.origins[name] = Origin(index, np.ones(()), how)

    def _check_everything_goes_somewhere(self) -> None:
        """Raise `CaseMistakeError` for a parameter of torch that no array of JAX comes from."""
        reached = self._reached()
        mixed = self._mixed()
        if mixed:
            ones = {name: np.ones(self.shapes[name]) for name in mixed}
            reached |= self._through_function(ones) != 0
        for name, part in self.start.named(reached).items():
            if name in self.start.used and not part.all():
                missing = f"{int((~part).sum())} of {part.size} elements of " if part.any() else ""
                raise CaseMistakeError(
                    f"{missing}the torch parameter {name} {list(part.shape)} "
                    f"{'have' if missing else 'has'} no counterpart in JAX",
                    "build the same network in both, or use it in the function weights=; or "
                    "measure one framework alone: --framework jax",
                )

    def _reached(self) -> NDArray[np.bool_]:
        """Return for each element of torch's whether it is moved to an array of JAX."""
        reached = np.zeros(self.start.size, bool)
        for origin in self.origins.values():
            if origin.index is not None:
                reached[origin.index] = True
        return reached

    def _mixed(self) -> list[str]:
        """Return the names of the arrays that hold sums or other mixtures of elements."""
        return [name for name, origin in self.origins.items() if origin.index is None]

    def _through_function(self, gradients: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return these gradients turned back through the user's function, as JAX derives it."""
        names = list(gradients)

        def filled(flat: Any) -> list[Any]:
            arrays = self._checked_weights(self.start.named(flat))
            return [arrays[name] for name in names]

        return self._derive(filled, self.flat, list(gradients.values()))

    def pulled_back(self, gradient: Arrays) -> dict[str, NDArray[np.float64]]:
        """Return gradients by torch's parameters, from those by JAX's.

        Args:
            gradient: name in JAX → gradient, in JAX's layout.

        Returns:
            Name in torch → gradient, of every parameter.
        """
        own = {name: gradient[name] for name in self.origins if name in gradient}
        places, parts = [np.zeros(0, np.int64)], [np.zeros(0)]
        for name, array in own.items():
            origin = self.origins[name]
            if origin.index is not None:
                places.append(origin.index.ravel())
                parts.append((array * origin.scale).ravel())
        total = np.bincount(np.concatenate(places), np.concatenate(parts), self.start.size)
        if mixed := [name for name in self._mixed() if name in own]:
            total += self._through_function({name: own[name] for name in mixed})
        parameters = (*self.start.used, *self.start.unused)
        return {n: a for n, a in self.start.named(total).items() if n in parameters}

    def described(self) -> list[list[str]]:
        """Return [name in JAX, how, names in torch …] of each array that is filled."""
        descriptions = []
        for name, origin in self.origins.items():
            names = [] if origin.index is None else self.start.names_at(origin.index)
            descriptions.append([name, origin.how, *names])
        return descriptions


def _whole(value: NDArray[Any]) -> NDArray[Any]:
    """Return the nearest whole numbers, 0 for what is none."""
    return np.rint(np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, array) of every array in nested dictionaries, lists and tuples."""
    parts: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        yield path, value
        return
    for key, one in parts:
        yield from _leaves(one, f"{path}.{key}" if path else str(key))
