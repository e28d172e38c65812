"""Define the passes of the recipes: forward in front of a cut and behind it, and backward.

`impl_torch.recipes` says which recipe uses which.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from impl_torch.problem import Losses, Problem
from impl_torch.runtime import Unavailable


def backward_of_sum(losses: Losses) -> None:
    """Run one backward pass of the sum of these losses."""
    reduce(add, losses.values()).backward()


def networks_in_front(problem: Problem) -> int:
    """Return how many networks stand in front of the first one that is trained."""
    trained = [
        any(n.startswith(f"{stage.name}.") for n in problem.trainable) for stage in problem.stages
    ]
    return trained.index(True)


def check_front(problem: Problem, recipe: str) -> None:
    """Check that all frozen parameters stand in front of all trained ones, and nowhere else.

    Raises:
        ValueError: one stands in another place.
        Unavailable: one is tied to a parameter of a network behind, or a trained one to a parameter
            in front. A cut between the networks does not keep a gradient from the former, and takes
            a part of its gradient from the latter.
    """
    front = tuple(f"{stage.name}." for stage in problem.stages[: networks_in_front(problem)])
    frozen = [name for name in problem.parameters if name not in problem.trainable]
    if not front or not all(name.startswith(front) for name in frozen):
        raise ValueError(f"{recipe}: what is frozen must stand in front, in networks of its own")
    for other, name in problem.tied.items():
        if name not in problem.trainable and not other.startswith(front):
            raise Unavailable(
                f"{recipe} freezes by a cut behind the front, and {name}, which is frozen, is tied "
                f"to {other}, behind that cut: it would get a gradient there"
            )
        if name in problem.trainable and other.startswith(front):
            raise Unavailable(
                f"{recipe} freezes by a cut behind the front, and {name}, which is trained, is "
                f"tied to {other}, in front of that cut: it would lose the gradient from there"
            )


def run_front(problem: Problem) -> Any:
    """Return the output of the networks in front of the first one that is trained."""
    value = problem.data["x"]
    for stage in problem.stages[: networks_in_front(problem)]:
        value, _ = problem.run_stage(stage, value, among=())
    return value


def losses_behind(problem: Problem, value: Any, front: int) -> Losses:
    """Run the networks behind the first ones; return their losses by name.

    Only losses that reach a trained parameter are computed.

    Args:
        problem: whose networks.
        value: the output of the first ones, such as `run_front` returns it.
        front: how many networks have been run.
    """
    losses: Losses = {}
    for stage in problem.stages[front:]:
        value, stage_losses = problem.run_stage(stage, value)
        losses |= stage_losses
    return losses
