"""torch's optimizers are set back to what they were before their first step."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
optimizers: Any = LazyModule("impl_torch.optimizers")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Adam", {}),
        ("NAdam", {}),
        ("ASGD", {"t0": 0.0}),
        ("Rprop", {}),
        ("Adagrad", {"initial_accumulator_value": 0.5}),
        ("SparseAdam", {}),
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5, "foreach": False}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5, "foreach": True}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5, "fused": True}),
    ],
)
def test_state_that_is_set_back_steps_as_a_new_one(kind: str, settings: dict[str, Any]) -> None:
    """Take the same two steps with a new optimizer, and once more after a reset."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = getattr(torch.optim, kind)([weight], lr=0.1, **settings)
    starts = optimizers.starts([optimizer])
    first = stepped(weight, optimizer, kind)
    kept = [v.data_ptr() for v in optimizer.state[weight].values() if torch.is_tensor(v)]
    optimizers.reset(starts)
    again = stepped(weight, optimizer, kind)
    assert torch.equal(again, first)
    after = [v.data_ptr() for v in optimizer.state[weight].values() if torch.is_tensor(v)]
    # ASGD allocates its rate in every step, and with dampening the first momentum is the gradient
    assert kind == "ASGD" or settings.get("dampening") or after == kept


def test_an_optimizer_of_the_users_steps_after_a_reset_as_a_new_one() -> None:
    """Set back state that does not start at 0, in the class, a subclass of torch's, and a group."""

    class Averaged(torch.optim.Optimizer):  # type: ignore[misc]
        """Step by an average that starts with the first gradient, and ever shorter."""

        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {"count": 0})
            for group in self.param_groups:
                for one in group["params"]:
                    self.state[one]["largest"] = torch.ones_like(one)

        def step(self) -> None:
            for group in self.param_groups:
                group["count"] += 1
                for one in group["params"]:
                    state = self.state[one]
                    average = state.setdefault("average", one.grad.clone())
                    average.lerp_(one.grad, 0.5)
                    torch.maximum(state["largest"], average, out=state["largest"])
                    one.data -= average / state["largest"] / group["count"]

    class Centered(torch.optim.RMSprop):  # type: ignore[misc]
        """Begin the average of squares at 1, and not at 0 as torch's class does."""

        def _init_group(self, group: Any, *lists: Any) -> Any:
            new = [one for one in group["params"] if not self.state[one]]
            result = super()._init_group(group, *lists)
            for one in new:
                self.state[one]["square_avg"].fill_(1.0)
            return result

    for kind in (Averaged, Centered):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = kind([weight])
        starts = optimizers.starts([optimizer])
        first = stepped(weight, optimizer, kind.__name__)
        optimizers.reset(starts)
        assert torch.equal(stepped(weight, optimizer, kind.__name__), first), kind


def stepped(weight: Any, optimizer: Any, kind: str) -> Any:
    """Return a weight of ones after two steps with gradients of their own."""
    with torch.no_grad():
        weight.fill_(1.0)
    for gradient in (torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, -1.0])):
        weight.grad = gradient.to_sparse() if kind == "SparseAdam" else gradient
        optimizer.step()
    return weight.detach().clone()
