"""Build the scenarios of the family "alternation": two networks that are trained in turns.

Each function returns the stages of one turn: the networks with the losses of that turn. The
network whose turn it is not is frozen. The specification of the scenarios stands in
``benchmarks/scenarios/alternation.py``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.problem import Data, Stage, against, as_it_is, cut


class Player(nn.Module):
    """A single Linear(inputs → outputs), also of each batch of a tuple, one after another."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Any) -> Any:
        return tuple(map(self.linear, x)) if isinstance(x, tuple) else self.linear(x)


def two_player(*, hidden: int, turn: str) -> list[Stage]:
    """Build two Linear networks, A: 1 → hidden and B: hidden → 1, that take turns.

    In either turn the loss is the mean squared error of B's output against ones. The scenario shows
    B stepping on A's detached output, and then A learning through the B that has just been updated.
    With ``turn`` ``both`` one forward pass of A serves the losses of both turns.
    """
    compare = against("ones", F.mse_loss)
    first, second = Player(1, hidden), Player(hidden, 1)
    if turn != "both":
        return [Stage("A", first), Stage("B", second, {f"loss_{turn}": compare})]
    losses = {
        "loss_b": lambda outputs, data: compare(outputs[0], data),
        "loss_a": lambda outputs, data: compare(outputs[1], data),
    }
    return [Stage("A", first), Stage("B", second, losses, _cut_and_whole)]


def _cut_and_whole(value: Tensor, data: Data) -> tuple[Tensor, ...]:
    """Link A to B in both turns at once: return A's output with its graph cut, and as it is."""
    return cut(value, data), value


class Generator(nn.Module):
    """Linear and ReLU twice, then Linear and Tanh: [batch, noise] → [batch, pixels]."""

    def __init__(self, noise: int, hidden: int, pixels: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(noise, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, pixels)
        self.relu = nn.ReLU()

    def forward(self, z: Tensor) -> Tensor:
        h = self.relu(self.linear2(self.relu(self.linear1(z))))
        return torch.tanh(self.linear3(h))


class Discriminator(nn.Module):
    """Linear and LeakyReLU twice, then Linear and Sigmoid: [batch, pixels] → [batch].

    It takes a tuple of batches, such as real and generated examples, and judges one after another.
    """

    def __init__(self, pixels: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(pixels, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, 1)
        self.leaky = nn.LeakyReLU(0.2)

    def forward(self, batches: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._judge(x) for x in batches)

    def _judge(self, x: Tensor) -> Tensor:
        """Return D's probability that each example of one batch is real: [batch]."""
        h = self.leaky(self.linear2(self.leaky(self.linear1(x))))
        return torch.sigmoid(self.linear3(h))[:, 0]


def gan(*, noise: int, hidden: int, pixels: int, turn: str) -> list[Stage]:
    """Build a generator G and a discriminator D that take turns (a GAN).

    In turn ``d`` D learns to tell real examples from generated ones while G is frozen. In turn
    ``g`` G learns to be taken for real while D is frozen, and in turn ``g_fresh`` the same on a new
    draw of noise. The scenario shows that G's gradient must pass through a D that does not change.
    """
    enter = _fresh_noise if turn == "g_fresh" else as_it_is
    generator = Stage("G", Generator(noise, hidden, pixels), enter=enter)
    discriminator = Discriminator(pixels, hidden)
    if turn == "d":
        losses = {"loss_real": _judged(0, real=True), "loss_fake": _judged(1, real=False)}
        return [generator, Stage("D", discriminator, losses, _real_and_fake)]
    return [generator, Stage("D", discriminator, {"loss_g": _judged(0, real=True)}, _fake)]


def _fresh_noise(_: Tensor, data: Data) -> Tensor:
    """Link the input to G in turn ``g_fresh``: return the second draw of noise."""
    return data["fresh"]


def _real_and_fake(fake: Tensor, data: Data) -> tuple[Tensor, ...]:
    """Link G to D in turn ``d``: return the batches of real and of generated examples."""
    return data["real"], fake


def _fake(fake: Tensor, _: Data) -> tuple[Tensor, ...]:
    """Link G to D in turn ``g``: return the one batch of generated examples."""
    return (fake,)


def _judged(batch: int, *, real: bool):  # type: ignore[no-untyped-def]
    """Return a loss: the binary cross-entropy of D's judgements of one of its batches.

    ``batch`` is the place of the batch in D's output, and ``real`` whether its target is 1 or 0.
    The loss is a function of that output and the data, as in `Stage`.
    """

    def loss(judgements: tuple[Tensor, ...], _: Data) -> Tensor:
        judged = judgements[batch]
        target = torch.ones_like(judged) if real else torch.zeros_like(judged)
        return F.binary_cross_entropy(judged, target)

    return loss


class ChannelEncoder(nn.Module):
    """Linear, LeakyReLU and Linear: one-hot messages [batch, messages] → codewords.

    The codewords are [batch, symbols]; with ``unit_power`` each is scaled to unit power per symbol.
    """

    def __init__(self, messages: int, hidden: int, symbols: int, unit_power: bool) -> None:
        super().__init__()
        self.unit_power = unit_power
        self.linear1 = nn.Linear(messages, hidden)
        self.linear2 = nn.Linear(hidden, symbols)
        self.leaky = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        symbols = self.linear2(self.leaky(self.linear1(x)))
        if not self.unit_power:
            return symbols
        return symbols / symbols.square().mean(dim=1, keepdim=True).sqrt()


class ChannelDecoder(nn.Module):
    """Linear, LeakyReLU and Linear: [batch, symbols] → one logit for each message."""

    def __init__(self, messages: int, hidden: int, symbols: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(symbols, hidden)
        self.linear2 = nn.Linear(hidden, messages)
        self.leaky = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.leaky(self.linear1(x)))


def autoencoder(*, messages: int, hidden: int, symbols: int, unit_power: bool) -> list[Stage]:
    """Build an encoder and a decoder with a noisy channel between them.

    The noise is an entry of the data, so both frameworks add the same. The scenario shows first
    joint training, and then training of the decoder alone. ``unit_power`` is the encoder's.
    """
    return [
        Stage("encoder", ChannelEncoder(messages, hidden, symbols, unit_power)),
        Stage(
            "decoder",
            ChannelDecoder(messages, hidden, symbols),
            {"loss": against("messages", F.cross_entropy)},
            enter=lambda codeword, data: codeword + data["noise"],
        ),
    ]
