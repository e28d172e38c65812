"""Describe trainings: their segments, who follows whom, and the end that they must come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Follower:
    """Describe a network that follows another after each round, as a teacher its student.

    Each parameter becomes (1 − share) · itself + share · the leader's; no optimizer moves it.

    Attributes:
        network: The network that follows.
        leader: The network that is followed; the names inside are the same.
        share: Of the leader's value.
        buffers: Whether buffers, such as BatchNorm's running statistics, are copied.
    """

    network: str
    leader: str
    share: float
    buffers: bool = True


@dataclass(frozen=True)
class Segment:
    """Describe a part of a training: ``steps`` rounds, each of which takes every turn in order.

    ``turns`` are names of variants. Before the first round the learning rates are multiplied by
    ``rate``: those of the parameter groups in ``only``, named as in `Optimizer.rates`, or all if
    it is empty; in place, or with ``renew`` by starting new optimizers without state. With
    ``share_forward`` the network in front runs forward once a round, for all turns, of which just
    one trains it. After each round the ``follower``, if there is one, follows its leader.
    """

    steps: int
    turns: tuple[str, ...] = ("-",)
    rate: float = 1.0
    renew: bool = False
    only: tuple[str, ...] = ()
    share_forward: bool = False
    follower: Follower | None = None


@dataclass(frozen=True)
class Training:
    """Describe a training with the scenario's optimizer, and the end that it must come to.

    Attributes:
        name: The name of the training, which stands in the id of its test.
        segments: The parts of the training, in order.
        losses: The losses that are summed; None for all of them.
        reaches: {network: (target, tolerance)} for every element of the network's output.
        unmoved: Networks that must end bit-identical to their start.
        steps_counted: {network: steps} that Adam must have counted.
        band: How far the weights may end in float32 from those in float64, as a share of the
            distance travelled; the rounding of the weights themselves comes on top.
    """

    name: str
    segments: tuple[Segment, ...]
    losses: tuple[str, ...] | None = None
    reaches: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unmoved: tuple[str, ...] = ()
    steps_counted: Mapping[str, int] = field(default_factory=dict)
    band: float = 1e-4
