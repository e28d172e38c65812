"""Read and convert what a user's case is made of: nested values, random draws."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


class CaseError(Exception):
    """Report a case that cannot be run: what is wrong, and what to write (``mend``)."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def takes_networks(losses: Callable[..., Any]) -> bool:
    """Return whether a user's ``losses`` takes (networks, batch) and not the batch alone."""
    try:
        parameters = inspect.signature(losses).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return len(needed) == 2


def map_tensors(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a nested value with every array replaced by ``change(array)``.

    Looked into are pytrees and dataclasses; anything else is returned as it is.
    """
    if _is_array(value):
        return change(value)
    if _is_leaf(value):
        dataclass = dataclasses.is_dataclass(value) and not isinstance(value, type)
        return _replaced(value, change) if dataclass else value
    return jax.tree.map(lambda one: map_tensors(one, change), value)


def _replaced(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a dataclass with its arrays changed."""
    names = [field.name for field in dataclasses.fields(value) if field.init]
    return dataclasses.replace(
        value, **{name: map_tensors(getattr(value, name), change) for name in names}
    )


def _is_array(value: Any) -> bool:
    """Return whether this is an array of JAX or of NumPy."""
    return isinstance(value, (Array, np.ndarray))


def _is_leaf(value: Any) -> bool:
    """Return whether JAX sees no structure in a value."""
    leaves = jax.tree.leaves(value)
    return len(leaves) == 1 and leaves[0] is value


def tensors(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, array) of every array in a nested value, in the order of `map_tensors`."""
    items: list[Any] = []

    def keep(array: Any) -> Any:
        items.append(array)
        return array

    map_tensors(value, keep)
    yield from ((f"{name}[{i}]" if len(items) > 1 else name, one) for i, one in enumerate(items))


def converted(array: Any, dtype: Any) -> Any:
    """Return a floating-point array in this dtype, any other as it is, both as JAX's."""
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return jnp.asarray(array, dtype=dtype if floating else None)


def digest(array: Any) -> str:
    """Return a short hash of an array's shape and elements, whether 64-bit types are on or not."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    plain = np.asarray(array)
    kinds = {"f": np.float32, "i": np.int64}
    same = np.ascontiguousarray(plain, dtype=kinds.get(plain.dtype.kind))
    hashed = hashlib.sha256(f"{plain.shape} {plain.dtype.kind}".encode())
    hashed.update(same.tobytes())
    return hashed.hexdigest()[:16]


class DrawAsFloat32:
    """Draw the numbers of float32 while the context lasts, also where 64-bit types are on.

    JAX draws other numbers for another dtype. In this context `jax.random.normal` and its kin draw
    what they draw in float32, and convert; integers are those of int32.
    """

    WHOLE = ("randint", "poisson", "geometric", "multinomial", "rademacher")
    OTHERS = ("bits", "key", "wrap_key_data", "multinomial")

    def __enter__(self) -> None:
        self._originals: dict[str, Any] = {}
        for name in dir(jax.random):
            function = getattr(jax.random, name)
            if name.startswith("_") or name in self.OTHERS or not callable(function):
                continue
            if replaced := self._replaced(name, function):
                self._originals[name] = function
                setattr(jax.random, name, replaced)

    def __exit__(self, *error: Any) -> None:
        for name, function in self._originals.items():
            setattr(jax.random, name, function)

    def _replaced(self, name: str, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return what stands in for a function of `jax.random`; None where it may stay."""
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            return None
        if name in ("bernoulli", "categorical"):
            return _of_float32(function)
        if name == "choice":
            return _choosing(function)
        if "dtype" not in parameters:
            return None
        whole = name in self.WHOLE
        return _drawing(function, jnp.int32 if whole else jnp.float32, whole)


def _drawing(function: Callable[..., Any], dtype: Any, whole: bool) -> Callable[..., Any]:
    """Return the function with another default dtype; what is asked for in float64 is converted."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        """Draw in the default dtype where none or a 64-bit one is asked for, then convert."""
        given = inspect.signature(function).bind(*args, **kwargs)
        asked = given.arguments.get("dtype")
        if asked is not None and jnp.dtype(asked) not in (jnp.float64, jnp.int64):
            return function(*args, **kwargs)
        given.arguments["dtype"] = dtype
        if "p" in given.arguments:  # in whose dtype `geometric` and `binomial` draw
            given.arguments["p"] = jnp.asarray(given.arguments["p"], jnp.float32)
        drawn = function(*given.args, **given.kwargs)
        return drawn if whole else drawn.astype(jnp.float64)

    return draw


def _choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `jax.random.choice` that takes its probabilities in float32."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        """Draw with the probabilities, where there are any, converted to float32."""
        given = inspect.signature(function).bind(*args, **kwargs)
        if given.arguments.get("p") is not None:
            given.arguments["p"] = jnp.asarray(given.arguments["p"], jnp.float32)
        return function(*given.args, **given.kwargs)

    return draw


def _of_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function (key, probabilities or logits, …) that takes the latter in float32."""

    @functools.wraps(function)
    def draw(key: Any, p: Any = 0.5, *args: Any, **kwargs: Any) -> Any:
        """Draw with the probabilities or logits converted to float32."""
        kwargs = {n: jnp.float32(a) if n in ("p", "logits") else a for n, a in kwargs.items()}
        if "logits" in kwargs or "p" in kwargs:
            return function(key, *args, **kwargs)
        return function(key, jnp.asarray(p, jnp.float32), *args, **kwargs)

    return draw
