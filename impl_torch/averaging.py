"""Let a network follow another: its weights are a moving average of the other's."""

from __future__ import annotations

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
    """
    for name, own in problem.parameters.items():
        if name.startswith(f"{network}."):
            other = problem.parameters[leader + name.removeprefix(network)]
            own.mul_(1.0 - share).add_(share * other)
    for name, own in problem.buffers.items() if buffers else ():
        if name.startswith(f"{network}."):
            own.copy_(problem.buffers[leader + name.removeprefix(network)])
