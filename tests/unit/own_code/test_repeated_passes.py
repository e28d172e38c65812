"""The passes of `reforward` over a torch case restore what a pass changes, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker.slopes import described
from cascade_bench import Case
from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
nn: Any = LazyModule("torch.nn")
case_module: Any = LazyModule("impl_torch.case")
examination: Any = LazyModule("impl_torch.case_examination")
graph_problem: Any = LazyModule("impl_torch.graph_problem")
runtime: Any = LazyModule("impl_torch.runtime")
session: Any = LazyModule("impl_torch.session")

IMPORTS_INDUCTOR = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def threads() -> Any:
    """Put back the number of threads that a session sets."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def cascade(inside: Callable[[Any], Any]) -> Case:
    """Return a case of two Linear layers with a loss after each, and ``inside`` between them."""
    first, second = nn.Linear(4, 8), nn.Linear(8, 2)

    def losses(x: Any) -> Any:
        z = inside(first(x))
        return {"code": z.square().mean(), "task": second(z).square().mean()}

    networks = {"first": first, "second": second}
    if isinstance(inside, nn.Module):
        networks["inside"] = inside
    return Case(networks, losses, torch.randn(6, 4))


def opened(make: Callable[[], Case], folder: str = "unused") -> Any:
    """Return the open case in float32 after its examination."""
    own = session.Session("cpu", "float32", folder)
    first = case_module.OpenCase(own, case_module.build(make, 0), 0, None)
    facts, _ = examination.examine(first, 0, described)
    return case_module.OpenCase(own, first.case, 0, facts)


def reforward(case: Any, mode: str = "eager") -> Any:
    """Return the program of `reforward`, set to its start."""
    program = case.program("backward", "reforward", "gradient", mode)
    program.reset()
    return program


def seedings_of_a_run(program: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how often the generators are seeded while the clock would run."""
    seeds = list[int]()
    seed_everything = graph_problem.seed_everything

    def counted(seed: int) -> None:
        seeds.append(seed)
        seed_everything(seed)

    carry = program.prepare()
    with monkeypatch.context() as patch:
        patch.setattr("impl_torch.graph_problem.seed_everything", counted)
        program.run(carry)
    return len(seeds)


def test_nothing_is_seeded_within_the_clock_where_nothing_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = reforward(opened(lambda: cascade(torch.tanh)))
    assert seedings_of_a_run(program, monkeypatch) == 0


def dropped(z: Any) -> Any:
    return nn.functional.dropout(z, 0.5)


def scaled_by_numpy(z: Any) -> Any:
    return z * np.random.rand()


def scaled_by_python(z: Any) -> Any:
    return z * random.random()


def scaled_on_the_way_back(z: Any) -> Any:
    """Return the value with a hook that draws in the backward pass alone."""
    z = z * 1.0
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * torch.rand(()))
    return z


@pytest.mark.parametrize(
    "inside",
    [dropped, scaled_by_numpy, scaled_by_python, scaled_on_the_way_back],
    ids=["torch", "numpy", "python", "backward"],
)
def test_every_loss_sees_the_same_numbers_where_some_are_drawn(
    inside: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold the gradients of `reforward` to those of each loss alone, from the start."""
    case = opened(lambda: cascade(inside))
    program = reforward(case)
    assert seedings_of_a_run(program, monkeypatch) == 2
    expected = dict[str, Any]()
    for loss in ("code", "task"):
        case.problem.require_grad(case.problem.trainable)
        case.all_losses()[loss].backward()
        for name, parameter in case.problem.parameters.items():
            if parameter.grad is not None:
                expected[name] = expected.get(name, 0.0) + parameter.grad.numpy().copy()
    program.reset()
    program.run(program.prepare())
    assert_same(program.gradients(), expected)


@IMPORTS_INDUCTOR
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_repeated_passes_that_draw_nothing_are_traced_whole(
    norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the graphs that the compiler would get, operation by operation: no compiler is needed."""
    monkeypatch.setattr("impl_torch.runtime.check_compiler", lambda device: None)
    case = opened(lambda: cascade(nn.BatchNorm1d(8) if norm else torch.tanh))
    program = reforward(case, "compile")
    with program.compiler.by_operation():
        program.run(program.prepare())
    assert_same(program.gradients(), gradients_of_reforward(case, "eager"))


@pytest.mark.slow
@IMPORTS_INDUCTOR
def test_repeated_passes_that_draw_nothing_are_compiled(tmp_path: Any) -> None:
    try:
        runtime.check_compiler(torch.device("cpu"))
    except RuntimeError as why:
        pytest.skip(str(why))
    case = opened(lambda: cascade(torch.tanh), str(tmp_path))
    assert_same(gradients_of_reforward(case, "compile"), gradients_of_reforward(case, "eager"))


def gradients_of_reforward(case: Any, mode: str) -> dict[str, Any]:
    program = reforward(case, mode)
    program.run(program.prepare())
    found: dict[str, Any] = program.gradients()
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert np.allclose(found[name], gradient, rtol=1e-4, atol=1e-6), name
