"""Let a network follow another: its weights are a moving average of the other's."""

from __future__ import annotations

from collections.abc import Collection

import optax

from impl_jax.problem import Buffers, Parameters


def follow(
    parameters: Parameters,
    own_buffers: Buffers,
    *,
    network: str,
    leader: str,
    share: float,
    buffers: bool,
) -> tuple[Parameters, Buffers]:
    """Return all parameters and buffers after a network has moved a little towards its leader.

    Each of its parameters becomes (1 − share) · itself + share · the leader's. With ``buffers``
    those of the leader are copied: an average over parameters alone leaves BatchNorm's running
    statistics behind. It is not jitted: XLA would fuse the products into the sum, which then rounds
    once, not three times.

    Args:
        parameters, own_buffers: of both networks, whose names inside are the same.
        network: the name of the one that follows.
        leader: the name of the one that is trained.
        share: of the leader's value.
        buffers: whether buffers are copied.

    Raises ValueError where a network has no parameters, or the leader other ones.
    """
    of_parameters = pairs(parameters, network, leader)
    led = {own: parameters[other] for own, other in of_parameters.items()}
    followed = {own: parameters[own] for own in of_parameters}
    averaged = optax.incremental_update(led, followed, step_size=share)
    copied: Buffers = {}
    if buffers and any(name.startswith(f"{network}.") for name in own_buffers):
        of_buffers = pairs(own_buffers, network, leader)
        copied = {own: own_buffers[other] for own, other in of_buffers.items()}
    return {**parameters, **averaged}, {**own_buffers, **copied}


def pairs(names: Collection[str], network: str, leader: str) -> dict[str, str]:
    """Return each name of a network's arrays, and that of the same array of its leader.

    Raises ValueError where the two networks have not the same names inside, or none at all.
    """
    inside = {
        one: {name.removeprefix(f"{one}.") for name in names if name.startswith(f"{one}.")}
        for one in (network, leader)
    }
    if not inside[network] or inside[network] != inside[leader]:
        raise ValueError(
            f"{network!r} cannot follow {leader!r}: they must have arrays of the same names; "
            f"{network}: {', '.join(sorted(inside[network])) or 'none'}; "
            f"{leader}: {', '.join(sorted(inside[leader])) or 'none'}"
        )
    return {f"{network}.{name}": f"{leader}.{name}" for name in sorted(inside[network])}
