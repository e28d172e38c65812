"""Networks that return a tuple, a dict or a dataclass: cut at every tensor, or refused."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.helpers.lazy_module import LazyModule
from tests.helpers.output_forms import FORMS, problem_of

pytestmark = pytest.mark.usefixtures("stored_programs")
torch: Any = LazyModule("torch")
structure: Any = LazyModule("impl_torch.structure")
problem_module: Any = LazyModule("impl_torch.problem")
recipes: Any = LazyModule("impl_torch.recipes")
strategies: Any = LazyModule("impl_torch.strategies")


def gradients(problem: Any, way: str) -> dict[str, Any]:
    """Return the gradients that a strategy or recipe of torch leaves in a problem."""
    if way in recipes.RECIPES:
        recipe = recipes.RECIPES[way](problem)
        problem.require_grad(recipe.requires_grad)
        strategy = recipe.strategy
    else:
        problem.require_grad(problem.trainable)
        strategy = strategies.STRATEGIES[way](problem, lambda function: function)
    strategy.backward(strategy.forward())
    return {n: p.grad.numpy().copy() for n, p in problem.trainable.items()}


@pytest.mark.parametrize("form", FORMS)
def test_torch_cuts_every_tensor_of_an_output(form: str) -> None:
    for way, baseline, frozen in (
        ("boundary_split", "summed", False),
        ("detach", "requires_grad_false", True),
        ("no_grad_forward", "requires_grad_false", True),
    ):
        right = gradients(problem_of("torch", form, frozen=frozen), baseline)
        found = gradients(problem_of("torch", form, frozen=frozen), way)
        assert right.keys() == found.keys()
        assert all(np.any(one) for one in right.values())
        assert all(np.array_equal(right[name], found[name]) for name in right), way


@pytest.mark.parametrize("form", FORMS)
def test_jax_pulls_back_through_every_array_of_an_output(form: str) -> None:
    pytest.importorskip("jax")
    from impl_jax.strategies import STRATEGIES as WAYS

    problem = problem_of("jax", form)
    grads = {}
    for way in ("summed", "boundary_split"):
        strategy = WAYS[way](problem, lambda function: function)
        grads[way] = strategy.backward(strategy.forward(*problem.inputs()))
    for name, right in grads["summed"].items():
        assert np.any(right)
        np.testing.assert_allclose(grads["boundary_split"][name], right, rtol=1e-6)


MEND = {
    "torch": "return a tensor, or a tuple, list, dict or dataclass of tensors",
    "jax": "or register the dataclass with jax.tree_util.register_dataclass",
}


@pytest.mark.parametrize("form", ["opaque", "opaque inside"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_output_that_cannot_be_cut_is_refused_with_file_line_and_mend(
    framework: str, form: str
) -> None:
    pytest.importorskip(framework)
    ways = import_module(f"impl_{framework}.strategies").STRATEGIES
    problem = problem_of(framework, form)
    arguments = problem.inputs() if framework == "jax" else ()
    forward = ways["boundary_split"](problem, lambda function: function).forward
    with pytest.raises(TypeError) as caught:
        forward(*arguments)
    said = str(caught.value)
    returned = "Opaque" if form == "opaque" else "tuple, which holds Opaque"
    assert re.match(rf"output_forms\.py:\d+: Front returns {returned}, ", said), said
    assert said.endswith(MEND[framework])
    assert "\n" not in said
    if framework == "torch":
        with pytest.raises(TypeError, match=r"output_forms\.py:\d+: Front returns"):
            gradients(problem_of("torch", form, frozen=True), "detach")


@pytest.mark.parametrize("form", [*FORMS, "opaque"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_case_of_a_user_has_a_boundary_where_its_outputs_can_be_cut(
    framework: str, form: str
) -> None:
    pytest.importorskip(framework)
    examination = import_module(f"impl_{framework}.case_examination")
    problem = problem_of(framework, form)
    said = examination.boundary_problem(
        SimpleNamespace(case=SimpleNamespace(losses=None), problem=problem)
    )
    if form in FORMS:
        assert said is None
    else:
        assert re.match(r"output_forms\.py:\d+: Front returns Opaque, ", said or ""), said


class Doubled(tuple[Any, ...]):
    """A tuple that is made of one part, and so cannot be made anew of its two."""

    def __new__(cls, one: Any, *, twice: bool) -> Doubled:
        return super().__new__(cls, (one, one))


def test_refusal_names_the_forward_pass_that_is_wrapped_and_a_class_that_cannot_be_made_anew() -> (
    None
):
    class Wrapped(torch.nn.Identity):  # type: ignore[misc]
        @wraps(gradients)  # as a decorator of transformers does it, from another file
        def forward(self, value: Any) -> Any:
            return value

    said = structure.why_not_cut(Doubled(torch.ones(2), twice=True), Wrapped())
    line = gradients.__code__.co_firstlineno
    assert re.match(rf"test_structure\.py:{line}: Wrapped returns Doubled \(.*'twice'\), in", said)
    assert structure.why_not_cut((torch.ones(2),), Wrapped()) is None


def test_what_uses_no_output_is_not_cut_twice() -> None:
    """A tensor that nothing behind uses brings no cotangent back, and is left out."""
    right = gradients(problem_of("torch", "tuple", used=1), "summed")
    found = gradients(problem_of("torch", "tuple", used=1), "boundary_split")
    assert all(np.array_equal(right[name], found[name]) for name in right)


class Named(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True)
class Frozen:
    first: Any
    second: Any = None


def test_class_of_an_output_is_kept_and_what_is_no_tensor_stays() -> None:
    tensor = torch.ones(2, requires_grad=True)
    indices = torch.arange(2)
    for value in (
        (tensor, None, 1, "a"), [tensor, [indices]], {"a": tensor}, OrderedDict(b=tensor),
        Named(tensor, (indices,)), Frozen(tensor), Frozen({"deep": [tensor]}, 2.0),
    ):  # fmt: skip
        copied, outputs, leaves = structure.cut_off(value, torch.nn.Identity())
        assert type(copied) is type(value)
        assert ([id(one) for one in outputs], len(leaves)) == ([id(tensor)], 1)
        assert leaves[0].is_leaf
        assert leaves[0].requires_grad
        assert leaves[0] is next(structure.tensors(copied))
        assert next(structure.tensors(value)) is tensor  # the value itself is as it was
        assert not any(
            one.requires_grad for one in structure.tensors(problem_module.cut(value, {}))
        )
    assert structure.cut_off(indices, torch.nn.Identity())[1] == []
