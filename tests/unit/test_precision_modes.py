"""What the two implementations compute in which dtype, in each precision mode."""

from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.requests import prepare_request
from benchmarks.harness.protocol import cells, equivalence, precision
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import parts

SIZE = "seed"


def implementation(framework: str) -> ModuleType:
    """Return the framework's module of sessions; skip the test where it is not installed."""
    pytest.importorskip(framework)
    return __import__(f"impl_{framework}.session", fromlist=["Session"])


def opened(framework: str, scenario: str, variant: str = "-", dtype: str = "float32") -> Any:
    """Return an open problem of this process."""
    spec = CATALOGUE[scenario]
    facts, (weights, data) = spec.problem_spec(variant, SIZE), spec.draw(variant, SIZE)
    # named, so that torch's makes no folder for what it compiles, which here is nothing
    cache = {"cache": "unused"} if framework == "torch" else {}
    session = implementation(framework).Session("cpu", dtype, **cache)
    build = parts.find_builder(framework, facts["family"], facts["build"])
    problem = session.open(build, facts, data)
    problem.load(weights)
    return problem


def gradients(problem: Any, mode: str, kind: str = "backward", name: str = "summed") -> Any:
    """Return the gradients of one call in a precision mode."""
    program = problem.program(kind, name, "gradient", precision_mode=mode)
    program.reset()
    program.wait(program.run(program.prepare()))
    return program.gradients()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_networks_round_to_bfloat16_and_gradients_stay_float32(framework: str) -> None:
    problem = opened(framework, "linear_cascade")
    full, lower = gradients(problem, "ieee"), gradients(problem, "bf16")
    again = gradients(problem, "ieee")
    for name, gradient in lower.items():
        assert gradient.dtype == np.float32
        assert 1e-4 < equivalence.relative(gradient, full[name]) < 2.0**-6
        assert np.array_equal(full[name], again[name])  # nothing of a mode is left behind


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_tf32_on_a_cpu_is_unavailable_with_the_reason(framework: str) -> None:
    problem = opened(framework, "linear_cascade")
    with pytest.raises(RuntimeError, match="only a GPU multiplies in TF32") as caught:
        problem.program("backward", "summed", "gradient", precision_mode="tf32")
    assert problem.session.unsupported(caught.value)
    with pytest.raises(ValueError, match="'fp8'; allowed: ieee, tf32, bf16"):
        problem.program("backward", "summed", "gradient", precision_mode="fp8")


def test_torch_losses_are_float32_and_a_severed_value_is_too() -> None:
    problem = opened("torch", "severed_cascade")
    program = problem.program("backward", "summed", "backward", precision_mode="bf16")
    program.reset()
    assert {str(loss.dtype) for loss in program.prepare().values()} == {"torch.float32"}


def test_jax_computes_networks_in_bfloat16_and_losses_in_float32() -> None:
    problem, seen = opened("jax", "linear_cascade").problem, dict[str, str]()
    from impl_jax.precision import Precision

    def loss(output: Any, data: Any) -> Any:
        seen["loss"] = str(output.dtype)
        return output.sum()

    lower, stage = Precision("bf16").problem(problem), problem.stages[0]
    value, losses, _ = lower.run_stage(
        replace(stage, losses={"loss1": loss}),
        problem.constants["data"]["x"], problem.trainable, problem.constants,
    )  # fmt: skip
    assert (str(value.dtype), seen["loss"]) == ("bfloat16", "float32")
    assert str(losses["loss1"].dtype) == "float32"


JAX_STRATEGIES = cells.STRATEGIES["jax"]


@pytest.mark.parametrize("name", JAX_STRATEGIES)
def test_jax_losses_of_every_strategy_are_computed_in_float32(name: str) -> None:
    """Exponentials stand in the losses alone; a network in bfloat16 has none."""
    problem = opened("jax", "linear_cascade").problem
    jax: Any = pytest.importorskip("jax")
    from impl_jax.precision import Precision
    from impl_jax.strategies import STRATEGIES

    def loss(output: Any, data: Any) -> Any:
        return jax.numpy.exp(output).sum()

    problem.stages = [
        replace(stage, losses=dict.fromkeys(stage.losses, loss)) for stage in problem.stages
    ]
    strategy = STRATEGIES[name](Precision("bf16").problem(problem), lambda f, donate=(): f)
    arguments = problem.trainable, problem.constants
    traced = str(
        jax.make_jaxpr(lambda *given: strategy.backward(strategy.forward(*given)))(*arguments)
    )
    assert set(re.findall(r":(\w+)\[[^\]]*\] = exp ", traced)) == {"f32"}


