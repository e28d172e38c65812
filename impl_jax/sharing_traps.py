"""Demonstrate the traps of weights that stand at several places in JAX: tied, or averaged.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_sharing_traps.py`` judges them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from impl_jax.backward_traps import _raised

LR, WIDTH, WORDS, DECAY = 0.1, 4, 6, 0.9


def tied_weight_frozen_by_name() -> dict[str, Any]:
    """Freeze the head of a model whose head and embedding are one variable.

    nnx lists a shared variable once, under its first path: no path holds "head" and the filter
    leaves out nothing. The table shows how many variables were selected, and how far a step moves
    what the head computes with.
    """
    results = {}
    for way in ("by_name", "by_identity"):
        model = _Tied()
        frozen: Any = nnx.PathContains("head")
        if way == "by_identity":  # the paths of the variables that the head holds, wherever
            head_ids = {id(v) for _, v in nnx.iter_graph(model.head) if isinstance(v, nnx.Param)}
            paths = [path for path, v in nnx.iter_graph(model) if id(v) in head_ids]
            frozen = nnx.filterlib.PathIn(*paths)
        trained = nnx.All(nnx.Param, nnx.Not(frozen))
        start = model.head.weight[...]
        optimizer = nnx.Optimizer(model, optax.sgd(LR), wrt=trained)
        optimizer.update(model, nnx.grad(_loss, argnums=nnx.DiffState(0, trained))(model))
        selected = nnx.to_flat_state(nnx.state(model, nnx.All(nnx.Param, frozen)))
        results[way] = {
            "selected": len(selected),
            "known_as": ", ".join(".".join(map(str, path)) for path, _ in selected) or "–",
            "head_moved": float(jnp.abs(model.head.weight[...] - start).max()),
            "embedding_trained": "weight" in nnx.state(model, trained).get("embedding", {}),
        }
    refused = _raised(partial(_select, _Tied(), "head"))
    return {**results, "empty_selection_refused": {"raised": refused}}


def tied_weight_in_two_optimizers() -> dict[str, Any]:
    """Step a tied weight by an optimizer of the embedding and one of the head.

    Each steps the one variable, by the same gradient. The table shows how far the weight moves,
    relative to one optimizer.
    """
    moved = {}
    for way in ("one_optimizer", "two_optimizers"):
        model = _Tied()
        start = model.head.weight[...]
        gradient = nnx.grad(_loss)(model)["embedding"]["weight"][...]
        parts = [model] if way == "one_optimizer" else [model.embedding, model.head]
        for part in parts:
            optimizer = nnx.Optimizer(part, optax.sgd(LR), wrt=nnx.Param)
            grads = jax.tree.map(
                lambda leaf: gradient if leaf.shape == gradient.shape else 0.0 * leaf,  # noqa: B023
                nnx.state(part, nnx.Param),
            )
            optimizer.update(part, grads)
        moved[way] = float(jnp.abs(model.head.weight[...] - start).max())
    once = moved["one_optimizer"]
    return {way: {"moved_over_once": m / once, "raised": None} for way, m in moved.items()}


def tied_weight_copied() -> dict[str, Any]:
    """Hold a tied weight under two keys of a pytree, and take a step.

    A pytree has values, not references: each key has a gradient and a step of its own, and the two
    places part. One leaf that the function uses twice stays one. The table shows how far apart the
    two places are after a step.
    """
    weight = _Tied().head.weight[...]

    def loss(embedding: Array, head: Array) -> Array:
        return _cross_entropy(embedding @ head.T)

    grads = jax.grad(loss, argnums=(0, 1))(weight, weight)
    two = [weight - LR * grad for grad in grads]
    one = weight - LR * jax.grad(lambda w: loss(w, w))(weight)
    graph, state = nnx.split(_Tied())  # nnx keeps the tie
    tied = nnx.merge(graph, state)
    return {
        "a_leaf_for_each": {"places_apart": float(jnp.abs(two[0] - two[1]).max())},
        "one_leaf_used_twice": {"places_apart": float(jnp.abs(one - one).max())},
        "split_and_merge": {
            "places_apart": float(jnp.abs(tied.embedding.weight[...] - tied.head.weight[...]).max())
        },
    }


def teacher_without_buffers() -> dict[str, Any]:
    """Average a student's weights into a teacher, with and without BatchNorm's statistics.

    The statistics are of type `BatchStat`, which a filter for `Param` leaves out: the teacher
    normalizes by mean 0 and variance 1 for ever. The table shows how far the teacher's output in
    eval mode is from the student's after 60 steps, relative to it.
    """
    keys = jax.random.split(jax.random.key(0), 2)
    x = 3.0 + 2.0 * jax.random.normal(keys[0], (64, WIDTH))
    target = jax.random.normal(keys[1], (64, WIDTH))
    student = _student()
    ways = ("parameters_alone", "buffers_copied", "buffers_averaged")
    teachers = {way: nnx.clone(student) for way in ways}
    optimizer = nnx.Optimizer(student, optax.sgd(0.02), wrt=nnx.Param)

    @nnx.jit
    def step(student: Any, optimizer: Any, teachers: Any) -> None:
        optimizer.update(student, nnx.grad(lambda s: jnp.mean((s(x) - target) ** 2))(student))
        for way, teacher in teachers.items():
            _average(teacher, student, way)

    for _ in range(60):
        step(student, optimizer, teachers)
    student.eval()
    right, results = student(x), {}
    for way, teacher in teachers.items():
        teacher.eval()
        off = jnp.linalg.norm(teacher(x) - right) / jnp.linalg.norm(right)
        results[way] = {"output_off": float(off)}
    return results


class _Head(nnx.Module):
    """A Linear layer without bias, of the transpose of a weight that is given."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight


