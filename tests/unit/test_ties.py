"""Nearly equal distances: two codes between which rounding decides are as near as to a kink."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
branches: Any = LazyModule("impl_torch.branches")
problem_module: Any = LazyModule("impl_torch.problem")
probing: Any = LazyModule("impl_torch.probing")


@pytest.mark.parametrize("apart", [1e-3, 1e-7])
def test_two_codes_that_are_equally_near_are_a_kink(apart: float) -> None:
    """A value at 0 between codes at −1 and 1, of which one is a little nearer."""
    network = branches.Codebook(3, 1).double()
    with torch.no_grad():
        codes = torch.tensor([[-1.0], [1.0 + apart], [2.0]], dtype=torch.float64)
        network.table.weight.copy_(codes)
    losses = {"loss": lambda output, _: output[1].square().mean()}
    stage = problem_module.Stage("codebook", network, losses)
    name = "codebook.table.weight"
    data = {"x": torch.zeros(1, 1, dtype=torch.float64)}
    problem = problem_module.Problem([stage], data, {"loss": [name]}, [])
    nearest, second, farthest = 1.0, (1.0 + apart) ** 2, 4.0
    expected = (second - nearest) / farthest
    assert probing.kink_distance(problem) == pytest.approx(expected, rel=1e-6)
