"""Hold what a network returns to what JAX can pull a gradient back through: a tree of arrays.

Tuples, lists and dicts are trees; a dataclass is one where it is registered. The arrays in a tree
are found by JAX itself.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import jax
import numpy as np

ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


def demand_tree(value: Any, network: Any) -> None:
    """Check that the output of a network is a tree of arrays, at which a gradient can be cut.

    Args:
        value: what the network returned.
        network: it is named where its output is no such tree.

    Raises:
        TypeError: it holds a value of another class; the message says where the network is
            defined, and what it may return.
    """
    if why := why_not_cut(value, network):
        raise TypeError(why)


def why_not_cut(value: Any, network: Any) -> str | None:
    """Return why a gradient cannot be cut at a network's output, in a sentence; None if it can."""
    for leaf in jax.tree.leaves(value):
        if not isinstance(leaf, ARRAYS):
            return refusal(network, value, leaf)
    return None


def refusal(network: Any, value: Any, leaf: Any) -> str:
    """Return in a sentence why a network's output cannot be cut, where it is, and what to do.

    Args:
        network: whose output it is.
        value: the output.
        leaf: what JAX takes for a leaf of it, and is no array.
    """
    name, inside = type(value).__name__, type(leaf).__name__
    inside_clause = "" if name == inside else f", which holds {inside}"
    return (
        f"{_place(network)}{type(network).__name__} returns {name}{inside_clause}, which JAX "
        "takes for no tree of arrays to cut the gradient at: return an array, or a tuple, list or "
        "dict of arrays, or register the dataclass with jax.tree_util.register_dataclass"
    )


def _place(network: Any) -> str:
    """Return file and line of the network's forward pass, with a colon; nothing if unknown."""
    code = getattr(inspect.unwrap(type(network).__call__), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}: " if code else ""
