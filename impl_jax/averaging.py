"""Let a network follow another: its weights are a moving average of the other's."""

from __future__ import annotations

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
    """

    def pairs(arrays: Parameters) -> dict[str, str]:
        own = (name for name in arrays if name.startswith(f"{network}."))
        return {name: leader + name.removeprefix(network) for name in own}

    followed = {n: parameters[n] for n in pairs(parameters)}
    led = {n: parameters[other] for n, other in pairs(parameters).items()}
    averaged = optax.incremental_update(led, followed, step_size=share)
    copied = {n: own_buffers[other] for n, other in pairs(own_buffers).items()} if buffers else {}
    return {**parameters, **averaged}, {**own_buffers, **copied}
