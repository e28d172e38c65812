"""The optimizer of a scenario: one over groups, one for each network, or one over everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

KINDS: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
ARRANGEMENTS = ("groups", "separate", "together")


def build(
    kind: str,
    settings: Mapping[str, Any],
    arrangement: str,
    networks: list[str],
    trainable: Mapping[str, nn.Parameter],
) -> list[torch.optim.Optimizer]:
    """The optimizers to step, in order, over whatever of ``networks`` is trained.

    ``groups`` is one optimizer with a parameter group for each network, ``separate`` an optimizer
    for each, ``together`` one over the concatenated list of parameters.
    """
    members = [[p for n, p in trainable.items() if n.startswith(f"{net}.")] for net in networks]
    members = [group for group in members if group]
    make = KINDS[kind]
    if arrangement == "groups":
        return [make([{"params": group} for group in members], **settings)]
    if arrangement == "separate":
        return [make(group, **settings) for group in members]
    return [make([p for group in members for p in group], **settings)]


def reset(optimizers: list[torch.optim.Optimizer]) -> None:
    """Back to the state before the first step, keeping the memory that holds it."""
    for optimizer in optimizers:
        for state in optimizer.state.values():
            for value in state.values():
                if isinstance(value, torch.Tensor):
                    value.zero_()


def state_bytes(optimizers: list[torch.optim.Optimizer]) -> int:
    """Bytes of all tensors that the optimizers keep between steps."""
    values = [v for o in optimizers for state in o.state.values() for v in state.values()]
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, torch.Tensor))
