"""A problem of one function of the batch, in process: the same gradients as the long form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.harness.protocol import cells
from tests.helpers.lazy_module import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import nn

    from impl_torch import cascade, case_values, graph_problem, strategies
    from impl_torch import problem as whole_problem
else:
    torch, nn = LazyModule("torch"), LazyModule("torch.nn")
    case_values, cascade, graph_problem, strategies, whole_problem = (
        LazyModule(f"impl_torch.{name}")
        for name in ("case_values", "cascade", "graph_problem", "strategies", "problem")
    )

OVER_STAGES = ("boundary_split", "checkpointed")  # ways that take the networks one by one
WAYS = [way for way in cells.STRATEGIES["torch"] if way not in OVER_STAGES]


def gradients(problem: whole_problem.Problem, way: str) -> dict[str, Any]:
    problem.require_grad(problem.trainable)
    problem.restore_buffers()
    strategy = strategies.STRATEGIES[way](problem, lambda function: function)
    strategy.backward(strategy.forward())
    grads: dict[str, Any] = {n: p.grad for n, p in problem.parameters.items()}
    return {n: grad.numpy().copy() for n, grad in grads.items()}


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_those_of_the_long_form_to_the_last_bit(way: str) -> None:
    torch.manual_seed(0)
    stages = cascade.linear_cascade(width=16)
    first, second = (stage.network for stage in stages)
    names = ("x", *(f"target{i + 1}" for i in range(2)))
    data = {name: torch.randn(8, 16) for name in names}
    (name1, loss1), (name2, loss2) = (next(iter(stage.losses.items())) for stage in stages)
    own = {s.name: [f"{s.name}.{n}" for n, _ in s.network.named_parameters()] for s in stages}
    reach = {name1: own[stages[0].name], name2: [n for names in own.values() for n in names]}

    def losses(batch: Any) -> dict[str, Any]:
        z = first(batch["x"])
        return {name1: loss1(z, batch), name2: loss2(second(z), batch)}

    networks = {stage.name: stage.network for stage in stages}
    long = gradients(whole_problem.Problem(stages, data, reach, []), way)
    short = gradients(graph_problem.GraphProblem(networks, losses, data, reach, [], 0), way)
    assert long.keys() == short.keys()
    for name, gradient in long.items():
        assert np.array_equal(gradient, short[name]), name


def test_buffers_and_random_numbers_are_put_back_before_a_repeated_pass() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    batch = torch.randn(6, 4)
    problem = graph_problem.GraphProblem(
        {"net": net}, lambda x: {"a": net(x).square().sum()}, batch, {"a": ["net.0.weight"]}, [], 0
    )
    values = [problem.losses(until="a")["a"].item() for _ in range(2)]
    assert values[0] == values[1]
    assert problem.losses()["a"].item() != values[0]
    moved = ["net.1.running_mean", "net.1.running_var", "net.1.num_batches_tracked"]
    assert problem.moved_buffers() == moved
    problem.restore_buffers()
    assert problem.moved_buffers() == []


def averaging() -> whole_problem.Problem:
    """Return a problem with a BatchNorm whose running mean is that of all batches so far."""
    torch.manual_seed(0)
    stage = whole_problem.Stage(
        "net",
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None)),
        {"a": lambda output, data: output.square().mean()},
    )
    data = {"x": torch.randn(6, 4)}
    return whole_problem.Problem([stage], data, {"a": ["net.0.weight", "net.1.weight"]}, [])


def mean_after_a_pass(problem: whole_problem.Problem) -> Any:
    problem.restore_buffers()
    problem.losses()
    return problem.buffers["net.1.running_mean"].clone()


def test_a_mean_of_all_batches_starts_again_with_the_count_of_batches() -> None:
    problem = averaging()
    first = mean_after_a_pass(problem)
    assert torch.equal(mean_after_a_pass(problem), first)
    problem.restore_buffers()
    start = {n: t.detach().clone() for n, t in (problem.parameters | problem.buffers).items()}
    problem.losses()
    problem.load(start)  # what was counted before belongs to other values
    assert torch.equal(mean_after_a_pass(problem), first)
    assert "net.1.num_batches_tracked" not in problem.buffers  # they are compared, it is not


def test_problems_that_share_their_networks_share_the_count_of_batches() -> None:
    problem, other = averaging(), averaging()
    problem.share_with(other.stages[0])
    problem.losses()
    assert other.stages[0].network[1].num_batches_tracked.item() == 1  # type: ignore[index]


def test_a_graph_built_before_survives_the_putting_back_of_buffers() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    batch = torch.randn(6, 4)
    problem = graph_problem.GraphProblem(
        {"net": net}, lambda x: {"a": net(x).square().sum()}, batch, {"a": ["net.0.weight"]}, [], 0
    )
    loss = problem.losses()["a"]
    problem.restore_buffers()
    loss.backward()  # raises where a saved tensor was overwritten in its view
    gradient: Any = net[0].weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def test_float64_draws_what_float32_draws() -> None:
    def drawn(dtype: Any) -> list[Any]:
        torch.manual_seed(0)
        like = torch.zeros(37, dtype=dtype)
        return [
            torch.randn(37, dtype=dtype),
            torch.randn_like(like),
            torch.rand(37, dtype=dtype),
            torch.zeros_like(like).normal_(),
            torch.nn.functional.dropout(like + 1, 0.5),
            torch.randint(100, (37,)),
            torch.empty_like(like).bernoulli_(like + 0.4),
            torch.normal(0.0, like + 1),
            torch.randn_like(torch.zeros(37, dtype=torch.float32), dtype=dtype),
            torch.rand(37, out=torch.empty(0, dtype=dtype)),
        ]

    with case_values.DrawAsFloat32():
        wide = drawn(torch.float64)
    for one, other in zip(wide, drawn(torch.float32), strict=True):
        assert torch.equal(one, other.to(one.dtype))
    assert wide[0].dtype == torch.float64


def test_what_draws_nothing_is_computed_in_float64() -> None:
    functional = torch.nn.functional
    one = torch.randn(2, 2, 5, 8, dtype=torch.float64)
    runs = (
        lambda: functional.scaled_dot_product_attention(one, one, one),
        lambda: functional.rrelu(one / 3, training=False),
        lambda: torch.randn_like(one, dtype=torch.float32),
    )
    for run in runs:
        torch.manual_seed(0)
        right = run()
        torch.manual_seed(0)
        with case_values.DrawAsFloat32():
            found = run()
        assert found.dtype == right.dtype
        assert torch.equal(found, right)


def test_a_random_slope_is_kept_for_the_backward_pass() -> None:
    x = torch.randn(50, dtype=torch.float64, requires_grad=True)
    with case_values.DrawAsFloat32():
        y = torch.nn.functional.rrelu(x, training=True)
        y.sum().backward()
    slope: Any = x.grad
    assert torch.allclose(slope * x, y, rtol=1e-6)


def test_nested_values_keep_their_types() -> None:
    from collections import namedtuple

    pair = namedtuple("pair", "a b")
    value = {"p": pair(torch.ones(1), 2), "l": [torch.ones(1), "s"], "n": None}
    changed = case_values.map_tensors(value, lambda t: t.double())
    assert isinstance(changed["p"], pair)
    assert changed["p"].a.dtype == torch.float64
    assert changed["l"][1:] == ["s"]
    assert changed["n"] is None
