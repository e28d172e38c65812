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
problems: Any = LazyModule("impl_torch.problem")
recipes: Any = LazyModule("impl_torch.recipes")
runtime: Any = LazyModule("impl_torch.runtime")


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


def test_other_recipes_freeze_tied_weights() -> None:
    tied = problem(tied=True)
    recipe = recipes.RECIPES["requires_grad_false"](tied)
    tied.require_grad(recipe.requires_grad)
    recipe.strategy.backward(recipe.strategy.forward())
    had = {name for name, parameter in tied.parameters.items() if parameter.grad is not None}
    assert had == {"back.bias"}


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
