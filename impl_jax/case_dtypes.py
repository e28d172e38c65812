"""Refuse parameters of a user's case whose gradients are not compared in their own dtype."""

from __future__ import annotations

from collections.abc import Iterable

import jax.numpy as jnp

from impl_jax.case_values import CaseError
from impl_jax.graph_problem import Network


def check_dtypes(networks: Iterable[Network]) -> None:
    """Raise `CaseError` for a parameter that is complex, or of less precision than float32.

    Args:
        networks: with the arrays as the user gives them, before anything is converted.
    """
    networks = list(networks)
    for name, kind in [(n, one.rest[n].dtype) for one in networks for n in one.complex]:
        raise CaseError(
            f"the parameter {name} is {kind}: gradients by complex numbers are not compared",
            "hold two real arrays, and compute with jax.lax.complex of them; what is no parameter "
            "does not belong into the networks",
        )
    for name, array in [pair for one in networks for pair in one.parameters.items()]:
        if jnp.finfo(array.dtype).bits < 32:
            raise CaseError(
                f"the parameter {name} is {array.dtype}: networks are compared and timed in "
                "float32",
                "give it as float32, array.astype(jnp.float32), and compute in less precision "
                f"inside the losses: array.astype(jnp.{array.dtype})",
            )
