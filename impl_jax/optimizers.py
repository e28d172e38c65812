"""Build a scenario's optimizer, change its learning rates, and read its state.

A scenario has one optimizer over all parameters, one with a parameter group for each network or
learning rate, or a separate optimizer for each of these (see `build`). Read from its state are
first moments, counted steps and bytes, by which the harness compares both frameworks. The gradients
of a first step can be recovered from its first moments (`gradient_of`): a jitted step that returned
gradients would be another program.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from impl_jax.problem import Parameters, leaves_bytes

Transformation: TypeAlias = optax.GradientTransformation
BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's defaults, in optax as in torch


def adam(
    lr: float, betas: tuple[float, float] = BETAS, eps: float = EPS, weight_decay: float = 0.0
) -> Transformation:
    """Build Adam; ``weight_decay`` is L2, added to the gradient, as in torch's ``Adam``."""
    inner = optax.adam(lr, *betas, eps=eps)
    return optax.chain(optax.add_decayed_weights(weight_decay), inner) if weight_decay else inner


def adamw(
    lr: float, betas: tuple[float, float] = BETAS, eps: float = EPS, weight_decay: float = 0.0
) -> Transformation:
    """Build AdamW; ``weight_decay`` is decoupled, subtracted from the weight."""
    return optax.adamw(lr, *betas, eps=eps, weight_decay=weight_decay)


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> Transformation:
    """Build SGD; ``weight_decay`` is L2, added to the gradient before the momentum."""
    inner = optax.sgd(lr, momentum or None)
    return optax.chain(optax.add_decayed_weights(weight_decay), inner) if weight_decay else inner


KINDS: dict[str, Callable[..., Transformation]] = {"adam": adam, "adamw": adamw, "sgd": sgd}
STATIC: dict[str, tuple[str, ...]] = {  # settings that are no arrays in the state
    "adam": ("betas", "eps", "weight_decay"),
    "adamw": ("betas", "eps", "weight_decay"),
    "sgd": ("momentum", "weight_decay"),
}


def make(kind: str, settings: Mapping[str, Any], *, adjustable: bool = False) -> Transformation:
    """Build an optimizer of this kind (a key of `KINDS`) with these keyword arguments.

    If ``adjustable``, its learning rate is in its state, where `scale_rates` can change it.
    """
    factory = KINDS[kind]
    if adjustable:
        return optax.inject_hyperparams(factory, STATIC[kind])(**settings)
    return factory(**settings)


def build(
    optimizer: Mapping[str, Any],
    networks: list[str],
    trainable: Iterable[str],
    *,
    adjustable: bool = False,
) -> Transformation:
    """Return the transformation of the gradients of the trained parameters.

    Args:
        optimizer: a dict of four entries. ``kind`` is a key of `KINDS`, ``settings`` are its
            keyword arguments. ``rates`` maps a layer or network to the learning rate of a group of
            its own; all other parameters have that of the settings. ``arrangement`` is ``groups``
            for one optimizer with a group for each network or rate (`optax.partition`),
            ``separate`` for an optimizer with a state of its own for each, ``together`` for one
            over all parameters.
        networks: the names of the networks, first parts of the names of their parameters.
        trainable: the canonical names of the parameters to optimize.
        adjustable: whether `scale_rates` may change the learning rates later.

    Raises ValueError where a rate is given for a layer without parameters, or to one optimizer
    over a single list, which has one rate.
    """
    kind, settings, rates = optimizer["kind"], optimizer["settings"], optimizer["rates"]
    check_rates(optimizer)
    if optimizer["arrangement"] == "together":
        return make(kind, settings, adjustable=adjustable)
    members = split(trainable, rates or networks, complain=bool(rates))
    each = {label: settings | {"lr": rates.get(label, settings["lr"])} for label in members}
    transformations = {n: make(kind, own, adjustable=adjustable) for n, own in each.items()}
    if optimizer["arrangement"] == "groups":
        labels = {n: label for label, names in members.items() for n in names}
        return optax.partition(transformations, labels)
    return _separate(transformations, members)


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
    with. The names under no prefix make the group ``rest``, and empty groups are left out. optax
    accepts a label without parameters silently; with ``complain`` a prefix without names raises
    ValueError.
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


def _separate(
    optimizers: Mapping[str, Transformation], members: Mapping[str, list[str]]
) -> Transformation:
    """Return one transformation that steps a separate optimizer for each label.

    ``members`` maps a label to the names of its parameters. The state maps a label to the state of
    its optimizer. An optimizer whose parameters have no gradients in an update is not stepped, and
    its state stays.
    """

    def part(tree: Parameters, label: str) -> Parameters:
        return {name: tree[name] for name in members[label] if name in tree}

    def init(parameters: Parameters) -> dict[str, Any]:
        return {label: one.init(part(parameters, label)) for label, one in optimizers.items()}

    def update(
        grads: Parameters, states: dict[str, Any], parameters: Parameters | None = None
    ) -> tuple[Parameters, dict[str, Any]]:
        updates, after = Parameters(), dict(states)
        for label, one in optimizers.items():
            mine = part(grads, label)
            if mine:
                own = None if parameters is None else part(parameters, label)
                changed, after[label] = one.update(mine, states[label], own)
                updates |= changed
        return updates, after

    return Transformation(init, update)


