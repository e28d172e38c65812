"""Check what a user's function of losses returns: finite scalars by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from impl_torch.case_values import CaseError


def check_losses(losses: Any, *, finite: bool = True) -> dict[str, Tensor]:
    """Return the losses by name; raise `CaseError` unless they are scalars.

    Args:
        losses: what the user's function returned.
        finite: whether NaN and infinity are refused too.
    """
    if not isinstance(losses, Mapping) or not losses:
        given = "an empty dictionary" if isinstance(losses, Mapping) else type(losses).__name__
        raise CaseError(
            f"losses returns {given}, not name → scalar", "return {'task': loss} from it"
        )
    for name, value in losses.items():
        if not isinstance(name, str) or "/" in name:
            raise CaseError(f"the loss name {name!r} cannot be used", "use a plain name: 'task'")
        if value is None:
            raise CaseError(
                f"the loss {name!r} is None",
                "leave it out, in every call, or return torch.zeros(()) in its place",
            )
        if not isinstance(value, Tensor):
            raise CaseError(
                f"the loss {name!r} is {type(value).__name__}, not a tensor",
                "return the tensor itself, without .item() or float()",
            )
        if value.numel() != 1 or value.ndim:
            raise CaseError(
                f"the loss {name!r} has shape {list(value.shape)}, not that of a scalar",
                "take its mean or its sum",
            )
        if finite and not bool(torch.isfinite(value)):
            raise CaseError(
                f"the loss {name!r} is {float(value)} at the start",
                "start from weights and a batch at which every loss is finite",
            )
    return dict(losses)


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
            "return the same names in every call: leave a loss out always, or return "
            "torch.zeros(()) where it does not count",
        )


def check_gradients(gradients: Mapping[str, Mapping[str, Any]], dtype: str) -> None:
    """Raise `CaseError` for a gradient that is not finite.

    Args:
        gradients: loss → trained parameter → gradient, or None.
        dtype: in which they were computed.
    """
    for loss, by_parameter in gradients.items():
        for name, gradient in by_parameter.items():
            if gradient is None or bool(gradient.isfinite().all()):
                continue
            value = "NaN" if bool(gradient.isnan().any()) else "infinite"
            raise CaseError(
                f"the gradient of the loss {loss!r} by {name} is {value} in {dtype}, though the "
                "loss is finite",
                "guard what has no finite slope here, such as sqrt or log of 0; a possible cause: "
                "torch.where differentiates both branches, so guard inside too: "
                "torch.where(x > 0, torch.where(x > 0, x, 1).sqrt(), 0)",
            )
