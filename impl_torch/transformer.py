"""Build the scenarios of the family "transformer": pre-norm blocks with causal attention.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/transformer.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.problem import Data, Stage, as_it_is

HEADS = 4
RANK, SCALE = 4, 8 / 4  # of an adapter; the scale is usually given as alpha / rank
Adapters = Mapping[str, nn.Module]  # projection → the adapter beside it
NO_ADAPTERS: Adapters = {}


class Attention(nn.Module):
    """Causal self-attention of `HEADS` heads: [batch, tokens, width] → the same shape.

    The four projections have no bias: that of the keys would add the same number to all scores of
    a query, which the softmax cancels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, adapters: Adapters = NO_ADAPTERS) -> Tensor:
        query, key, value = (
            _heads(_adapted(layer, x, adapters.get(name)))
            for name, layer in (("query", self.query), ("key", self.key), ("value", self.value))
        )
        scores = query @ key.mT / math.sqrt(key.shape[-1])  # [batch, head, token, token]
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(later, -math.inf).softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).flatten(2))


def _adapted(layer: nn.Linear, x: Tensor, adapter: nn.Module | None) -> Tensor:
    """Return the layer's output, with that of the adapter added where there is one."""
    return layer(x) if adapter is None else layer(x) + adapter(x)


def _heads(x: Tensor) -> Tensor:
    """Reshape [batch, tokens, width] to [batch, heads, tokens, width / heads]."""
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


class Block(nn.Module):
    """LayerNorm and attention, added; LayerNorm, Linear, GELU and Linear, added.

    Input and output are [batch, tokens, width]; the hidden layer is 4 · width wide.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)  # by default eps 1e-5
        self.attention = Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, adapters: Adapters = NO_ADAPTERS) -> Tensor:
        x = x + self.attention(self.norm1(x), adapters)
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))  # by default the exact GELU


class Adapter(nn.Module):
    """A correction of low rank to a Linear layer: x → `SCALE` · B A x (Hu et al. 2021, "LoRA").

    A, ``down``, leads to `RANK` numbers, and B, ``up``, back to the width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, RANK, bias=False)
        self.up = nn.Linear(RANK, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return SCALE * self.up(self.down(x))


class AdaptedBlock(nn.Module):
    """A block with an adapter beside the projections of its queries and of its values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.base = Block(width)
        self.query, self.value = Adapter(width), Adapter(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x, {"query": self.query, "value": self.value})


class Head(nn.Module):
    """LayerNorm and Linear: [batch, tokens, width] → logits [batch, tokens, vocabulary]."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x))


class ExitBlock(nn.Module):
    """A block and an exit behind it: [batch, tokens, width] → (the same shape, logits).

    The exit is a LayerNorm and a head, a Linear layer; all blocks share them.
    """

    def __init__(self, width: int, norm: nn.LayerNorm, head: nn.Linear) -> None:
        super().__init__()
        self.body = Block(width)
        self.norm, self.head = norm, head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x)
        return x, self.head(self.norm(x))


def next_token(logits: Tensor, data: Data) -> Tensor:
    """Return the mean cross-entropy of the logits [batch, tokens, vocabulary] to the labels."""
    return F.cross_entropy(logits.flatten(0, 1), data["labels"].flatten())


def low_rank_adapters(*, width: int, vocabulary: int) -> list[Stage]:
    """Build a transformer of two blocks with adapters, which alone are trained.

    The scenario shows what freezing saves where what is trained lies in the midst of what is
    frozen: the gradients of the frozen weights, and not those of the values on the way back.
    """
    return [
        Stage("embedding", nn.Embedding(vocabulary, width)),
        Stage("block1", AdaptedBlock(width)),
        Stage("block2", AdaptedBlock(width)),
        Stage("head", Head(width, vocabulary), {"loss": next_token}),
    ]


def early_exit(*, width: int, vocabulary: int, blocks: int, tied: bool) -> list[Stage]:
    """Build a transformer with an exit, and so a loss, after each block.

    The losses are averaged. With ``tied`` the head of the exits is the table of the embedding: one
    tensor, whose gradient in every loss comes from both ends of the network. The scenario shows on
    a real model what a backward pass for each loss costs: N(N+1)/2 walks through a block, where the
    summed loss needs N.
    """
    table, head = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary, bias=False)
    norm = nn.LayerNorm(width)
    if tied:
        head.weight = table.weight

    def stage(i: int) -> Stage:
        losses = {f"loss{i}": _at_exit(1 / blocks)}
        network = ExitBlock(width, norm, head)
        return Stage(f"block{i}", network, losses, _hidden if i > 1 else as_it_is)

    return [Stage("embedding", table), *map(stage, range(1, blocks + 1))]


def _hidden(output: tuple[Tensor, Tensor], _: Data) -> Tensor:
    """Return the first part of what an `ExitBlock` returns: what goes on into the next."""
    return output[0]


def _at_exit(share: float) -> Callable[[tuple[Tensor, Tensor], Data], Tensor]:
    """Return the loss of an `ExitBlock`'s output, which counts as this share of all losses."""
    return lambda output, data: share * next_token(output[1], data)
