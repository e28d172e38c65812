"""The optimizer of a scenario: one over groups, one for each network, or one over everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from impl_jax.problem import Parameters, leaves_bytes

KINDS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": lambda lr: optax.adam(lr),
    "sgd": lambda lr: optax.sgd(lr),
}
BETA1 = 0.9  # Adam's default, in optax as in torch
ARRANGEMENTS = ("groups", "separate", "together")


def build(
    kind: str,
    settings: Mapping[str, Any],
    arrangement: str,
    networks: list[str],
    trainable: Parameters,
) -> optax.GradientTransformation:
    """The transformation of the gradients of ``trainable``, named canonically.

    ``groups`` is one optimizer with a group for each network (`optax.partition`), ``separate`` an
    optimizer with a state of its own for each, ``together`` one over all parameters.
    """
    present = [net for net in networks if any(n.startswith(f"{net}.") for n in trainable)]
    make = KINDS[kind]
    if arrangement == "groups":
        labels = {n: next(net for net in present if n.startswith(f"{net}.")) for n in trainable}
        return optax.partition({net: make(**settings) for net in present}, labels)
    if arrangement == "separate":
        return _separate({net: make(**settings) for net in present})
    return make(**settings)


def _separate(
    optimizers: Mapping[str, optax.GradientTransformation],
) -> optax.GradientTransformation:
    def part(tree: Parameters, net: str) -> Parameters:
        return {n: leaf for n, leaf in tree.items() if n.startswith(f"{net}.")}

    def init(parameters: Parameters) -> dict[str, Any]:
        return {net: one.init(part(parameters, net)) for net, one in optimizers.items()}

    def update(
        grads: Parameters, states: dict[str, Any], parameters: Parameters | None = None
    ) -> tuple[Parameters, dict[str, Any]]:
        updates, after = Parameters(), {}
        for net, one in optimizers.items():
            of_net = None if parameters is None else part(parameters, net)
            mine, after[net] = one.update(part(grads, net), states[net], of_net)
            updates |= mine
        return updates, after

    return optax.GradientTransformation(init, update)


def first_moment(state: Any) -> Parameters | None:
    """Adam's first moment, wherever it stands in the state; None where there is none."""

    def is_adam(node: Any) -> bool:
        return isinstance(node, optax.ScaleByAdamState)

    moments: Parameters = {}
    for node in filter(is_adam, jax.tree.leaves(state, is_leaf=is_adam)):
        moments |= {n: m for n, m in node.mu.items() if isinstance(m, jax.Array)}
    return moments or None


def state_bytes(state: Any) -> int:
    """Bytes of all arrays that the optimizer keeps between steps."""
    return leaves_bytes(state)
