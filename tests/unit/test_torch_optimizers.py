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
    ],
)
def test_state_that_is_set_back_steps_as_a_new_one(kind: str, settings: dict[str, Any]) -> None:
    """Take the same two steps with a new optimizer, and once more after a reset."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = getattr(torch.optim, kind)([weight], lr=0.1, **settings)
    first = stepped(weight, optimizer, kind)
    kept = [v.data_ptr() for v in optimizer.state[weight].values() if torch.is_tensor(v)]
    optimizers.reset([optimizer])
    again = stepped(weight, optimizer, kind)
    assert torch.equal(again, first)
    after = [v.data_ptr() for v in optimizer.state[weight].values() if torch.is_tensor(v)]
    assert kind == "ASGD" or after == kept  # ASGD allocates its rate in every step


def stepped(weight: Any, optimizer: Any, kind: str) -> Any:
    """Return a weight of ones after two steps with gradients of their own."""
    with torch.no_grad():
        weight.fill_(1.0)
    for gradient in (torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, -1.0])):
        weight.grad = gradient.to_sparse() if kind == "SparseAdam" else gradient
        optimizer.step()
    return weight.detach().clone()
