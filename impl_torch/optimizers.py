"""Build a scenario's optimizer, change its learning rates, and read its state.

A scenario has one optimizer over all parameters, one with a parameter group for each network or
learning rate, or a separate optimizer for each of these (see `build`). Read from its state are
first moments, counted steps and bytes, by which the harness compares both frameworks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

KINDS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,  # weight_decay is L2: it is added to the gradient
    "adamw": torch.optim.AdamW,  # weight_decay is decoupled: it is subtracted from the weight
    "sgd": torch.optim.SGD,
}


def build(
    optimizer: Mapping[str, Any],
    networks: list[str],
    trainable: Mapping[str, nn.Parameter],
) -> list[torch.optim.Optimizer]:
    """Return the optimizers over the trained parameters, in the order in which they are stepped.

    Args:
        optimizer: a dict of four entries. ``kind`` is a key of `KINDS`, ``settings`` are its
            keyword arguments. ``rates`` maps a layer or network to the learning rate of a group of
            its own; all other parameters have that of the settings. ``arrangement`` is ``groups``
            for one optimizer with a parameter group for each network or rate, ``separate`` for an
            optimizer for each, ``together`` for one over a single list of all parameters.
        networks: the names of the networks, first parts of the names of their parameters.
        trainable: the parameters to optimize, by name.

    Raises ValueError where a rate is given for a layer without parameters, or to one optimizer
    over a single list, which has one rate.
    """
    check_rates(optimizer)
    make, settings, rates = KINDS[optimizer["kind"]], optimizer["settings"], optimizer["rates"]
    arrangement = optimizer["arrangement"]
    members = split(trainable, rates or networks, complain=bool(rates))
    groups = [
        {
            "params": [trainable[n] for n in names],
            "lr": rates.get(label, settings["lr"]),
            "label": label,  # torch keeps it beside the group's settings
        }
        for label, names in members.items()
    ]
    if arrangement == "groups":
        return [make(groups, **settings)]
    if arrangement == "separate":
        return [make([group], **settings) for group in groups]
    return [make([p for group in groups for p in group["params"]], **settings)]


def check_rates(optimizer: Mapping[str, Any]) -> None:
    """Raise ValueError where one optimizer over a single list is given several learning rates."""
    if optimizer["rates"] and optimizer["arrangement"] == "together":
        raise ValueError(
            f"arrangement 'together' is one optimizer over a single list, with one rate; rates of "
            f"{', '.join(optimizer['rates'])} need 'groups' or 'separate'"
        )


def split(
    names: Iterable[str], prefixes: Iterable[str], *, complain: bool = False
) -> dict[str, list[str]]:
    """Sort the names of parameters into groups; return prefix → names.

    ``prefixes`` are names of layers or networks; a name belongs to the first prefix that it starts
    with. The names under no prefix make the group ``rest``, and empty groups are left out. torch
    accepts an empty group silently; with ``complain`` a prefix without names raises ValueError.
    """
    remaining, groups = list(names), {}
    for prefix in prefixes:
        members = [name for name in remaining if name == prefix or name.startswith(f"{prefix}.")]
        if complain and not members:
            raise ValueError(
                f"parameter group {prefix!r} selects no parameters: a layer such as an activation "
                f"has none; name one of {', '.join(dict.fromkeys(map(_layer, names)))}"
            )
        groups[prefix] = members
        remaining = [name for name in remaining if name not in members]
    return {label: members for label, members in (groups | {"rest": remaining}).items() if members}


def _layer(name: str) -> str:
    """Return the layer of a parameter: ``net1.linear`` for ``net1.linear.weight``."""
    return name.rpartition(".")[0]


def extend(
    optimizers: list[torch.optim.Optimizer], trainable: Mapping[str, nn.Parameter], factor: float
) -> None:
    """Add the parameters that no optimizer holds yet to the first optimizer, as a new group.

    The state of all other parameters stays. ``factor`` is the product of all changes of the
    learning rate so far, which the new group's rate is multiplied by.
    """
    present = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
    added = [parameter for parameter in trainable.values() if id(parameter) not in present]
    if added:
        lr = optimizers[0].defaults["lr"] * factor
        optimizers[0].add_param_group({"params": added, "lr": lr})


def set_rate_zero(
    optimizers: list[torch.optim.Optimizer], parameters: Collection[nn.Parameter]
) -> None:
    """Move these parameters into groups of their own whose learning rate is 0; state stays."""
    still = {id(parameter) for parameter in parameters}
    for optimizer in optimizers:
        for group in list(optimizer.param_groups):
            own = [p for p in group["params"] if id(p) in still]
            if own and group["lr"] != 0.0:
                group["params"] = [p for p in group["params"] if id(p) not in still]
                optimizer.add_param_group({**group, "params": own, "lr": 0.0})


def scale_rates(
    optimizers: list[torch.optim.Optimizer], factor: float, only: Collection[str] = ()
) -> None:
    """Multiply learning rates by ``factor`` in place; all other state stays.

    ``only`` are the labels of the groups whose rates change; empty for all.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if not only or group.get("label") in only:
                group["lr"] *= factor