def masked_by_state(frozen: Collection[str]) -> Transformation:
    """Return a transformation whose state is the mask that it multiplies updates by.

    So the mask is an argument of a jitted step. It is 0 for the parameters named in ``frozen``.
    """

    def init(parameters: Parameters) -> Parameters:
        return {n: jnp.asarray(float(n not in frozen)) for n in parameters}

    def update(updates: Parameters, mask: Parameters, _: Any = None) -> tuple[Parameters, Any]:
        return {n: u * mask[n].astype(u.dtype) for n, u in updates.items()}, mask

    return Transformation(init, update)


def scale_rates(state: Any, factor: float, only: Collection[str] = ()) -> Any:
    """Return the state with learning rates multiplied by ``factor``, and all else as it is.

    Only an optimizer that was built ``adjustable`` has its learning rate in the state
    (`optax.inject_hyperparams`). ``only`` are the labels of the groups whose rates change; empty
    for all.
    """
    if only:
        parts = _by_label(state)
        changed = {n: scale_rates(part, factor) if n in only else part for n, part in parts.items()}
        return changed if isinstance(state, dict) else state._replace(inner_states=changed)

    def adjusts(node: Any) -> bool:
        return hasattr(node, "hyperparams")

    def scaled(node: Any) -> Any:
        if not adjusts(node):
            return node
        rates = {**node.hyperparams, "lr": node.hyperparams["lr"] * factor}
        return node._replace(hyperparams=rates)

    return jax.tree.map(scaled, state, is_leaf=adjusts)


def labels(state: Any) -> list[str]:
    """Return the labels of all parameter groups, see `build`; none for one over all parameters."""
    return list(_by_label(state))


def _by_label(state: Any) -> Mapping[str, Any]:
    """Return the state of each parameter group by its label, see `build`."""
    return state if isinstance(state, dict) else getattr(state, "inner_states", {})


def check_labels(present: Collection[str], only: Iterable[str]) -> None:
    """Raise ValueError for a label in ``only`` that no parameter group has."""
    for label in only:
        if label not in present:
            groups = ", ".join(present) or "none, as one optimizer is over a single list"
            raise ValueError(f"no parameter group {label!r}, whose rate should change: {groups}")


def memory(state: Any) -> tuple[Parameters, dict[str, int]]:
    """Return the first moments and the numbers of steps in an optimizer's state.

    Both map the name of a parameter to its own. SGD's first moment is its momentum; SGD counts no
    steps.
    """

    def has_moments(node: Any) -> bool:
        return isinstance(node, (optax.ScaleByAdamState, optax.TraceState))

    moments: Parameters = {}
    steps: dict[str, int] = {}
    for node in filter(has_moments, jax.tree.leaves(state, is_leaf=has_moments)):
        adam_state = isinstance(node, optax.ScaleByAdamState)
        tree = node.mu if adam_state else node.trace
        arrays = {n: m for n, m in tree.items() if isinstance(m, jax.Array)}
        moments |= arrays
        steps |= {n: int(node.count) for n in arrays} if adam_state else {}
    return moments, steps


def gradient_of(
    state: Any, optimizer: Mapping[str, Any], start: Parameters
) -> dict[str, NDArray[np.floating]]:
    """Return the gradients of the first step, recovered from the first moments that it left.

    Adam's moment is then m = (1 − β₁) g and SGD's is g. L2 decay has been added to g in both, and
    is taken off again. The result is empty for an optimizer without moments, and for one of a kind
    that is not in `KINDS`. It is computed by NumPy: each operation of eager JAX would be compiled
    for every shape, in every launch.

    Args:
        state: the optimizer's state after its first step.
        optimizer: its ``kind`` and ``settings``, as in `build`.
        start: the parameters before the step, by name.
    """
    if optimizer["kind"] not in KINDS:
        return {}
    settings, moments = optimizer["settings"], memory(state)[0]
    share = 1.0 if optimizer["kind"] == "sgd" else 1.0 - settings.get("betas", BETAS)[0]
    decay = 0.0 if optimizer["kind"] == "adamw" else settings.get("weight_decay", 0.0)
    return {n: np.asarray(m) / share - decay * np.asarray(start[n]) for n, m in moments.items()}


def state_bytes(state: Any) -> int:
    """Return the bytes of all arrays that the optimizer keeps between steps."""
    return leaves_bytes(state)
