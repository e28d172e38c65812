"""Specify the transformers: adapters on a frozen one, and one with a loss after every block."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.scenarios.spec import (
    Optimizer,
    Parameter,
    Parameters,
    Scenario,
    Segment,
    Training,
    Variant,
    embedding,
    layer_norm,
    linear,
)

Rng = np.random.Generator
SIZES = {
    "seed": {"width": 32, "vocabulary": 64, "batch": 2, "tokens": 8},
    "small": {"width": 64, "vocabulary": 128, "batch": 4, "tokens": 16},
    "medium": {"width": 128, "vocabulary": 512, "batch": 8, "tokens": 64},
    "large": {"width": 512, "vocabulary": 256, "batch": 8, "tokens": 64},
    "gpu": {"width": 2048, "vocabulary": 32768, "batch": 8, "tokens": 1024},
}


def _block(name: str, width: int) -> Parameters:
    """Return the parameters of a block: attention without biases, and two Linear layers."""
    projections = ("query", "key", "value", "out")
    attention = Parameters()
    for projection in projections:
        layer = f"{name}.attention.{projection}"
        attention |= linear(layer, width, width, relu=False, bias=False)
    return {
        **layer_norm(f"{name}.norm1", width),
        **attention,
        **layer_norm(f"{name}.norm2", width),
        **linear(f"{name}.expand", width, 4 * width, relu=True),
        **linear(f"{name}.contract", 4 * width, width, relu=False),
    }


def _sentences(rng: Rng, *, vocabulary: int, batch: int, tokens: int, **_: Any) -> dict[str, Any]:
    """Return random tokens [batch, tokens], and as labels the token behind each of them."""
    text = rng.integers(vocabulary, size=(batch, tokens + 1))
    return {"x": text[:, :-1], "labels": text[:, 1:]}


RANK = 4
ON_FROZEN = ("embedding", "block1", "block2", "head")
BASE = ("embedding", "block1.base", "block2.base", "head")  # all but the adapters


def _adapter(name: str, width: int, up: float) -> Parameters:
    """Return the parameters of an adapter: A [rank, width], and B [width, rank].

    Args:
        name: of the adapter.
        width: of what it adapts.
        up: how widely B is drawn; adapters start with a B of 0.
    """
    return {
        **linear(f"{name}.down", width, RANK, relu=False, bias=False),
        f"{name}.up.weight": Parameter((width, RANK), up),
    }


def _adapter_parameters(*, width: int, vocabulary: int, up: float, **_: Any) -> Parameters:
    """Return the parameters of a transformer of two blocks, with two adapters in each."""
    parameters = embedding("embedding", vocabulary, width)
    for block in ("block1", "block2"):
        parameters |= _block(f"{block}.base", width)
        for projection in ("query", "value"):
            parameters |= _adapter(f"{block}.{projection}", width, up)
    head = linear("head.linear", width, vocabulary, relu=False)
    return parameters | layer_norm("head.norm", width) | head


def _adapter_variant(up: float) -> Variant:
    """Return the variant whose adapters' B is drawn this widely, on a frozen transformer."""
    downs = tuple(f"{block}.{p}.down" for block in ON_FROZEN[1:3] for p in ("query", "value"))
    return Variant(
        networks=ON_FROZEN,
        flow={"loss": ON_FROZEN},
        frozen=BASE,
        drawing={"up": up},
        # what comes back to A is multiplied by B
        exact_zero=() if up else downs,
    )


LOW_RANK_ADAPTERS = Scenario(
    name="low_rank_adapters",
    family="transformer",
    summary="adapters of low rank on the queries and values of a frozen transformer",
    sizes=SIZES,
    structure=("width", "vocabulary"),
    parameters=_adapter_parameters,
    data=_sentences,
    layouts=dict.fromkeys(ON_FROZEN, "sequence"),
    variants={"b0": _adapter_variant(0.0), "b05": _adapter_variant(0.5)},
    optimizer=Optimizer("adamw", {"lr": 1e-3, "weight_decay": 0.01}, "together"),
    trainings=(
        Training("adapters_from_b0", (Segment(25, ("b0",)),), unmoved=BASE),
        Training("adapters_from_b05", (Segment(25, ("b05",)),), unmoved=BASE),
    ),
)


def _exit_parameters(
    *, width: int, vocabulary: int, blocks: int, tied: bool, **_: Any
) -> Parameters:
    """Return the parameters of an embedding, of blocks, and of the exit that they all share.

    The exit is a LayerNorm and a head, which with ``tied`` is the table of the embedding. What is
    shared stands at the first block.
    """
    parameters = embedding("embedding", vocabulary, width)
    for i in range(1, blocks + 1):
        parameters |= _block(f"block{i}.body", width)
    parameters |= layer_norm("block1.norm", width)
    if not tied:
        parameters |= linear("block1.head", width, vocabulary, relu=False, bias=False)
    return parameters


def _exit_variant(blocks: int, *, tied: bool) -> Variant:
    """Return the variant of so many blocks, whose exits' losses reach all blocks in front."""
    names = tuple(f"block{i}" for i in range(1, blocks + 1))
    return Variant(
        networks=("embedding", *names),
        flow={f"loss{i}": ("embedding", *names[:i]) for i in range(1, blocks + 1)},
        arguments={"blocks": blocks, "tied": tied},
    )


EARLY_EXIT = Scenario(
    name="early_exit",
    family="transformer",
    summary="a transformer that predicts after every block, by one head tied to the embedding",
    sizes=SIZES,
    structure=("width", "vocabulary"),
    parameters=_exit_parameters,
    data=_sentences,
    layouts={"embedding": "sequence"},
    variants={
        "n2": _exit_variant(2, tied=True),
        "n4": _exit_variant(4, tied=True),
        "untied": _exit_variant(4, tied=False),
    },
    optimizer=Optimizer("adamw", {"lr": 3e-4, "weight_decay": 0.01}, "together"),
    trainings=(
        Training("every_exit", (Segment(25, ("n2",)),)),
        Training("every_exit_of_four", (Segment(25, ("n4",)),)),
        Training("every_exit_by_a_head_of_its_own", (Segment(25, ("untied",)),)),
    ),
)

SCENARIOS = (LOW_RANK_ADAPTERS, EARLY_EXIT)
