"""Cases in JAX of less usual, and legal, make: opened and run in this process, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cascade_bench import Case
from tests.helpers.lazy_module import LazyModule

pytestmark = pytest.mark.usefixtures("stored_programs")
jax: Any = LazyModule("jax")
jnp: Any = LazyModule("jax.numpy")
nnx: Any = LazyModule("flax.nnx")
optax: Any = LazyModule("optax")
case_module: Any = LazyModule("impl_jax.case")
case_losses: Any = LazyModule("impl_jax.case_losses")
case_values: Any = LazyModule("impl_jax.case_values")
session: Any = LazyModule("impl_jax.session")

WAYS = ("separate_retained", "separate_grad", "separate_pullbacks", "reforward", "batched")
SERIES = ("boundary_split", "checkpointed")


@dataclass
class Batch:
    """A batch that JAX takes for one value, as nobody has registered its class."""

    x: Any
    name: str = "a batch"


def opened(case: Case, frozen: list[str] | None = None) -> Any:
    """Return the case, open in float32, as if each loss reached every parameter."""
    own = session.Session("cpu", "float32")
    found = case_module.OpenCase(own, case, 0, None)
    losses = list(found.all_losses(found.problem.parameters, found.problem.constants))
    facts = {
        "reach": dict.fromkeys(losses, found.problem.names),
        "frozen": frozen or [],
        "untouched": [],
        "moved": [],
    }
    return case_module.OpenCase(own, case, 0, facts)


def gradients(case: Case, way: str, phase: str = "gradient") -> dict[str, Any]:
    """Return the gradients of a strategy."""
    program = opened(case).program("backward", way, phase)
    program.reset()
    program.wait(program.run(program.prepare()))
    return dict(program.gradients())


def tree(losses: Callable[[Any, Any], Any], batch: Any = None, **more: Any) -> Case:
    """Return a case of one matrix; the losses are of it and the batch."""
    networks = {"net": {"w": jnp.eye(4)}}
    x = jnp.ones((6, 4)) if batch is None else batch
    return Case(networks, lambda nets, x: losses(nets["net"]["w"], x), x, **more)


def two_dtypes() -> Case:
    """A loss that is computed in bfloat16, and one in float32."""

    def losses(w: Any, x: Any) -> Any:
        half = jnp.square(x.astype(jnp.bfloat16) @ w.astype(jnp.bfloat16)).mean()
        return {"half": half, "whole": jnp.square(x @ w).mean()}

    return tree(losses)


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_in_bfloat16_is_pulled_back(way: str) -> None:
    right, found = (gradients(two_dtypes(), one)["net.w"] for one in ("summed", way))
    assert right.dtype == found.dtype == np.float32
    assert np.allclose(found, right, rtol=1e-2)
    assert right.any()


@pytest.mark.parametrize("way", ["summed", *SERIES])
def test_a_loss_in_bfloat16_is_pulled_back_alone_and_through_stages(way: str) -> None:
    from cascade_bench import Stage

    rngs = nnx.Rngs(0)
    networks = {"one": nnx.Linear(4, 4, rngs=rngs), "two": nnx.Linear(4, 4, rngs=rngs)}
    task = {"task": lambda out, _: jnp.square(out.astype(jnp.bfloat16)).mean()}
    stages = [Stage("one", {}), Stage("two", task)]
    found = gradients(Case(networks, batch=jnp.ones((6, 4)), stages=stages), way, "backward")
    assert all(one.any() for one in found.values())
    assert len(found) == 4


def test_an_optimizer_that_keeps_the_first_parameters_takes_its_steps() -> None:
    def losses(w: Any, x: Any) -> Any:
        return {"task": jnp.square(x @ w).mean()}

    for optimizer in (optax.contrib.prodigy(), optax.contrib.dog()):
        step = opened(tree(losses, optimizer=optimizer)).program("backward", "summed", "step")
        for _ in range(2):
            step.reset()
            for _ in range(2):
                step.wait(step.run(step.prepare()))
        assert not np.array_equal(step.updates()["net.w"], np.eye(4))


@pytest.mark.parametrize(
    ("draw", "more"),
    [
        ("normal", {"shape": (9,)}),
        ("binomial", {"n": 5.0, "p": 0.4, "shape": (9,)}),
        ("geometric", {"p": 0.4, "shape": (9,)}),
        ("choice", {"a": 7, "shape": (9,), "p": "weights"}),
        ("randint", {"shape": (9,), "minval": 0, "maxval": 7}),
    ],
)
def test_float64_draws_what_float32_draws(draw: str, more: dict[str, Any]) -> None:
    def drawn() -> Any:
        weights = {"p": jnp.arange(1.0, 8.0) / 28} if more.get("p") == "weights" else {}
        return np.asarray(getattr(jax.random, draw)(jax.random.key(3), **(more | weights)))

    narrow = drawn()
    with jax.enable_x64(True), case_values.DrawAsFloat32():
        wide = drawn()
    assert np.array_equal(wide, narrow)
    assert wide.dtype == np.float64 or wide.dtype.kind == narrow.dtype.kind == "i"


@pytest.mark.parametrize("value", [None, ("scalar", "beside it")], ids=["none", "tuple"])
def test_a_loss_that_is_no_array_is_named(value: Any) -> None:
    shapes = {"task": value}
    with pytest.raises(case_values.CaseError, match=r"the loss 'task' is (None$|tuple, not an)"):
        case_losses.check_losses(shapes)


def test_a_gradient_that_is_not_a_number_is_named_with_its_loss() -> None:
    from impl_jax.case_examination import Examination

    def losses(nets: Any, x: Any) -> dict[str, Any]:
        h = x @ nets["net"]
        return {"root": jnp.where(h > 0, jnp.sqrt(h), 0.0).mean()}

    case = Case({"net": jnp.ones((4, 2))}, losses, jnp.zeros((6, 4)))
    found = case_module.OpenCase(session.Session("cpu", "float32"), case, 0, None)
    with pytest.raises(case_values.CaseError, match="'root' by net is NaN in float32") as refused:
        Examination(found, 0)
    assert "jnp.where" in refused.value.mend


@pytest.mark.parametrize("period", [2, 3])
def test_losses_that_differ_from_call_to_call_are_named(period: int) -> None:
    from impl_jax.case_examination import Examination

    calls = iter(range(1000))

    def losses(nets: Any, x: Any) -> dict[str, Any]:
        own = {"task": jnp.square(x @ nets["net"]).mean()}
        return own if next(calls) % period else {**own, "aux": nets["net"].mean()}

    case = Case({"net": jnp.ones((4, 2))}, losses, jnp.ones((6, 4)))
    found = case_module.OpenCase(session.Session("cpu", "float32"), case, 0, None)
    with pytest.raises(case_values.CaseError, match=r"returns .* in one call, and .* in another"):
        Examination(found, 0)


@pytest.mark.parametrize(
    ("batch", "mend"),
    [
        (lambda: {"x": jnp.ones((6, 4)), "kind": "train"}, "leave it out of the batch"),
        (lambda: Batch(jnp.ones((6, 4))), "register its class: jax.tree_util.register_dataclass"),
    ],
    ids=["str", "Batch"],
)
def test_a_batch_that_jax_cannot_trace_is_refused(batch: Any, mend: str) -> None:
    with pytest.raises(case_values.CaseError, match=r"the batch holds (str|Batch), which") as no:
        opened(tree(lambda w, _: {"task": w.sum()}, batch()))
    assert no.value.mend.startswith(mend)


def test_numbers_and_none_in_a_batch_are_taken() -> None:
    def losses(w: Any, batch: Any) -> Any:
        return {"task": batch["times"] * jnp.square(batch["x"] @ w).mean()}

    batch = {"x": jnp.ones((6, 4)), "times": 3, "mask": None}
    assert gradients(tree(losses, batch), "summed")["net.w"].any()


@pytest.mark.parametrize("module", [False, True], ids=["tree", "module"])
def test_a_complex_parameter_is_refused(module: bool) -> None:
    class Turn(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.w, self.turn = nnx.Param(jnp.ones(4)), nnx.Param(jnp.full(4, 1j))

    net = Turn() if module else {"w": jnp.ones(4), "turn": jnp.full(4, 1j)}
    case = Case({"net": net}, lambda nets, x: {"task": x.sum()}, jnp.ones((6, 4)))
    with pytest.raises(case_values.CaseError, match=r"net\.turn is complex64"):
        opened(case)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("module", [False, True], ids=["tree", "module"])
def test_a_parameter_of_half_precision_is_refused(kind: str, module: bool) -> None:
    half = jnp.ones((4, 2), kind)
    net = nnx.Linear(4, 2, param_dtype=half.dtype, rngs=nnx.Rngs(0)) if module else {"kernel": half}
    case = Case({"net": net}, lambda nets, x: {"task": x.sum()}, jnp.ones((6, 4)))
    with pytest.raises(case_values.CaseError, match=rf"net\.\w+ is {kind}.*float32"):
        opened(case)


def test_a_complex_constant_of_a_module_stays() -> None:
    class Turn(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.w, self.turn = nnx.Param(jnp.ones(4)), nnx.Variable(jnp.full(4, 1j))

    def losses(nets: Any, x: Any) -> Any:
        return {"task": jnp.square((x * nets["net"].w[...] * nets["net"].turn[...]).imag).mean()}

    found = gradients(Case({"net": Turn()}, losses, jnp.ones((6, 4))), "summed")
    assert found["net.w"].any()


def test_variables_that_hold_numbers_trees_or_nothing() -> None:
    class Held(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.scale, self.rate = nnx.Param(2.0), nnx.Variable(0.5)
            self.cache, self.none = nnx.Cache({"seen": jnp.ones(2)}), nnx.Variable(None)

        def __call__(self, x: Any) -> Any:
            assert self.none.get_value() is None
            assert float(self.rate.get_value()) == 0.5
            return self.scale[...] * x * self.cache.get_value()["seen"].sum()

    def losses(nets: Any, x: Any) -> Any:
        return {"task": nets["net"](x).mean()}

    found = gradients(Case({"net": Held()}, losses, jnp.ones((6, 4))), "summed")
    assert set(found) == {"net.scale"}
    assert found["net.scale"].item() == pytest.approx(2.0)


def test_a_parameter_without_elements_is_no_obstacle_to_a_step() -> None:
    from impl_jax.step_observation import observe

    def make() -> Case:
        networks = {"net": {"w": jnp.eye(4), "none": jnp.zeros(0)}}

        def losses(nets: Any, x: Any) -> Any:
            square = jnp.square(x @ nets["net"]["w"])
            return {"mean": square.mean() + nets["net"]["none"].sum(), "max": square.max()}

        def step(state: Any, x: Any) -> Any:
            parts = [jax.grad(lambda s, n=n: losses(s, x)[n])(state) for n in ("mean", "max")]
            return jax.tree.map(lambda w, a, b: w - 0.1 * (a + b), state, *parts)

        return Case(networks, losses, jnp.ones((6, 4)), step=step, state=networks)

    assert observe(make, 0, 2)["losses"]["mean"]["finite"]
