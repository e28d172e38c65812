"""The optimizer of a scenario: one over groups, one for each network, or one over everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import jax
import optax

from impl_jax.problem import Parameters, leaves_bytes

Transformation: TypeAlias = optax.GradientTransformation
BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's defaults, in optax as in torch


def adam(
    lr: float, betas: tuple[float, float] = BETAS, eps: float = EPS, weight_decay: float = 0.0
) -> Transformation:
    """Adam; ``weight_decay`` is L2, added to the gradient, as torch's ``Adam`` has it."""
    inner = optax.adam(lr, *betas, eps=eps)
    return optax.chain(optax.add_decayed_weights(weight_decay), inner) if weight_decay else inner


def adamw(
    lr: float, betas: tuple[float, float] = BETAS, eps: float = EPS, weight_decay: float = 0.0
) -> Transformation:
    """Adam with decoupled decay, taken off the weight itself."""
    return optax.adamw(lr, *betas, eps=eps, weight_decay=weight_decay)


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> Transformation:
    """Gradient descent; ``weight_decay`` is added to the gradient before the momentum."""
    inner = optax.sgd(lr, momentum or None)
    return optax.chain(optax.add_decayed_weights(weight_decay), inner) if weight_decay else inner


KINDS: dict[str, Callable[..., Transformation]] = {"adam": adam, "adamw": adamw, "sgd": sgd}
STATIC: dict[str, tuple[str, ...]] = {  # what no schedule changes
    "adam": ("betas", "eps", "weight_decay"),
    "adamw": ("betas", "eps", "weight_decay"),
    "sgd": ("momentum", "weight_decay"),
}


def make(kind: str, settings: Mapping[str, Any], *, adjustable: bool = False) -> Transformation:
    """A transformation of this kind; ``adjustable`` keeps its learning rate in its state."""
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
    """The transformation of the gradients of ``trainable``, named canonically.

    ``optimizer`` is its kind, settings, ``rates`` (layer → learning rate of a group of its own;
    the rest has that of the settings) and arrangement: ``groups`` is one optimizer with a group
    for each network or rate (`optax.partition`), ``separate`` an optimizer with a state of its own
    for each, ``together`` one over all parameters. Raises ValueError where a rate is given for
    what has no parameters.
    """
    kind, settings, rates = optimizer["kind"], optimizer["settings"], optimizer["rates"]
    if optimizer["arrangement"] == "together":
        return make(kind, settings, adjustable=adjustable)
    members = split(trainable, rates or networks, complain=bool(rates))
    each = {label: settings | {"lr": rates.get(label, settings["lr"])} for label in members}
    made = {label: make(kind, own, adjustable=adjustable) for label, own in each.items()}
    if optimizer["arrangement"] == "groups":
        labels = {n: label for label, names in members.items() for n in names}
        return optax.partition(made, labels)
    return _separate(made, members)


def split(
    names: Iterable[str], prefixes: Iterable[str], *, complain: bool = False
) -> dict[str, list[str]]:
    """Label → names: a group for each prefix that has any, and ``rest`` for what is under none.

    optax takes a label without parameters without a word; with ``complain`` it is a ValueError.
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


def _separate(
    optimizers: Mapping[str, Transformation], members: Mapping[str, list[str]]
) -> Transformation:
    """An optimizer for each label, its state under that label; those without gradients rest."""

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
                held = None if parameters is None else part(parameters, label)
                changed, after[label] = one.update(mine, states[label], held)
                updates |= changed
        return updates, after

    return Transformation(init, update)


def scale_rates(state: Any, factor: float) -> Any:
    """Multiply every learning rate that stands in the state; the rest of it stays."""

    def adjusts(node: Any) -> bool:
        return hasattr(node, "hyperparams")

    def scaled(node: Any) -> Any:
        if not adjusts(node):
            return node
        rates = {**node.hyperparams, "lr": node.hyperparams["lr"] * factor}
        return node._replace(hyperparams=rates)

    return jax.tree.map(scaled, state, is_leaf=adjusts)


def memory(state: Any) -> tuple[Parameters, dict[str, int]]:
    """What is remembered of past gradients, by name: the first moment, and the steps counted.

    Momentum is SGD's first moment; SGD counts no steps.
    """

    def remembers(node: Any) -> bool:
        return isinstance(node, (optax.ScaleByAdamState, optax.TraceState))

    moments: Parameters = {}
    steps: dict[str, int] = {}
    for node in filter(remembers, jax.tree.leaves(state, is_leaf=remembers)):
        adam_state = isinstance(node, optax.ScaleByAdamState)
        kept = node.mu if adam_state else node.trace
        held = {n: m for n, m in kept.items() if isinstance(m, jax.Array)}
        moments |= held
        steps |= {n: int(node.count) for n in held} if adam_state else {}
    return moments, steps


def gradient_of(state: Any, optimizer: Mapping[str, Any], start: Parameters) -> Parameters:
    """The gradients of the first step, as the first moment holds them; empty where none is kept.

    Adam's is m = (1 − β₁) g, momentum's is g; L2 has been added to either.
    """
    settings, moments = optimizer["settings"], memory(state)[0]
    share = 1.0 if optimizer["kind"] == "sgd" else 1.0 - settings.get("betas", BETAS)[0]
    decay = 0.0 if optimizer["kind"] == "adamw" else settings.get("weight_decay", 0.0)
    return {n: m / share - decay * start[n] for n, m in moments.items()}


def state_bytes(state: Any) -> int:
    """Bytes of all arrays that the optimizer keeps between steps."""
    return leaves_bytes(state)
