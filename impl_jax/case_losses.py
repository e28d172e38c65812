"""Check what a user's function of losses returns: finite scalars by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from impl_jax.case_values import CaseError


def check_losses(losses: Any) -> None:
    """Raise `CaseError` unless these shapes are scalars by name."""
    if not isinstance(losses, Mapping) or not losses:
        given = "an empty dictionary" if isinstance(losses, Mapping) else _kind(losses)
        raise CaseError(
            f"losses returns {given}, not name → scalar", "return {'task': loss} from it"
        )
    for name, value in losses.items():
        if not isinstance(name, str) or "/" in name:
            raise CaseError(f"the loss name {name!r} cannot be used", "use a plain name: 'task'")
        if value is None:
            raise CaseError(
                f"the loss {name!r} is None",
                "leave it out, in every call, or return jnp.zeros(()) in its place",
            )
        if not hasattr(value, "shape"):  # a tree of arrays, which JAX looks into
            raise CaseError(
                f"the loss {name!r} is {type(value).__name__}, not an array",
                "return the scalar itself; leave out what is returned beside it",
            )
        if value.shape:
            raise CaseError(
                f"the loss {name!r} has shape {list(value.shape)}, not that of a scalar",
                "take its mean or its sum",
            )
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise CaseError(
                f"the loss {name!r} is of {value.dtype}, which has no gradient",
                "return a floating-point number",
            )


def check_names(first: Iterable[str], now: Iterable[str]) -> None:
    """Raise `CaseError` unless another call returns the same losses.

    Args:
        first: names of the losses in the first call.
        now: those in this call.
    """
    one, two = list(first), list(now)
    if set(one) != set(two):
        raise CaseError(
            f"losses returns {', '.join(one)} in one call, and {', '.join(two)} in another",
            "return the same names in every call: leave a loss out always, or return jnp.zeros(()) "
            "where it does not count",
        )


def _kind(value: Any) -> str:
    """Return what a value is called; what stands for an array while it is traced is one."""
    return "an array" if isinstance(value, jax.ShapeDtypeStruct) else type(value).__name__


def check_finite(losses: Mapping[str, float]) -> None:
    """Raise `CaseError` for a loss that is NaN or infinite."""
    for name, value in losses.items():
        if not np.isfinite(value):
            raise CaseError(
                f"the loss {name!r} is {value} at the start",
                "start from weights and a batch at which every loss is finite",
            )


def check_gradients(gradients: Mapping[str, Mapping[str, Any]], dtype: str) -> None:
    """Raise `CaseError` for a gradient that is not finite.

    Args:
        gradients: loss → trained parameter → gradient, or None.
        dtype: in which they were computed.
    """
    for loss, by_parameter in gradients.items():
        for name, gradient in by_parameter.items():
            if gradient is None or bool(np.isfinite(gradient).all()):
                continue
            value = "NaN" if bool(np.isnan(gradient).any()) else "infinite"
            raise CaseError(
                f"the gradient of the loss {loss!r} by {name} is {value} in {dtype}, though the "
                "loss is finite",
                "guard what has no finite slope here, such as sqrt or log of 0; a possible cause: "
                "jnp.where differentiates both branches, so guard inside too: "
                "jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)",
            )