class _Embedding(nnx.Module):
    """A table of words, a row for each."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (WORDS, WIDTH)))


class _Tied(nnx.Module):
    """An embedding, a matrix, and a head whose weight is the embedding's."""

    def __init__(self) -> None:
        self.embedding = _Embedding(nnx.Rngs(0))
        self.body = nnx.Param(jnp.eye(WIDTH))
        self.head = _Head(self.embedding.weight)


def _loss(model: _Tied) -> Array:
    """Return the cross-entropy of each word against the one that follows it."""
    between = model.embedding.weight[...] @ model.body[...]
    return _cross_entropy(between @ model.head.weight[...].T)


def _cross_entropy(logits: Array) -> Array:
    """Return the mean cross-entropy of each word's logits against the word that follows it."""
    following = jnp.roll(jnp.arange(WORDS), -1)
    return optax.softmax_cross_entropy_with_integer_labels(logits, following).mean()


def _select(model: nnx.Module, name: str) -> Any:
    """Return the variables under this name; raise ValueError where there is none."""
    chosen = nnx.state(model, nnx.All(nnx.Param, nnx.PathContains(name)))
    if not jax.tree.leaves(chosen):
        raise ValueError(f"no parameter under {name!r}: a shared variable has one path alone")
    return chosen


def _student() -> nnx.Sequential:
    """Return a Linear layer, BatchNorm, ReLU and another Linear layer."""
    rngs = nnx.Rngs(0)
    first, last = nnx.Linear(WIDTH, 8, rngs=rngs), nnx.Linear(8, WIDTH, rngs=rngs)
    return nnx.Sequential(first, nnx.BatchNorm(8, momentum=0.9, rngs=rngs), nnx.relu, last)


def _average(teacher: Any, student: Any, way: str) -> None:
    """Move a teacher a little towards the student: parameters, and buffers where ``way`` says."""
    buffers = (nnx.BatchStat,) if way == "buffers_averaged" else ()
    ours, own = (nnx.state(net, nnx.Any(nnx.Param, *buffers)) for net in (teacher, student))
    nnx.update(teacher, optax.incremental_update(own, ours, 1.0 - DECAY))
    if way == "buffers_copied":
        nnx.update(teacher, nnx.state(student, nnx.BatchStat))
