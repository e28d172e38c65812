"""What JAX's strategies with a jit of their own for the forward pass keep and compute there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

jax: Any = LazyModule("jax")
nnx: Any = LazyModule("flax.nnx")
problems: Any = LazyModule("impl_jax.problem")
recipes: Any = LazyModule("impl_jax.recipes")
runtime: Any = LazyModule("impl_jax.runtime")
strategies: Any = LazyModule("impl_jax.strategies")

BATCH, WIDTH = 8, 4


def cascade(networks: int) -> Any:
    """Return networks of a Linear layer and a BatchNorm in series, each with a squared error."""
    stages, names = [], list[str]()
    for i in range(networks):
        network = nnx.Sequential(
            nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(i)), nnx.BatchNorm(WIDTH, rngs=nnx.Rngs(i))
        )
        losses = {f"loss{i}": lambda output, data: (output - data["y"]).var()}
        stages.append(problems.Stage(f"net{i}", network, losses))
        names += stages[-1].parameters
    reach = {f"loss{i}": [n for n in names if int(n[3]) <= i] for i in range(networks)}
    data = {
        name: jax.random.normal(jax.random.key(i), (BATCH, WIDTH)) for i, name in enumerate("xy")
    }
    problem = problems.Problem(stages, data, reach, [])
    arrays = {n: leaf[...] for stage in stages for n, (_, leaf) in stage.parameters.items()}
    buffers = {n: leaf[...] for stage in stages for n, (_, leaf) in stage.buffers.items()}
    problem.load(arrays, buffers)
    return problem


class Recorder:
    """Return each function as it is, in place of a compiler, and keep them in ``functions``."""

    def __init__(self) -> None:
        self.functions: list[Callable[..., Any]] = []

    def __call__(self, function: Callable[..., Any], donate: tuple[int, ...] = ()) -> Any:
        self.functions.append(function)
        return function


@pytest.mark.parametrize(
    ("name", "compiled"),
    [("separate_retained", 1 + 2), ("checkpointed", 1 + 2), ("reforward", 2 + 1)],
)
def test_buffers_come_from_the_forward_pass_that_is_there(name: str, compiled: int) -> None:
    """A pass of its own for them, in the compiled functions, is left to `reforward` alone."""
    problem, jit = cascade(2), Recorder()
    recipe = recipes.from_strategy(problem, strategies.STRATEGIES[name](problem, jit), jit)
    grads, buffers = recipe.gradient(problem.trainable, problem.constants)
    right = problem.forward(problem.trainable, problem.constants)[1]
    assert buffers.keys() == right.keys() == problem.constants["buffers"].keys()
    assert all((buffers[n] == right[n]).all() for n in right)
    assert any((buffers[n] != before).any() for n, before in problem.constants["buffers"].items())
    assert grads.keys() == problem.trainable.keys()
    assert len(jit.functions) == compiled


@pytest.mark.parametrize("networks", [2, 4])
def test_retained_residuals_are_kept_once_for_all_losses(networks: int) -> None:
    """Compiled, so that the residuals are copies, which may be counted."""
    problem = cascade(networks)
    kept = {}
    for name in ("summed", "separate_retained"):
        strategy = strategies.STRATEGIES[name](problem, lambda f, donate=(): jax.jit(f))
        forward = strategy.forward if name == "separate_retained" else jax.jit(strategy.forward)
        carry = forward(problem.trainable, problem.constants)
        kept[name] = problems.leaves_bytes(carry[0] if strategy.moved_buffers else carry)
    assert kept["summed"] == kept["separate_retained"]


def test_pullback_of_a_loss_walks_the_networks_in_front_of_it_alone() -> None:
    problem, jit = cascade(3), Recorder()
    strategy = strategies.separate_retained(problem, jit)
    carry = jax.jit(strategy.forward)(problem.trainable, problem.constants)
    grads: dict[str, Any] = {}
    products = []
    *pulls, _ = jit.functions
    for pull in pulls:
        products.append(str(jax.make_jaxpr(pull)(carry[0], grads)).count("dot_general"))
        grads = pull(carry[0], grads)
    # a weight's gradient for each network that is walked, an input's for each but the first
    assert products == [1, 3, 5]


def test_older_release_without_symbolic_zeros_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies.jax, "__version_info__", (0, 10, 1))
    with pytest.raises(runtime.Unavailable, match=r"no symbolic zeros.* those of jax 0\.10\.2"):
        strategies.separate_retained(cascade(2), Recorder())
