"""Let a network follow another: its weights are a moving average of the other's."""

from __future__ import annotations

from collections.abc import Collection

import torch

from impl_torch.problem import Problem


@torch.no_grad()
def follow(problem: Problem, *, network: str, leader: str, share: float, buffers: bool) -> None:
    """Move each parameter of a network a little towards that of its leader, in place.

    It becomes (1 − share) · itself + share · the leader's. With ``buffers`` those of the leader are
    copied: an average over parameters alone leaves BatchNorm's running statistics behind.

    Args:
        problem: holds both networks, whose parameters have the same names inside.
        network: the name of the one that follows.
        leader: the name of the one that is trained.
        share: of the leader's value.
        buffers: whether buffers are copied.

    Raises ValueError where a network has no parameters, or the leader other ones.
    """
    for own, other in pairs(problem.parameters, network, leader).items():
        led = problem.parameters[other]
        problem.parameters[own].mul_(1.0 - share).add_(share * led)
    if buffers and any(name.startswith(f"{network}.") for name in problem.buffers):
        for own, other in pairs(problem.every_buffer, network, leader).items():
            problem.every_buffer[own].copy_(problem.every_buffer[other])


def pairs(names: Collection[str], network: str, leader: str) -> dict[str, str]:
    """Return each name of a network's tensors, and that of the same tensor of its leader.

    Raises ValueError where the two networks have not the same names inside, or none at all.
    """
    inside = {
        one: {name.removeprefix(f"{one}.") for name in names if name.startswith(f"{one}.")}
        for one in (network, leader)
    }
    if not inside[network] or inside[network] != inside[leader]:
        raise ValueError(
            f"{network!r} cannot follow {leader!r}: they must have tensors of the same names; "
            f"{network}: {', '.join(sorted(inside[network])) or 'none'}; "
            f"{leader}: {', '.join(sorted(inside[leader])) or 'none'}"
        )
    return {f"{network}.{name}": f"{leader}.{name}" for name in sorted(inside[network])}
