"""Two players that take turns: rows 8 to 10 of the catalogue.

A turn is the networks as they stand in it, with its losses; who rests in it is frozen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.problem import Data, Stage, against


class Player(nn.Module):
    """Linear(inputs → outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def two_player(*, hidden: int, turn: str) -> list[Stage]:
    """Row 8: A: 1 → hidden, B: hidden → 1; both turns pull B's output to one."""
    return [
        Stage("A", Player(1, hidden)),
        Stage("B", Player(hidden, 1), {f"loss_{turn}": against("ones", F.mse_loss)}),
    ]


class Generator(nn.Module):
    """noise → hidden → hidden → pixels: Linear · ReLU twice, Linear · Tanh."""

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
    """Judges several batches one by one: pixels → hidden → hidden → 1, LeakyReLU, Sigmoid."""

    def __init__(self, pixels: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(pixels, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, 1)
        self.leaky = nn.LeakyReLU(0.2)

    def forward(self, batches: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._judge(x) for x in batches)

    def _judge(self, x: Tensor) -> Tensor:
        h = self.leaky(self.linear2(self.leaky(self.linear1(x))))
        return torch.sigmoid(self.linear3(h))[:, 0]


def gan(*, noise: int, hidden: int, pixels: int, turn: str) -> list[Stage]:
    """Row 9: D learns to tell real from generated in its turn, G to be taken for real in its."""
    generator = Stage("G", Generator(noise, hidden, pixels))
    discriminator = Discriminator(pixels, hidden)
    if turn == "d":
        losses = {"loss_real": _judged(0, real=True), "loss_fake": _judged(1, real=False)}
        return [generator, Stage("D", discriminator, losses, _real_and_fake)]
    return [generator, Stage("D", discriminator, {"loss_g": _judged(0, real=True)}, _fake)]


def _real_and_fake(fake: Tensor, data: Data) -> tuple[Tensor, ...]:
    return data["real"], fake


def _fake(fake: Tensor, _: Data) -> tuple[Tensor, ...]:
    return (fake,)


def _judged(batch: int, *, real: bool):  # type: ignore[no-untyped-def]
    """Binary cross-entropy of the judgement of one of the batches."""

    def loss(judgements: tuple[Tensor, ...], _: Data) -> Tensor:
        judged = judgements[batch]
        target = torch.ones_like(judged) if real else torch.zeros_like(judged)
        return F.binary_cross_entropy(judged, target)

    return loss


class ChannelEncoder(nn.Module):
    """messages → hidden → symbols, each codeword scaled to unit power per symbol."""

    def __init__(self, messages: int, hidden: int, symbols: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(messages, hidden)
        self.linear2 = nn.Linear(hidden, symbols)
        self.leaky = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        symbols = self.linear2(self.leaky(self.linear1(x)))
        return symbols / symbols.square().mean(dim=1, keepdim=True).sqrt()


class ChannelDecoder(nn.Module):
    """symbols → hidden → a logit for each message."""

    def __init__(self, messages: int, hidden: int, symbols: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(symbols, hidden)
        self.linear2 = nn.Linear(hidden, messages)
        self.leaky = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.leaky(self.linear1(x)))


def autoencoder(*, messages: int, hidden: int, symbols: int) -> list[Stage]:
    """Row 10: a message goes through a noisy channel; the noise is data."""
    return [
        Stage("encoder", ChannelEncoder(messages, hidden, symbols)),
        Stage(
            "decoder",
            ChannelDecoder(messages, hidden, symbols),
            {"loss": against("messages", F.cross_entropy)},
            enter=lambda codeword, data: codeword + data["noise"],
        ),
    ]
