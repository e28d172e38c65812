"""Refuse parameters of a user's case whose gradients are not compared in their own dtype."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from impl_torch.case_values import CaseError


def check_dtypes(parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
    """Raise `CaseError` for a parameter that is complex, or of less precision than float32.

    Args:
        parameters: (name, parameter), as the user gives them, before anything is converted.
    """
    for name, parameter in parameters:
        kind = str(parameter.dtype).removeprefix("torch.")
        if parameter.is_complex():
            raise CaseError(
                f"the parameter {name} is {kind}: gradients by complex numbers are not compared",
                "hold a real parameter [..., 2], and compute with torch.view_as_complex of it",
            )
        if torch.finfo(parameter.dtype).bits < 32:
            raise CaseError(
                f"the parameter {name} is {kind}: networks are compared and timed in float32",
                "give it as float32, module.float(), and compute in less precision inside the "
                f'losses: with torch.autocast("cpu", {parameter.dtype})',
            )