def labels(optimizers: list[torch.optim.Optimizer]) -> list[str]:
    """Return the labels of all parameter groups that have one, see `build`."""
    return [group["label"] for o in optimizers for group in o.param_groups if "label" in group]


def check_labels(present: Collection[str], only: Iterable[str]) -> None:
    """Raise ValueError for a label in ``only`` that no parameter group has."""
    for label in only:
        if label not in present:
            groups = ", ".join(present) or "none, as one optimizer is over a single list"
            raise ValueError(f"no parameter group {label!r}, whose rate should change: {groups}")


def containing(
    optimizers: list[torch.optim.Optimizer], trainable: Mapping[str, nn.Parameter]
) -> list[torch.optim.Optimizer]:
    """Return those optimizers that hold at least one of these parameters."""
    stepped = {id(parameter) for parameter in trainable.values()}
    return [
        o for o in optimizers if any(id(p) in stepped for g in o.param_groups for p in g["params"])
    ]


@dataclass(frozen=True)
class Start:
    """Hold an optimizer, and copies of its state and of its groups' settings before any step.

    Attributes:
        optimizer: the optimizer itself.
        state: parameter → key → value, as ``optimizer.state``; empty where the first step makes it.
        groups: the settings of each parameter group, without its parameters.
    """

    optimizer: torch.optim.Optimizer
    state: Mapping[Any, Mapping[str, Any]]
    groups: list[dict[str, Any]]

    def restore(self) -> None:
        """Give the optimizer copies of this state and of these settings."""
        self.optimizer.state.clear()
        self.optimizer.state.update(_copy(self.state))
        for group, settings in zip(self.optimizer.param_groups, self.groups, strict=True):
            group.update(_copy(settings))


def starts(optimizers: list[torch.optim.Optimizer]) -> list[Start]:
    """Return what `reset` needs of optimizers that have not stepped yet."""
    settings = [
        [{k: v for k, v in group.items() if k != "params"} for group in o.param_groups]
        for o in optimizers
    ]
    return [
        Start(o, _copy(dict(o.state)), _copy(groups))
        for o, groups in zip(optimizers, settings, strict=True)
    ]


def _copy(value: Any) -> Any:
    """Return a copy of nested dicts, lists and tuples, and of every tensor in them."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copy(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copy(one) for one in value)
    return value  # a number, or what may not be copied at all


def reset(starts: Iterable[Start]) -> None:
    """Set all state to what it is before the first step.

    Tensors of torch's own optimizers are filled in place, so that a step within the clock does not
    allocate them anew. Two kinds of state cannot be filled: the momentum of SGD with dampening,
    which the first step sets to the gradient, and the state of an optimizer class that is not
    torch's, which may start at anything. These are set to what they were, most often nothing, and
    the next step allocates them. What such a class keeps in attributes of its own stays.
    """
    for start in starts:
        if type(start.optimizer).__module__.startswith("torch.optim."):
            _fill(start.optimizer)
        else:
            start.restore()


def _fill(optimizer: torch.optim.Optimizer) -> None:
    """Fill the state of an optimizer of torch's with the values of its start, in place."""
    for group in optimizer.param_groups:
        values = _values_at_start(optimizer, group)
        for state in (optimizer.state.get(p, {}) for p in group["params"]):
            if group.get("dampening"):
                state.pop("momentum_buffer", None)  # the first step sets it to the gradient
            for key, value in state.items():
                if isinstance(value, torch.Tensor):
                    value.fill_(values.get(key, 0.0))
                elif key == "step":  # of SparseAdam: a plain number
                    state[key] = 0


def _values_at_start(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an optimizer's state does not start at 0, as of a parameter group."""
    if isinstance(optimizer, torch.optim.NAdam):
        return {"mu_product": 1.0}
    if isinstance(optimizer, torch.optim.ASGD):
        return {"mu": 1.0, "eta": group["lr"]}
    if isinstance(optimizer, torch.optim.Rprop):
        return {"step_size": group["lr"]}
    if isinstance(optimizer, torch.optim.Adagrad):
        return {"sum": group["initial_accumulator_value"]}
    return {}


def memory(
    optimizers: list[torch.optim.Optimizer], parameters: Mapping[str, nn.Parameter]
) -> tuple[dict[str, torch.Tensor], dict[str, int]]:
    """Return the first moments and the numbers of steps in the optimizers' state.

    Both map the name of a parameter to its own. SGD's first moment is its momentum; SGD counts no
    steps.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    states = [(names[id(p)], state) for o in optimizers for p, state in o.state.items()]
    moments = {n: s[k] for n, s in states for k in ("exp_avg", "momentum_buffer") if k in s}
    steps = {n: int(s["step"]) for n, s in states if "step" in s}
    return moments, steps


def state_bytes(optimizers: list[torch.optim.Optimizer]) -> int:
    """Return the bytes of all tensors that the optimizers keep between steps."""
    values = [v for o in optimizers for state in o.state.values() for v in state.values()]
    return sum(v.numel() * v.element_size() for v in values if isinstance(v, torch.Tensor))