def test_jax_casts_each_parameter_to_bfloat16_once() -> None:
    problem = opened("jax", "linear_cascade").problem
    jax: Any = pytest.importorskip("jax")
    from impl_jax.precision import Precision

    lower = Precision("bf16").problem(problem)
    traced = str(jax.make_jaxpr(lower.losses)(problem.trainable, problem.constants))
    inputs = 1  # of the first network; the second takes the first one's output as it is
    assert traced.count("new_dtype=bfloat16") == len(problem.trainable) + inputs


def test_jax_products_of_tf32_are_traced_so_forward_and_backward() -> None:
    jax = pytest.importorskip("jax")
    from impl_jax.precision import Precision

    def loss(weight: Any) -> Any:
        return (weight @ weight).sum()

    traced = str(jax.make_jaxpr(jax.grad(Precision("tf32", "gpu").within(loss)))(np.ones((2, 2))))
    assert traced.count("dot_general") > 1
    assert traced.count("HIGH")
    assert "HIGHEST" not in traced


def test_torch_switches_to_tf32_for_such_a_program_and_back_for_the_next() -> None:
    torch = pytest.importorskip("torch")
    from impl_torch.precision import Precision

    before = torch.backends.fp32_precision
    try:
        torch.backends.fp32_precision = "ieee"
        Precision("tf32", torch.device("cuda")).apply()
        assert torch.backends.fp32_precision == "tf32"
        Precision("bf16", torch.device("cuda")).apply()
        assert torch.backends.fp32_precision == "ieee"
        torch.backends.fp32_precision = "none"  # by a user's own code
        Precision().apply()
        assert torch.backends.fp32_precision == "none"
    finally:
        torch.backends.fp32_precision = before


PROBLEMS = [
    (name, variant)
    for name, spec in CATALOGUE.items()
    for variant in spec.variants
    if not precision.reason_against("bf16", "float32", "cpu", "torch", "eager", name, variant)
]


def bounds(scenario: str, variant: str) -> Any:
    """Return the rules of the scenario's cells in bfloat16."""
    files = ProblemFiles(scenario, variant, SIZE)
    way = {"kind": "backward", "phase": "gradient", "mode": "eager", "dtype": "float32"}
    request: Any = prepare_request(
        way | {"precision_mode": "bf16"}, files, "reference.npz", ["summed"]
    )
    files.close()
    return request["rules"] | request["cells"]["summed"] | request["precision_rules"]


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "variant"), PROBLEMS, ids=lambda name: name)
def test_right_gradient_passes_and_a_seeded_fault_is_found_at_the_bounds_of_bfloat16(
    scenario: str, variant: str
) -> None:
    """A loss left out, a loss counted twice, and a frozen parameter that gets a gradient."""
    exact = opened("torch", scenario, variant, dtype="float64")
    by_loss = {
        loss: {n: g for n, g in each.items() if g is not None}
        for loss, each in exact.loss_gradients().items()
    }
    true = summed(by_loss)
    rules = bounds(scenario, variant)
    kind = ("freeze", "requires_grad_false") if rules["no_gradient"] else ("backward", "summed")
    lower = gradients(opened("torch", scenario, variant), "bf16", *kind)

    def problem(found: dict[str, Any]) -> str | None:
        return equivalence.compare(
            found,
            true,
            allowed=rules["allowed"],
            dtype="float32",
            networks=rules["networks"],
            zero_gradient=tuple(rules["zero_gradient"]),
            zero_elements=noise_of(true, rules["networks"]),
            zero_allowed=rules["zero_allowed"],
        ).problem

    assert problem(lower) is None
    for loss, own in by_loss.items():
        for factor in (-1.0, 1.0):
            more = {n: (factor * g).astype(np.float32) for n, g in own.items()}
            faulty = {n: g + more[n] if n in more else g for n, g in lower.items()}
            assert problem(faulty), f"{loss} {'twice' if factor > 0 else 'left out'}"
    for name in rules["no_gradient"]:
        assert problem({**lower, name: np.zeros(1, np.float32)})


def summed(by_loss: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of the gradients of all losses, by parameter."""
    total: dict[str, Any] = {}
    for each in by_loss.values():
        for name, gradient in each.items():
            total[name] = total[name] + gradient if name in total else gradient
    return total


def noise_of(true: dict[str, Any], networks: list[str]) -> dict[str, Any]:
    """Return the elements whose gradient in float64 is rounding noise, by parameter."""
    from benchmarks.harness.protocol import zero_elements

    return dict(zero_elements.find([true], networks, long_sums=False))
