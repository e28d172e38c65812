"""Whether a case is the same problem in two versions, and whether its gradients are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.protocol.arrays import write_arrays
from benchmarks.regression import case_agreement

VALUE = {"encoder.w": "value", "head.w": "value"}
FACTS: dict[str, Any] = {
    "networks": {"encoder": {}, "head": {}},
    "losses": ["code", "task"],
    "values": {"code": 0.5, "task": 2.0},
    "states": {"code": {"encoder.w": "value", "head.w": "absent"}, "task": VALUE},
    "frozen": [],
    "untouched": [],
    "coarse": {},
    "random": False,
    "expected": {},
    "prints": {"encoder.w": "a", "encoder.mean": "m", "head.w": "b", "batch.x": "x"},
}
GRADIENT = {"encoder.w": np.array([1.0, 2.0]), "head.w": np.array([3.0])}


@contextmanager
def files(gradient: dict[str, Any], facts: dict[str, Any]) -> Iterator[CaseFiles]:
    """Yield the files of a case as an examination leaves them."""
    made: Any = CaseFiles({"source": {}, "folder": "", "seed": 0}, "torch")
    made.facts = FACTS | facts
    write_arrays(made.folder / "reference.npz", {f"gradient/{n}": a for n, a in gradient.items()})
    yield made
    made.close()


def compared(judge: Any, gradient: dict[str, Any] | None = None, **facts: Any) -> str | None:
    """Return what is said of a head with this gradient and these facts."""
    with ExitStack() as stack:
        base = stack.enter_context(files(GRADIENT, {}))
        head = stack.enter_context(files(GRADIENT | (gradient or {}), facts))
        said: str | None = judge(base, head)
    return said


def test_the_same_case_is_the_same_problem_with_the_same_gradients() -> None:
    assert compared(case_agreement.difference) is None
    assert compared(case_agreement.disagreement) is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"networks": {"encoder": {}, "decoder": {}}},
            "BASE alone has the network head, and HEAD alone has the network decoder",
        ),
        ({"losses": ["code", "task", "kl"]}, "HEAD alone has the loss kl"),
        ({"untouched": ["head.b"]}, "HEAD alone has the parameter head.b"),
        (
            {"prints": {**FACTS["prints"], "batch.mask": "y"}},
            "HEAD alone has the part of the batch batch.mask",
        ),
        ({"frozen": ["encoder.w"]}, "encoder.w is frozen in HEAD and trained in BASE"),
        (
            {"prints": {**FACTS["prints"], "head.w": "c"}},
            "head.w begins with other values in HEAD than in BASE; weights and batch must be the",
        ),
        (
            {"prints": {**FACTS["prints"], "batch.x": "y"}},
            "batch.x begins with other values in HEAD",
        ),
    ],
)
def test_another_problem_is_named_with_what_to_do(facts: dict[str, Any], said: str) -> None:
    found = compared(case_agreement.difference, **facts)
    assert found is not None
    assert found.startswith(said)
    assert "; " in found


def test_another_shape_is_another_problem() -> None:
    found = compared(case_agreement.difference, {"head.w": np.ones((2, 2))})
    assert found is not None
    assert found.startswith("head.w has shape (1,) in BASE and (2, 2) in HEAD; ")


def test_a_buffer_that_came_or_changed_is_no_other_problem() -> None:
    prints = {**FACTS["prints"], "encoder.mean": "other", "encoder.count": "n"}
    assert compared(case_agreement.difference, prints=prints) is None


def test_rounding_is_no_disagreement_and_a_millionth_is_one() -> None:
    near = {name: array * (1 + 1e-13) for name, array in GRADIENT.items()}
    assert compared(case_agreement.disagreement, near) is None
    found = compared(case_agreement.disagreement, {"head.w": np.array([3.0 + 3e-6])})
    assert found is not None
    assert found.startswith("head's float64 gradients are not those of base: head.w: relative diff")
    assert found.endswith("1e-06, allowed 1e-09")


def test_a_loss_that_changed_is_named_with_both_values() -> None:
    found = compared(case_agreement.disagreement, values={"code": 0.5, "task": 2.5})
    assert found == (
        "head's losses are not those of base; the loss 'task' is 2 in base and 2.5 in head"
    )


def test_that_the_case_is_random_is_said_where_it_may_be_the_reason() -> None:
    found = compared(case_agreement.disagreement, {"head.w": np.array([4.0])}, random=True)
    assert found is not None
    assert "where head draws more of them" in found
    assert compared(case_agreement.disagreement, random=True) is None


def test_a_gradient_that_is_gone_is_a_disagreement_unless_it_was_0() -> None:
    with files(GRADIENT, {}) as base, files({"encoder.w": GRADIENT["encoder.w"]}, {}) as head:
        assert "of base: head.w: " in str(case_agreement.disagreement(base, head))
    zero = GRADIENT | {"head.w": np.array([0.0])}
    with files(zero, {}) as base, files({"encoder.w": GRADIENT["encoder.w"]}, {}) as head:
        assert case_agreement.disagreement(base, head) is None


def test_a_flow_that_the_case_does_not_expect_is_said() -> None:
    found = compared(case_agreement.disagreement, expected={"code": {"head": "value"}})
    assert found is not None
    assert found.startswith("head's flow is not the one expected: code → head is absent")


def test_what_is_coarse_or_of_float32_is_held_to_what_float32_can() -> None:
    off = {"head.w": np.array([3.0 + 3e-6])}
    noise = {"code": {"head": {"noise": 1e-7, "hidden": False}}}
    assert compared(case_agreement.disagreement, off, coarse=noise) is None
    assert compared(case_agreement.disagreement, {"head.w": np.array([3.1])}, coarse=noise)
