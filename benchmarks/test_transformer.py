"""Check the transformers against NumPy, and their matrix products against numbers by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, Problem, plan
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Array, Optimizer, Segment

ADAPTERS, EXITS = "low_rank_adapters", "early_exit"
HEADS, RANK, SCALE = 4, 4, 2.0
AGREE = 1e-12
erf = np.vectorize(math.erf)


@dataclass(frozen=True)
class Numpy:
    """Compute the outputs of `low_rank_adapters` by the formulas, from weights by their names."""

    weights: Mapping[str, Array]

    def linear(self, name: str, x: Array) -> Array:
        """Return W x + b, or W x where there is no b."""
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0.0)

    def norm(self, name: str, x: Array) -> Array:
        """Return the LayerNorm with an eps of 1e-5 and the variance over all values."""
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def adapted(self, block: str, projection: str, x: Array) -> Array:
        """Return W x + 2 · B A x."""
        adapter = f"{block}.{projection}"
        low = self.linear(f"{adapter}.down", x)
        base = self.linear(f"{block}.base.attention.{projection}", x)
        return base + SCALE * self.linear(f"{adapter}.up", low)

    def attention(self, block: str, x: Array) -> Array:
        """Return the attention, each token by a loop over what stands in front of it."""
        query, value = (self.adapted(block, name, x) for name in ("query", "value"))
        key = self.linear(f"{block}.base.attention.key", x)
        mixed, width = np.zeros_like(x), x.shape[-1] // HEADS
        for head in range(HEADS):
            own = slice(head * width, (head + 1) * width)
            for t in range(x.shape[1]):
                seen = key[:, : t + 1, own], value[:, : t + 1, own]
                scores = np.einsum("bc,bsc->bs", query[:, t, own], seen[0]) / math.sqrt(width)
                shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
                mixed[:, t, own] = np.einsum("bs,bsc->bc", shares, seen[1])
        return self.linear(f"{block}.base.attention.out", mixed)

    def block(self, block: str, x: Array) -> Array:
        """Return the output of a block with its adapters."""
        x = x + self.attention(block, self.norm(f"{block}.base.norm1", x))
        wide = self.linear(f"{block}.base.expand", self.norm(f"{block}.base.norm2", x))
        exact = wide * (1 + erf(wide / math.sqrt(2))) / 2
        return x + self.linear(f"{block}.base.contract", exact)

    def outputs(self, tokens: Array) -> dict[str, Array]:
        """Return the output of every network, by its name."""
        embedded = self.weights["embedding.weight"][tokens]
        first = self.block("block1", embedded)
        second = self.block("block2", first)
        logits = self.linear("head.linear", self.norm("head.norm", second))
        return {"embedding": embedded, "block1": first, "block2": second, "head": logits}


def test_every_output_is_what_numpy_computes(workers: CheckWorkers, framework: str) -> None:
    """The eps of the LayerNorms, the exact GELU, the causal mask, and every weight in its place."""
    problem = (ADAPTERS, "b05", "seed")
    files = workers.files(problem)
    still = Optimizer("sgd", {"lr": 0.0}, "together")
    one_step = plan(CATALOGUE[ADAPTERS], "seed", (Segment(1, ("b05",)),), optimizer=still)
    outputs = workers.train(problem, framework, one_step)["outputs"]
    expected = Numpy(read_arrays(files.weights)).outputs(read_arrays(files.data)["x"])
    assert set(outputs) == set(expected)
    for name, array in expected.items():
        assert equivalence.relative(outputs[name], array) <= AGREE, name


def products_by_hand(size: Mapping[str, int]) -> tuple[int, int, int, int]:
    """Return the FLOPs of one product of each kind: a count of 2 for each multiplication.

    They are those of a Linear layer w→w, of all heads' scores, of one half of an adapter, and of
    the head, for all tokens of the batch.
    """
    tokens, width = size["batch"] * size["tokens"], size["width"]
    return (
        2 * tokens * width**2,
        2 * tokens * size["tokens"] * width,
        2 * tokens * width * RANK,
        2 * tokens * width * size["vocabulary"],
    )


def counted(
    workers: CheckWorkers, problem: Problem, framework: str, kind: str, name: str, phase: str
) -> int:
    """Return the FLOPs of all matrix products of a strategy or recipe in a phase.

    torch counts these alone; XLA's count has the arithmetic of each element as well, so the
    products are read off the traced program.
    """
    launch = workers.open(problem, framework, "float32")
    if framework == "torch":
        return int(launch.ask("count", kind=kind, name=name, phase=phase)["flops"])
    listed = launch.ask("products", kind=kind, name=name, phase=phase)
    return sum(flops * count for flops, count in listed)


@pytest.mark.parametrize("blocks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_separate_passes_walk_every_block_in_front_and_their_own_head(
    workers: CheckWorkers, framework: str, blocks: int
) -> None:
    """N(N+1)/2 blocks against N.

    A block has 12 products of w·w forward, 4 in the attention and 8 behind it, and two of scores:
    backward there are two for each, as the table in front of all is trained. The lookup in it takes
    none. A batch of cotangents walks all blocks and heads for each loss. Checkpointed, each walk
    computes the forward products of a block once more, without the head's, whose result nothing
    needs again. Nor does a walk from an exit behind need the block's last product, 4 of w·w: XLA
    leaves it out, torch runs the block to its end.
    """
    problem, n = (EXITS, f"n{blocks}", "seed"), blocks
    linear, scores, _, head = products_by_hand(CATALOGUE[EXITS].sizes["seed"])
    block = 24 * linear + 4 * scores
    walked = n * (n + 1) // 2
    left_out = (walked - n) * 4 * linear if framework == "jax" else 0
    expected = {
        "summed": n * (block + 2 * head),
        "separate_retained": walked * block + n * 2 * head,
        "boundary_split": n * (block + 2 * head),
        "batched": n * n * (block + 2 * head),
        "checkpointed": walked * (block + block // 2) + n * 2 * head - left_out,
    }
    for name, flops in expected.items():
        counted_flops = counted(workers, problem, framework, "backward", name, "backward")
        assert counted_flops == flops, (name, counted_flops / flops)


RECIPES = {
    "torch": {"unfrozen": "all", "optimizer_only": "all", "requires_grad_false": "few"},
    "jax": {
        "unfrozen": "all",
        "chain_freeze": "all",
        "grad_of_trainable": "few",
        "partition": "few",
    },
}


def test_adapters_save_the_products_of_frozen_weights_alone(
    workers: CheckWorkers, framework: str
) -> None:
    """A step of two blocks; of the frozen ones the values on the way back are needed all the same.

    In the second block these are 12 products of w·w, 4 of scores, and two for each of the four
    halves of its adapters. In the first block nothing lies in front of the adapters: three products
    of w·w are left out, that of the scores by the keys, and one by each adapter's A.
    """
    problem = (ADAPTERS, "b05", "seed")
    linear, scores, half, head = products_by_hand(CATALOGUE[ADAPTERS].sizes["seed"])
    forward = 2 * (12 * linear + 2 * scores + 4 * half) + head
    second = 12 * linear + 4 * scores + 8 * half
    first = 9 * linear + 3 * scores + 6 * half
    expected = {"all": 3 * forward, "few": forward + head + second + first}
    for recipe, which in RECIPES[framework].items():
        counted_flops = counted(workers, problem, framework, "freeze", recipe, "step")
        assert counted_flops == expected[which], (recipe, counted_flops / expected[which])
