"""Weights on their way from torch's names to JAX's, and gradients on their way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker import weight_moves
from benchmarks.harness.worker.case_files import CaseMistakeError
from benchmarks.harness.worker.weight_moves import Moves, Start
from benchmarks.harness.worker.weight_names import fitting, paired

LINEAR = {"e.0.weight": (5, 3), "e.0.bias": (5,), "e.2.weight": (4, 5), "e.2.bias": (4,)}


def arrays(shapes: dict[str, tuple[int, ...]] = LINEAR, kind: str = "weights") -> dict[str, Any]:
    """Return what a case in torch hands over: normal numbers in these shapes."""
    rng = np.random.default_rng(0)
    drawn = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return {f"{kind}/{name}": array for name, array in drawn.items()}


def no_derivative(*_: Any) -> Any:
    raise AssertionError("only elements are moved")


def moves(
    shapes: dict[str, tuple[int, ...]],
    weights: Callable[..., Any] | None = None,
    start: dict[str, Any] | None = None,
) -> Moves:
    return Moves(Start(start or arrays()), shapes, list(shapes), weights, no_derivative)


@pytest.mark.parametrize(
    ("torch", "jax", "name", "how"),
    [
        ((5, 3), (3, 5), "e.kernel", "transposed"),
        ((5, 5), (5, 5), "e.kernel", "transposed"),
        ((5, 5), (5, 5), "e.weight", "as it is"),
        ((5, 5), (5, 5), "e.w", None),  # who knows
        ((5, 3), (3, 5), "e.w", "transposed"),
        ((5, 3), (5, 3), "e.kernel", "as it is"),
        ((8, 3, 2, 4), (2, 4, 3, 8), "e.kernel", "transposed"),
        ((8,), (8, 1, 1), "e.bias", "reshaped"),
        ((8,), (4,), "e.bias", None),
    ],
)
def test_layout_is_told_by_shape_and_by_the_last_part_of_a_name(
    torch: tuple[int, ...], jax: tuple[int, ...], name: str, how: str | None
) -> None:
    assert fitting(torch, jax, name) == how


def test_names_decide_before_shapes_and_shapes_before_nothing() -> None:
    torch = {"e.a.weight": (5, 5), "e.b.weight": (5, 5), "e.c.weight": (5, 2), "e.c.bias": (5,)}
    jax = {"e.b.kernel": (5, 5), "e.params.a.kernel": (5, 5), "e.Dense_0.kernel": (2, 5),
           "e.shift": (5,)}  # fmt: skip
    found = {pair.jax: pair.torch for pair in paired(torch, jax, jax)}
    assert found == {
        "e.b.kernel": "e.b.weight",
        "e.params.a.kernel": "e.a.weight",
        "e.Dense_0.kernel": "e.c.weight",
        "e.shift": "e.c.bias",
    }


@pytest.mark.parametrize(
    ("torch", "jax", "says", "mend"),
    [
        (
            {"e.x.weight": (5, 5), "e.y.weight": (5, 5)},
            {"e.p.kernel": (5, 5), "e.q.kernel": (5, 5)},
            "the JAX parameter e.p.kernel [5, 5] may be torch's e.x.weight or e.y.weight",
            "weights=lambda w: {'e.p.kernel': w['e.x.weight'].T}",
        ),
        ({"e.x": (5, 5)}, {"e.w": (5, 5)}, "may be torch's e.x as it is or transposed", "--frame"),
        ({"e.x": (5, 4)}, {"e.w": (5, 5)}, "has no counterpart in torch, where e.x [5, 4]", "--f"),
        (
            {"h.w": (5, 5)},
            {"e.w": (5, 5)},
            "network 'e' has no namesake in torch, whose networks are h",
            "give both the same names, or give the JAX case weights=lambda w: {'e.w': …}",
        ),
        ({"e.w": (5, 5)}, {"e.kernel": (5, 5), "e.bias": (5,)}, "where nothing is left", "e.bias"),
    ],
)
def test_what_stays_open_is_said_with_what_to_write(
    torch: dict[str, Any], jax: dict[str, Any], says: str, mend: str
) -> None:
    with pytest.raises(CaseMistakeError) as caught:
        paired(torch, jax, jax)
    assert says in str(caught.value)
    assert mend in caught.value.mend


def test_gradients_go_back_the_way_that_weights_came() -> None:
    shapes: dict[str, Any] = {"e.a": (3, 5), "e.c": (9,), "e.k": (2, 5)}
    shapes |= {"e.layers.2.kernel": (5, 4)}  # by name

    def weights(w: dict[str, Any]) -> dict[str, Any]:
        """Scale, join, and use the first two rows of a matrix once more."""
        joined = np.concatenate([w["e.0.bias"], w["e.2.bias"]])
        return {"e": {"a": 1 + 2 * w["e.0.weight"].T, "c": joined, "k": w["e.2.weight"][:2]}}

    found = moves(shapes, weights)
    start = Start(arrays()).named(found.flat)
    assert np.allclose(found.values["e.a"], 1 + 2 * start["e.0.weight"].T)
    assert np.array_equal(found.values["e.layers.2.kernel"], start["e.2.weight"].T)
    rng = np.random.default_rng(1)
    gradient = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    back = found.pulled_back(gradient)
    assert np.allclose(back["e.0.weight"], 2 * gradient["e.a"].T)
    assert np.allclose(np.concatenate([back["e.0.bias"], back["e.2.bias"]]), gradient["e.c"])
    both = gradient["e.layers.2.kernel"].T
    both[:2] += gradient["e.k"]
    assert np.allclose(back["e.2.weight"], both)
    told = {name: (how, *origins) for name, how, *origins in found.described()}
    assert told["e.a"] == ("shifted", "e.0.weight")
    assert told["e.c"] == ("rearranged", "e.0.bias", "e.2.bias")
    assert told["e.layers.2.kernel"] == ("transposed", "e.2.weight")


def test_tied_weights_have_both_names_and_one_gradient() -> None:
    start = arrays({"e.table": (6, 2)}) | {"alias/h.weight": np.array("e.table")}
    found = moves({"e.embedding": (6, 2), "h.kernel": (2, 6)}, start=start)
    ones = {"e.embedding": np.ones((6, 2)), "h.kernel": 2 * np.ones((2, 6))}
    back = found.pulled_back(ones)
    assert list(back) == ["e.table"]
    assert np.array_equal(back["e.table"], 3 * np.ones((6, 2)))


def test_what_no_loss_of_torch_reaches_needs_no_counterpart() -> None:
    start = arrays({"e.w": (3, 2)}) | arrays({"e.pooler": (4, 4)}, "unused")
    back = moves({"e.kernel": (2, 3)}, start=start).pulled_back({"e.kernel": np.ones((2, 3))})
    assert not back["e.pooler"].any()
    with pytest.raises(CaseMistakeError, match=r"torch parameter e.pooler \[4, 4\] has no counter"):
        moves({"e.kernel": (2, 3)}, start=arrays({"e.w": (3, 2), "e.pooler": (4, 4)}))


def test_statistics_are_filled_too_and_may_be_missing() -> None:
    start = arrays({"n.weight": (3,)}) | arrays({"n.running_mean": (3,)}, "buffers")
    own = Start(start)
    found = Moves(own, {"n.scale": (3,), "n.mean": (3,), "n.var": (3,)}, ["n.scale"], None,
                  no_derivative)  # fmt: skip
    assert np.array_equal(found.values["n.mean"], own.tensors["n.running_mean"])
    assert "n.var" not in found.values


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda w: [w["e.0.weight"]], "weights returns list, not name → array"),
        (
            lambda w: {"e.a": w["e.0.wieght"]},
            "asks for 'e.0.wieght', which the torch case does not",
        ),
        (lambda w: {"e.a": w["e.0.weight"]}, r"returns shape \[5, 3\] for e.a, which has \[3, 5\]"),
        (lambda w: {"e": {"b": w["e.0.bias"]}}, "returns 'e.b', which the JAX case does not have"),
        (lambda w: {"e.a": w["e.0.weight"].T[:, :4] @ np.ones((4, 5))}, "only elements"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(
    returned: Callable[..., Any], says: str
) -> None:
    error = AssertionError if says == "only elements" else CaseMistakeError
    with pytest.raises(error, match=says):
        moves({"e.a": (3, 5)}, returned)


def test_a_part_of_a_parameter_that_goes_nowhere_is_named() -> None:
    with pytest.raises(CaseMistakeError, match=r"2 of 6 elements of the torch parameter e.w"):
        moves({"e.a": (4,)}, lambda w: {"e.a": w["e.w"].ravel()[:4]}, arrays({"e.w": (3, 2)}))


def test_positions_are_told_apart_in_a_type_that_cannot_count_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's function may compute in float32, which counts to 2²⁴; float16 counts to 2048."""
    monkeypatch.setattr(weight_moves, "DIGIT", 64)

    def last(w: dict[str, Any]) -> dict[str, Any]:
        return {"e.a": w["e.w"].astype(np.float16)[-3:], "e.b": w["e.w"][:-3]}

    start = {"weights/e.w": np.zeros(3000, np.float32)}
    index = moves({"e.a": (3,), "e.b": (2997,)}, last, start).origins["e.a"].index
    assert index is not None
    assert index.tolist() == [2997, 2998, 2999]
