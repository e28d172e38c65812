"""A frozen front whose weights a network behind uses too: a cut between the two freezes it not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import test_recipes
from benchmarks.harness.launches.worker_errors import WorkerFailed
from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
nnx: Any = LazyModule("flax.nnx")
jax_problems: Any = LazyModule("impl_jax.problem")
problems: Any = LazyModule("impl_torch.problem")
recipes: Any = LazyModule("impl_torch.recipes")
runtime: Any = LazyModule("impl_torch.runtime")
strategies: Any = LazyModule("impl_torch.strategies")


def problem(tied: bool) -> Any:
    """Return two Linear layers in series, the first frozen; the second may share its weight."""
    front, back = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    if tied:
        back.weight = front.weight
    stages = [
        problems.Stage("front", front, {}),
        problems.Stage("back", back, {"loss": lambda out, _: out.square().mean()}),
    ]
    frozen = ["front.weight", "front.bias"]
    behind = ["back.bias"] if tied else ["back.weight", "back.bias"]
    return problems.Problem(stages, {"x": torch.ones(2, 4)}, {"loss": frozen + behind}, frozen)


@pytest.mark.parametrize("name", ["no_grad_forward", "detach"])
def test_weights_that_are_tied_over_the_cut_cannot_be_frozen_by_it(name: str) -> None:
    recipes.RECIPES[name](problem(tied=False))
    with pytest.raises(runtime.Unavailable, match=r"front\.weight, .* tied to back\.weight") as no:
        recipes.RECIPES[name](problem(tied=True))
    assert runtime.unsupported(no.value) == str(no.value)  # the cell is unsupported, not wrong


def trained_at_both() -> Any:
    """Return two Linear layers with one trained weight, kept under its name in the second.

    All else of the first is frozen, and each has a loss.
    """
    torch.manual_seed(0)
    front, back = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    back.weight = front.weight
    losses = [{f"loss{i}": lambda out, _, i=i: (out - i).square().mean()} for i in (1, 2)]
    stages = [problems.Stage("front", front, losses[0]), problems.Stage("back", back, losses[1])]
    reach = {"loss1": ["back.weight"], "loss2": ["back.weight", "back.bias"]}
    return problems.Problem(stages, {"x": torch.randn(6, 4)}, reach, ["front.bias"])


@pytest.mark.parametrize("name", ["no_grad_forward", "detach"])
def test_what_is_trained_behind_a_cut_cannot_be_tied_to_the_front(name: str) -> None:
    with pytest.raises(runtime.Unavailable, match=r"back\.weight, .* is trained, is tied to front"):
        recipes.RECIPES[name](trained_at_both())


def test_a_boundary_is_crossed_to_a_weight_by_each_of_its_names() -> None:
    found = {}
    for way in ("summed", "boundary_split"):
        both = trained_at_both()
        assert both.gradient_crosses(0)
        both.require_grad(both.trainable)
        strategy = strategies.STRATEGIES[way](both, lambda function: function)
        strategy.backward(strategy.forward())
        found[way] = {n: p.grad for n, p in both.trainable.items()}
    for name, right in found["summed"].items():
        assert torch.equal(found["boundary_split"][name], right), name


def test_other_recipes_freeze_tied_weights() -> None:
    tied = problem(tied=True)
    recipe = recipes.RECIPES["requires_grad_false"](tied)
    tied.require_grad(recipe.requires_grad)
    recipe.strategy.backward(recipe.strategy.forward())
    had = {name for name, parameter in tied.parameters.items() if parameter.grad is not None}
    assert had == {"back.bias"}


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("trained", [True, False])
def test_gradient_crosses_to_a_front_whose_weight_is_named_in_the_network_behind(
    framework: str, trained: bool
) -> None:
    """Both networks have one weight, and the scenario calls it by its name in the last."""
    frozen = [] if trained else ["back.weight"]
    if framework == "torch":
        layers = [torch.nn.Linear(4, 4, bias=False) for _ in range(2)]
        layers[1].weight = layers[0].weight
    else:
        layers = [nnx.Linear(4, 4, use_bias=False, rngs=nnx.Rngs(0)) for _ in range(2)]
        layers[1].kernel = layers[0].kernel
    module = {"torch": problems, "jax": jax_problems}[framework]
    losses = {"loss": lambda out, _: (out**2).mean()}
    stages = [module.Stage("front", layers[0]), module.Stage("back", layers[1], losses)]
    made = module.Problem(stages, {}, {"loss": ["back.weight"]}, frozen)
    assert made.tied == {"front.weight": "back.weight"}
    assert made.gradient_crosses(0) is trained


@pytest.mark.parametrize("file", [Path("mine.py"), None])
def test_checks_leave_out_a_cut_that_a_users_own_networks_cannot_have(
    monkeypatch: pytest.MonkeyPatch, file: Path | None
) -> None:
    def refuse(*_: Any) -> None:
        raise WorkerFailed({"type": "Unavailable", "message": "tied over the cut"})

    variant = SimpleNamespace(frozen_in_front=True, reason_against=lambda *_: None)
    scenario = SimpleNamespace(file=file, variants={"-": variant})
    monkeypatch.setattr(test_recipes, "spec", lambda _: scenario)
    workers, mine = SimpleNamespace(gradients=refuse), ("mine", "-", "seed")
    if file is None:  # ours have none: that would be a fault of this suite
        with pytest.raises(WorkerFailed, match="tied over the cut"):
            test_recipes.recipes(workers, mine, "torch")  # type: ignore[arg-type]
    else:
        names = test_recipes.recipes(workers, mine, "torch")  # type: ignore[arg-type]
        assert "requires_grad_false" in names
        assert not {"no_grad_forward", "detach"} & set(names)


def test_a_boundary_is_crossed_by_each_name_in_jax() -> None:
    pytest.importorskip("jax")
    from impl_jax.problem import Problem

    both: Any = Problem.__new__(Problem)
    both.stages = [SimpleNamespace(name="front", losses={}),
                   SimpleNamespace(name="back", losses={"loss": None})]  # fmt: skip
    both.flow, both.tied = {"loss": ["back.weight"]}, {}
    assert not both.gradient_crosses(0)
    both.tied = {"front.weight": "back.weight"}
    assert both.gradient_crosses(0)
