"""Build the scenarios of the family "transformer": pre-norm blocks with causal attention.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/transformer.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from impl_jax.problem import Data, Stage, as_it_is

HEADS = 4
RANK, SCALE = 4, 8 / 4  # of an adapter; the scale is usually given as alpha / rank
Adapters = Mapping[str, "Adapter"]  # projection → the adapter beside it
NO_ADAPTERS: Adapters = {}


class Attention(nnx.Module):
    """Causal self-attention of `HEADS` heads: [batch, tokens, width] → the same shape.

    The four projections have no bias: that of the keys would add the same number to all scores of
    a query, which the softmax cancels.
    """

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.query = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.out = nnx.Linear(width, width, use_bias=False, rngs=rngs)

    def __call__(self, x: Array, adapters: Adapters = NO_ADAPTERS) -> Array:
        query, key, value = (
            _heads(_adapted(layer, x, adapters.get(name)))
            for name, layer in (("query", self.query), ("key", self.key), ("value", self.value))
        )
        scores = query @ key.mT / math.sqrt(key.shape[-1])  # [batch, head, token, token]
        allowed = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        mixed = jax.nn.softmax(jnp.where(allowed, scores, -jnp.inf)) @ value
        return self.out(mixed.swapaxes(1, 2).reshape(x.shape))


def _adapted(layer: nnx.Linear, x: Array, adapter: Adapter | None) -> Array:
    """Return the layer's output, with that of the adapter added where there is one."""
    return layer(x) if adapter is None else layer(x) + adapter(x)


def _heads(x: Array) -> Array:
    """Reshape [batch, tokens, width] to [batch, heads, tokens, width / heads]."""
    return x.reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)


def _norm(width: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Return a LayerNorm that computes what torch's does.

    flax's own eps is 1e-6, torch's 1e-5. The fast variance, E[x²] − E[x]², subtracts two nearly
    equal numbers and loses digits; torch uses the two-pass one.
    """
    return nnx.LayerNorm(width, epsilon=1e-5, use_fast_variance=False, rngs=rngs)


class Block(nnx.Module):
    """LayerNorm and attention, added; LayerNorm, Linear, GELU and Linear, added.

    Input and output are [batch, tokens, width]; the hidden layer is 4 · width wide.
    """

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.norm1 = _norm(width, rngs)
        self.attention = Attention(width, rngs)
        self.norm2 = _norm(width, rngs)
        self.expand = nnx.Linear(width, 4 * width, rngs=rngs)
        self.contract = nnx.Linear(4 * width, width, rngs=rngs)

    def __call__(self, x: Array, adapters: Adapters = NO_ADAPTERS) -> Array:
        x = x + self.attention(self.norm1(x), adapters)
        # by default JAX approximates the GELU by a tanh
        return x + self.contract(jax.nn.gelu(self.expand(self.norm2(x)), approximate=False))


class Adapter(nnx.Module):
    """A correction of low rank to a Linear layer: x → `SCALE` · B A x (Hu et al. 2021, "LoRA").

    A, ``down``, leads to `RANK` numbers, and B, ``up``, back to the width.
    """

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.down = nnx.Linear(width, RANK, use_bias=False, rngs=rngs)
        self.up = nnx.Linear(RANK, width, use_bias=False, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return SCALE * self.up(self.down(x))


class AdaptedBlock(nnx.Module):
    """A block with an adapter beside the projections of its queries and of its values."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.base = Block(width, rngs)
        self.query, self.value = Adapter(width, rngs), Adapter(width, rngs)

    def __call__(self, x: Array) -> Array:
        return self.base(x, {"query": self.query, "value": self.value})


class Head(nnx.Module):
    """LayerNorm and Linear: [batch, tokens, width] → logits [batch, tokens, vocabulary]."""

    def __init__(self, width: int, vocabulary: int, rngs: nnx.Rngs) -> None:
        self.norm = _norm(width, rngs)
        self.linear = nnx.Linear(width, vocabulary, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(self.norm(x))


class Embedding(nnx.Embed):
    """A table [vocabulary, width] that keeps its dtype.

    flax's own rounds to the dtype that it was built with, which is float32, whatever is loaded.
    """

    def __init__(self, vocabulary: int, width: int, rngs: nnx.Rngs) -> None:
        super().__init__(vocabulary, width, rngs=rngs)
        self.dtype: Any = None


Projection = nnx.Linear | Embedding


class ExitBlock(nnx.Module):
    """A block and an exit behind it: [batch, tokens, width] → (the same shape, logits).

    The exit is a LayerNorm and a head, a Linear layer or a table; all blocks share them.
    """

    def __init__(self, width: int, norm: nnx.LayerNorm, head: Projection, rngs: nnx.Rngs) -> None:
        self.body = Block(width, rngs)
        self.norm, self.head = norm, head

    def __call__(self, x: Array) -> tuple[Array, Array]:
        x = self.body(x)
        head = self.head.attend if isinstance(self.head, Embedding) else self.head
        return x, head(self.norm(x))


def next_token(logits: Array, data: Data) -> Array:
    """Return the mean cross-entropy of the logits [batch, tokens, vocabulary] to the labels."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, data["labels"]))


def low_rank_adapters(*, width: int, vocabulary: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build a transformer of two blocks with adapters, which alone are trained.

    The scenario shows what freezing saves where what is trained lies in the midst of what is
    frozen: the gradients of the frozen weights, and not those of the values on the way back.
    """
    return [
        Stage("embedding", Embedding(vocabulary, width, rngs)),
        Stage("block1", AdaptedBlock(width, rngs)),
        Stage("block2", AdaptedBlock(width, rngs)),
        Stage("head", Head(width, vocabulary, rngs), {"loss": next_token}),
    ]


def early_exit(
    *, width: int, vocabulary: int, blocks: int, tied: bool, rngs: nnx.Rngs
) -> list[Stage]:
    """Build a transformer with an exit, and so a loss, after each block.

    The losses are averaged. With ``tied`` the head of the exits is the table of the embedding: one
    array, whose gradient in every loss comes from both ends of the network. The scenario shows on
    a real model what a backward pass for each loss costs: N(N+1)/2 walks through a block, where the
    summed loss needs N.
    """
    table = Embedding(vocabulary, width, rngs)
    head: Projection = table if tied else nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)
    norm = _norm(width, rngs)

    def stage(i: int) -> Stage:
        losses = {f"loss{i}": _at_exit(1 / blocks)}
        network = ExitBlock(width, norm, head, rngs)
        return Stage(f"block{i}", network, losses, _hidden if i > 1 else as_it_is)

    return [Stage("embedding", table), *map(stage, range(1, blocks + 1))]


def _hidden(output: tuple[Array, Array], _: Data) -> Array:
    """Return the first part of what an `ExitBlock` returns: what goes on into the next."""
    return output[0]


def _at_exit(share: float) -> Callable[[tuple[Array, Array], Data], Array]:
    """Return the loss of an `ExitBlock`'s output, which counts as this share of all losses."""
    return lambda output, data: share * next_token(output[1], data)
