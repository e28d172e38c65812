"""Fill the networks of a case with the weights of its counterpart in PyTorch, and its batch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from impl_jax import layout
from impl_jax.case import check_networks
from impl_jax.case_values import CaseError
from impl_jax.graph_problem import Network

Arrays = Mapping[str, NDArray[Any]]


def shapes(case: Any) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return name → shape of each array of real numbers of a case, and which are parameters.

    Args:
        case: what the user's function returned.

    Raises:
        CaseError: its networks cannot be used.
    """
    check_networks(case.networks)
    by_name: dict[str, tuple[int, ...]] = {}
    parameters: list[str] = []
    for name, module in case.networks.items():
        network = Network(name, module, None)
        parameters += network.parameters
        arrays = network.parameters | network.rest
        by_name |= {n: a.shape for n, a in arrays.items() if jnp.issubdtype(a.dtype, jnp.floating)}
    return by_name, parameters


def filled(case: Any, values: Arrays, batch: Arrays) -> tuple[Any, list[str]]:
    """Return the case with other values in its networks and its batch.

    Args:
        case: what the user's function returned.
        values: name of an array of its networks → value.
        batch: path of an array of its batch → value; see `with_batch`.

    Returns:
        The case, and the paths in the batch at which the values differed.
    """
    networks = {name: _network(name, one, values) for name, one in case.networks.items()}
    taken: list[str] = []
    changed = copy.copy(case)
    object.__setattr__(changed, "networks", networks)  # of a frozen dataclass too
    object.__setattr__(changed, "batch", with_batch(case.batch, batch, taken))
    return changed, taken


def _network(name: str, network: Any, values: Arrays) -> Any:
    """Return a network with these values in place of its own, where there are any."""
    own = Network(name, network, None)
    arrays = own.parameters | own.rest
    # in float64 where the session has it: what a function computes of weights is not rounded
    new = {n: jnp.asarray(values[n]) for n in arrays if n in values}
    return own.rebuilt(arrays | new)


def by_parameter(gradient: Arrays) -> dict[str, NDArray[Any]]:
    """Return gradients in JAX's layout from those in the canonical one."""
    return {name: layout.parameter_in(array, np.float64) for name, array in gradient.items()}


def derived(
    function: Callable[[Any], list[Any]], start: NDArray[Any], gradients: list[NDArray[Any]]
) -> NDArray[Any]:
    """Return gradients by the argument of a user's function, from those by its results.

    Args:
        function: of an array, returns arrays.
        start: the argument.
        gradients: one for each result.

    Raises:
        CaseError: JAX cannot differentiate the function.
    """

    def results(argument: Any) -> list[Array]:
        return [jnp.asarray(one, jnp.float64) for one in function(argument)]

    with jax.enable_x64(True):
        try:
            _, back = jax.vjp(results, jnp.asarray(start, jnp.float64))
        except jax.errors.JAXTypeError:
            raise CaseError(
                "weights computes an element from several, in NumPy",
                "use jax.numpy in it, which can be differentiated; or only move elements",
            ) from None
        (gradient,) = back([jnp.asarray(one, jnp.float64) for one in gradients])
        return np.asarray(gradient)


def with_batch(value: Any, arrays: Arrays, taken: list[str], path: str = "") -> Any:
    """Return a batch with the arrays of torch's in it, where path, shape and kind are the same.

    Args:
        value: the batch, or a part of it.
        arrays: path → array.
        taken: is given the paths at which the values differed.
        path: of this part.
    """

    def inside(key: Any, one: Any) -> Any:
        return with_batch(one, arrays, taken, f"{path}.{key}" if path else str(key))

    if isinstance(value, (Array, np.ndarray)):
        return _one_of_batch(value, arrays.get(path), taken, path)
    if isinstance(value, dict):
        return {key: inside(key, one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(inside, value._fields, value))
    if isinstance(value, (list, tuple)):
        return type(value)(inside(i, one) for i, one in enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        return dataclasses.replace(value, **{n: inside(n, getattr(value, n)) for n in fields})
    return value


def _one_of_batch(own: Any, other: NDArray[Any] | None, taken: list[str], path: str) -> Any:
    """Return torch's array in place of one of the batch, if it has the same shape and kind."""
    if other is None or other.shape != own.shape or jnp.issubdtype(own.dtype, jax.dtypes.extended):
        return own
    if other.dtype.kind != np.dtype(own.dtype).kind:
        return own
    if not np.array_equal(other.astype(own.dtype), np.asarray(own)):
        taken.append(path)
    # real numbers in float64 where the session has it, as torch's reference reads them
    dtype = None if jnp.issubdtype(own.dtype, jnp.floating) else own.dtype
    return np.asarray(other, dtype) if isinstance(own, np.ndarray) else jnp.asarray(other, dtype)
