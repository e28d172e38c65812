"""Build the scenarios of the family "branches": networks that are no plain series.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/branches.py``. Where more than
one value goes on to the next stage, or to the losses, a network returns a tuple.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.partial_freeze import Convolutions
from impl_torch.problem import Data, Stage, against

Pair = tuple[Tensor, Tensor]
STOPS = ("link", "codebook", "commitment")  # where `straight_through` stops a gradient


class Heads(nn.Module):
    """Two Linear layers over the same features [batch, features] → ([batch, 10], [batch, 4])."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.classes = nn.Linear(features, 10)
        self.values = nn.Linear(features, 4)

    def forward(self, x: Tensor) -> Pair:
        return self.classes(x), self.values(x)


def shared_backbone(*, width: int) -> list[Stage]:
    """Build LeNet's convolutions with two heads, and a loss for each: a fork.

    The scenario shows the everyday case of several losses. A separate backward pass for each walks
    the backbone again; no loss reaches the other's head.
    """
    losses = {"loss1": _classified, "loss2": _estimated}
    return [Stage("backbone", Convolutions(1, width)), Stage("heads", Heads(400 * width), losses)]


def _classified(output: Pair, data: Data) -> Tensor:
    """Return the cross-entropy of the first head's output to the labels."""
    return F.cross_entropy(output[0], data["labels"])


def _estimated(output: Pair, data: Data) -> Tensor:
    """Return half of the mean squared error of the second head's output."""
    return 0.5 * F.mse_loss(output[1], data["values"])


class Perceptron(nn.Module):
    """Linear, ReLU and Linear: [batch, inputs] → [batch, outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, hidden)
        self.relu = nn.ReLU()
        self.linear2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.relu(self.linear1(x)))


class Nearest(nn.Module):
    """The place of the smallest entry in each row: [rows, entries] → [rows].

    It is a module so that `probing.kink_distance` sees how near two entries of a row are to a tie,
    where rounding decides between them.
    """

    def forward(self, distances: Tensor) -> Tensor:
        return distances.argmin(-1)


class Codebook(nn.Module):
    """A table of codes: z [batch, width] → (z, the code that is nearest to each row of it).

    The choice of a code has no gradient; the code itself has one, by its row of the table.
    """

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(codes, width)
        self.nearest = Nearest()

    def forward(self, z: Tensor) -> Pair:
        with torch.no_grad():
            codes = self.table.weight
            # the squared distance but for |z|², which is the same for every code
            distances = codes.square().sum(-1) - 2 * (z @ codes.T)
        return z, self.table(self.nearest(distances))


def straight_through(
    *, inputs: int, hidden: int, width: int, codes: int, without: str = ""
) -> list[Stage]:
    """Build an autoencoder whose values are rounded to the nearest of some codes.

    Rounding has no gradient of use: it is passed straight through, as if nothing had been rounded
    (van den Oord et al. 2017, "Neural discrete representation learning"). The scenario shows three
    losses, each of which trains a part: the flow is made of where the gradient is stopped.
    ``without`` names the one of `STOPS` that is left out, to see what it is there for.
    """

    def stop(place: str, value: Tensor) -> Tensor:
        return value if place == without else value.detach()

    def rounded(output: Pair, _: Data) -> Tensor:
        z, code = output
        return z + stop("link", code - z)

    def codebook(output: Pair, _: Data) -> Tensor:
        z, code = output
        return F.mse_loss(code, stop("codebook", z))

    def commitment(output: Pair, _: Data) -> Tensor:
        z, code = output
        return 0.25 * F.mse_loss(z, stop("commitment", code))

    losses = {"loss_codebook": codebook, "loss_commitment": commitment}
    decoder = Perceptron(width, hidden, inputs)
    return [
        Stage("encoder", Perceptron(inputs, hidden, width)),
        Stage("codebook", Codebook(codes, width), losses),
        Stage("decoder", decoder, {"loss_reconstruction": against("x", F.mse_loss)}, rounded),
    ]


class Encoder(nn.Module):
    """Conv 3×3 · BatchNorm · ReLU · Conv 3×3 · ReLU · mean over the pixels · Linear."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # without a bias, which the BatchNorm would take out again
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.linear = nn.Linear(2 * channels, channels)
        self.relu = nn.ReLU()

    def encode(self, x: Tensor) -> Tensor:
        """Encode images [batch, 3, height, width] → [batch, channels]."""
        h = self.relu(self.norm(self.conv1(x)))
        return self.linear(self.relu(self.conv2(h)).mean((2, 3)))


class Teacher(Encoder):
    """An encoder of images [batch, 3, height, width] → [batch, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)


class Student(Encoder):
    """An encoder that is handed its target: (images, target) → (encoded images, target)."""

    def forward(self, pair: Pair) -> Pair:
        images, target = pair
        return self.encode(images), target


class Probe(nn.Module):
    """A single Linear layer: [batch, channels] → logits [batch, 10]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def momentum_teacher(*, channels: int) -> list[Stage]:
    """Build a student with a probe on its output, and a teacher that the student is held to.

    The teacher encodes another view by its running statistics, in eval mode. It is frozen for the
    optimizer; `averaging.follow` moves it after each step (Tarvainen and Valpola 2017, "Mean
    teachers are better role models"). The scenario shows the ways to keep a loss from a network
    that is in front of it: they are the recipes.
    """
    return [
        Stage("teacher", Teacher(channels).eval(), enter=_other_view),
        Stage("student", Student(channels), {"loss_consistency": _distance}, _view_and_target),
        Stage(
            "probe",
            Probe(channels),
            {"loss_probe": against("labels", F.cross_entropy)},
            _without_target,
        ),
    ]


def _other_view(_: Tensor, data: Data) -> Tensor:
    """Return the images that the teacher sees, in place of the student's."""
    return data["other"]


def _view_and_target(target: Tensor, data: Data) -> Pair:
    """Return the images that the student sees, beside the teacher's output."""
    return data["x"], target


def _distance(output: Pair, _: Data) -> Tensor:
    """Return the mean squared distance of the student's output to its target."""
    return F.mse_loss(*output)


def _without_target(output: Pair, _: Data) -> Tensor:
    """Return the student's output without its target."""
    return output[0]
