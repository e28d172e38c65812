"""What a case in torch hands over, and how one in JAX takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from cascade_bench import Case


@dataclass
class Images:
    """A part of a batch."""

    pixels: Any
    scale: float = 2.0


class Pair(NamedTuple):
    """Another."""

    first: Any
    second: Any


def nested(make: Any) -> dict[str, Any]:
    """Return a batch with every kind of nesting; ``make`` makes an array of what it is given."""
    return {
        "b": [make(np.arange(3)), "a text"],
        "a": Pair(make(np.array([1.0, 2])), Images(make(np.array([[3.0], [4]])))),
        "flag": make(np.array([True])),
    }


def test_parts_of_a_batch_have_the_same_paths_in_both_frameworks() -> None:
    torch = pytest.importorskip("torch")
    jnp = pytest.importorskip("jax.numpy")
    from impl_jax.case_weights import with_batch
    from impl_torch.case_weights import named_tensors, plain

    handed = {path: plain(one) for path, one in named_tensors(nested(torch.from_numpy))}
    assert list(handed) == ["b.0", "a.first", "a.second.pixels", "flag"]
    taken: list[str] = []
    own = nested(lambda array: jnp.asarray(np.zeros_like(array)))
    changed = with_batch(own, handed, taken)
    assert taken == list(handed)
    assert changed["b"][1] == "a text"
    assert changed["a"].second.scale == 2.0
    assert np.array_equal(changed["a"].second.pixels, [[3], [4]])
    assert changed["a"].first.dtype == own["a"].first.dtype
    taken.clear()
    with_batch(changed, handed, taken)
    assert not taken  # nothing differs any more


def test_an_array_of_another_shape_or_kind_stays_the_users() -> None:
    jax = pytest.importorskip("jax")
    from impl_jax.case_weights import with_batch

    taken: list[str] = []
    own = {"x": np.zeros((2, 3), np.float32), "y": np.zeros(2, np.float32), "k": jax.random.key(0)}
    other = {"x": np.ones((3, 2), np.float32), "y": np.ones(2, int), "k": np.ones(())}
    kept = with_batch(own, other, taken)
    assert not taken
    assert kept["x"] is own["x"]
    assert kept["y"] is own["y"]
    assert kept["k"] is own["k"]


def test_networks_are_filled_and_what_torch_lacks_stays() -> None:
    pytest.importorskip("jax")
    from flax import nnx

    from impl_jax.case_weights import filled, shapes

    norm: Any = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
    tree = {"w": np.ones((2, 2)), "name": "text"}
    case = Case({"norm": norm, "tree": tree}, lambda networks, batch: {}, None)
    found, parameters = shapes(case)
    assert parameters == ["norm.bias", "norm.scale", "tree.w"]
    assert found["norm.mean"] == (3,)
    changed, _ = filled(case, {"norm.scale": np.array([1.0, 2, 3]), "tree.w": np.eye(2)}, {})
    assert np.array_equal(changed.networks["norm"].scale[...], [1, 2, 3])
    assert np.array_equal(changed.networks["norm"].bias[...], norm.bias[...])
    assert np.array_equal(changed.networks["tree"]["w"], np.eye(2))
    assert changed.networks["tree"]["name"] == "text"
    assert np.array_equal(norm.scale[...], np.ones(3))  # the user's own stay as they are
    assert case.networks["tree"] is tree


def test_weights_given_to_the_torch_case_are_refused() -> None:
    pytest.importorskip("torch")
    from torch import nn

    from impl_torch.case import OpenCase
    from impl_torch.case_values import CaseError

    case = Case({"net": nn.Linear(1, 1)}, lambda batch: {}, None, weights=dict)
    session: Any = None
    with pytest.raises(CaseError, match="weights= is given to the torch case"):
        OpenCase(session, case, 0, None)
