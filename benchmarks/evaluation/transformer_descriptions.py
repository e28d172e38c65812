"""Describe in words the scenarios whose networks are transformers."""

from __future__ import annotations

from benchmarks.evaluation.description import Description

BLOCK = (
    "LayerNorm · causal self-attention of 4 heads without biases, input added; LayerNorm · "
    "Linear w→4w · exact GELU · Linear 4w→w, input added; w = `width`"
)
EMBEDDING = "a table [`vocabulary`, `width`]; no positions, which the causal mask tells apart"
TEXT = "Random tokens; the label of each is the token behind it."
ADAPTED = (
    f"{BLOCK}. Beside the projections of queries and of values stands an adapter of rank 4: "
    "W x + 2 · B A x"
)
EXITS = (
    f"{BLOCK}. Behind it an exit, LayerNorm · Linear w→`vocabulary` without bias, whose tensors "
    "all blocks share"
)

TRANSFORMERS = {
    "low_rank_adapters": Description(
        shows=(
            "What is trained lies in the midst of what is frozen: freezing saves the gradients of "
            "the frozen weights, and not those of the values on the way back, nor the forward "
            "pass. The products are counted by hand.",
            "At B = 0, as adapters begin, the gradient of A is there and exactly 0; at a B of up "
            "to 0.5 it is not.",
            "Cutting the graph in front of what is trained is impossible: the first adapter "
            "stands behind the embedding, and frozen layers stand behind the last.",
        ),
        networks={
            "embedding": EMBEDDING,
            "block1": ADAPTED,
            "block2": ADAPTED,
            "head": "LayerNorm · Linear w→`vocabulary`",
        },
        losses={"loss": "cross-entropy of the next token, averaged"},
        data=TEXT,
        variants={
            "b0": "every B is 0",
            "b05": "every B is drawn between −0.5 and 0.5",
        },
    ),
    "early_exit": Description(
        shows=(
            "The cost law of deep supervision on a real model: separate backward passes walk "
            "N(N+1)/2 blocks, one pass of the summed loss walks N; the head of each exit is "
            "walked once either way.",
            "A tied tensor has one gradient, to which both of its places add, in every loss and "
            "by every strategy.",
        ),
        networks={
            "embedding": EMBEDDING,
            **{f"block{i}": EXITS for i in range(1, 5)},
        },
        losses={
            f"loss{i}": "cross-entropy of the next token at the exit of the block of its number, "
            "averaged, divided by the number of exits"
            for i in range(1, 5)
        },
        data=TEXT,
        variants={
            "n2": "2 blocks, whose exits predict by the table of the embedding",
            "n4": "4 blocks, whose exits predict by the table of the embedding",
            "untied": "4 blocks, whose exits predict by a table of their own",
        },
    ),
}
