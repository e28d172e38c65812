"""The optimizer of a scenario: one over groups, one for each network, or one over everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

KINDS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,  # its weight_decay is L2: added to the gradient
    "adamw": torch.optim.AdamW,  # decoupled: taken off the weight itself
    "sgd": torch.optim.SGD,
}


def build(
    optimizer: Mapping[str, Any],
    networks: list[str],
    trainable: Mapping[str, nn.Parameter],
) -> list[torch.optim.Optimizer]:
    """The optimizers to step, in order, over whatever of ``networks`` is trained.

    ``optimizer`` is its kind, settings, ``rates`` (layer → learning rate of a group of its own;
    the rest has that of the settings) and arrangement: ``groups`` is one optimizer with a
    parameter group for each network or rate, ``separate`` an optimizer for each, ``together`` one
    over the concatenated list of parameters. Raises ValueError where a rate is given for what has
    no parameters.
    """
    make, settings, rates = KINDS[optimizer["kind"]], optimizer["settings"], optimizer["rates"]
    arrangement = optimizer["arrangement"]
    members = split(trainable, rates or networks, complain=bool(rates))
    groups = [
        {"params": [trainable[n] for n in names], "lr": rates.get(label, settings["lr"])}
        for label, names in members.items()
    ]
    if arrangement == "groups":
        return [make(groups, **settings)]
    if arrangement == "separate":
        return [make([group], **settings) for group in groups]
    return [make([p for group in groups for p in group["params"]], **settings)]


def split(
    names: Iterable[str], prefixes: Iterable[str], *, complain: bool = False
) -> dict[str, list[str]]:
    """Label → names: a group for each prefix that has any, and ``rest`` for what is under none.

    torch takes an empty group without a word; with ``complain`` it is a ValueError.
    """
    left, found = list(names), {}
    for prefix in prefixes:
        under = [name for name in left if name == prefix or name.startswith(f"{prefix}.")]
        if complain and not under:
            raise ValueError(
                f"parameter group {prefix!r} selects no parameters: a layer such as an activation "
                f"has none; name one of {', '.join(dict.fromkeys(map(_layer, names)))}"
            )
        found[prefix] = under
        left = [name for name in left if name not in under]
    return {label: under for label, under in (found | {"rest": left}).items() if under}


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def extend(
    optimizers: list[torch.optim.Optimizer], trainable: Mapping[str, nn.Parameter], factor: float
) -> None:
    """Add what none of them holds yet to the first, as a new group; the others' state lives on.

    ``factor`` is by what the learning rates were multiplied so far.
    """
    held = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
    added = [parameter for parameter in trainable.values() if id(parameter) not in held]
    if added:
        lr = optimizers[0].defaults["lr"] * factor
        optimizers[0].add_param_group({"params": added, "lr": lr})


def scale_rates(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Multiply every learning rate in place; the state stays."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] *= factor


def holding(
    optimizers: list[torch.optim.Optimizer], trainable: Mapping[str, nn.Parameter]
) -> list[torch.optim.Optimizer]:
    """Those of the optimizers that hold one of these parameters."""
    wanted = {id(parameter) for parameter in trainable.values()}
    return [
        o for o in optimizers if any(id(p) in wanted for g in o.param_groups for p in g["params"])
    ]


def reset(optimizers: list[torch.optim.Optimizer]) -> None:
    """Back to the state before the first step, keeping the memory that holds it."""
    for optimizer in optimizers:
        for state in optimizer.state.values():
            for value in state.values():
                if isinstance(value, torch.Tensor):
                    value.zero_()


def memory(
    optimizers: list[torch.optim.Optimizer], parameters: Mapping[str, nn.Parameter]
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """What is remembered of past gradients, by name: the first moment, and the steps counted.

    Momentum is SGD's first moment; SGD counts no steps.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    kept = [(names[id(p)], state) for o in optimizers for p, state in o.state.items()]
    moments = {n: s[k] for n, s in kept for k in ("exp_avg", "momentum_buffer") if k in s}
    steps = {n: int(s["step"]) for n, s in kept if "step" in s}
    return moments, steps


def state_bytes(optimizers: list[torch.optim.Optimizer]) -> int:
    """Bytes of all tensors that the optimizers keep between steps."""
    values = [v for o in optimizers for state in o.state.values() for v in state.values()]
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, torch.Tensor))
