"""`assert_frozen`: right freezing passes in both frameworks, and what moves is named."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_bench import assert_frozen
from tests.helpers.lazy_module import LazyModule

torch = LazyModule("torch")


@pytest.fixture
def networks() -> tuple[Any, Any]:
    """Return a backbone with BatchNorm, frozen, and a head."""
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    backbone.requires_grad_(False).eval()
    return backbone, torch.nn.Linear(4, 2)


def step_of(backbone: Any, head: Any, optimizer: Any) -> Any:
    """Return a training step in place."""

    def step() -> None:
        optimizer.zero_grad()
        head(backbone(torch.ones(3, 4))).square().mean().backward()
        optimizer.step()

    return step


def test_right_freeze_passes(networks: tuple[Any, Any]) -> None:
    backbone, head = networks
    sgd = torch.optim.SGD(head.parameters(), lr=0.1)
    assert_frozen(step_of(backbone, head, sgd), backbone, trained=head)
    assert_frozen(step_of(backbone, head, sgd), {"it": [backbone[0].weight]}, trained=head.bias)


def test_statistics_that_move_are_named(networks: tuple[Any, Any]) -> None:
    backbone, head = networks
    backbone.train()  # its parameters keep still, its running mean does not
    sgd = torch.optim.SGD(head.parameters(), lr=0.1)
    with pytest.raises(
        AssertionError, match=r"moved in step 1: 1.running_mean \(by up to 0\.\d+\)"
    ):
        assert_frozen(step_of(backbone, head, sgd), backbone)


def test_what_moves_in_the_second_step_is_caught() -> None:
    moving = torch.nn.Linear(4, 4)
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        if len(calls) == 2:
            with torch.no_grad():
                moving.bias[0] += 1e-6

    with pytest.raises(AssertionError, match=r"moved in step 2: bias \(by up to 1e-06\)"):
        assert_frozen(step, moving)
    assert_frozen(lambda: None, moving, steps=1)


def test_step_that_trains_nothing_is_no_proof(networks: tuple[Any, Any]) -> None:
    backbone, head = networks
    with pytest.raises(AssertionError, match="not trained: the same after 3 steps: weight, bias"):
        assert_frozen(lambda: None, backbone, trained=head)


@pytest.mark.parametrize("dtype", ["bfloat16", "bool", "int64", "complex64"])
def test_every_type_is_compared_bit_by_bit(dtype: str) -> None:
    tensor = torch.ones(3).to(getattr(torch, dtype))
    assert_frozen(lambda: None, tensor)

    def step() -> None:
        tensor[1] = 0

    with pytest.raises(AssertionError, match=r"it \(\d of its bytes\)"):
        assert_frozen(step, tensor)


def test_sign_of_zero_and_a_nan_count_as_they_stand() -> None:
    tensor = torch.tensor([0.0, float("nan")])
    assert_frozen(lambda: None, tensor)
    with pytest.raises(AssertionError, match="not frozen"):
        assert_frozen(lambda: tensor.mul_(-1.0), tensor)


@pytest.mark.slow
def test_pure_step_is_judged_by_the_state_it_returns() -> None:
    jax = pytest.importorskip("jax")
    state = {"encoder": [jax.numpy.ones(3)], "head": jax.numpy.ones(2)}

    def step(state: Any, batch: Any) -> Any:
        return {**state, "head": state["head"] - batch}

    parts: dict[str, Any] = {"trained": lambda state: state["head"], "state": state, "batch": 0.5}
    assert_frozen(step, lambda state: state["encoder"], **parts)
    with pytest.raises(AssertionError, match=r"moved in step 1: it \(by up to 0.5\)"):
        assert_frozen(step, lambda state: state["head"], state=state, batch=0.5)
    with pytest.raises(ValueError, match="a function that picks a part of the state"):
        assert_frozen(step, state["encoder"], state=state, batch=0.5)
    with pytest.raises(ValueError, match="step returned None"):
        assert_frozen(lambda state, batch: None, lambda state: state, state=state, batch=1)


@pytest.mark.slow
def test_nnx_module_is_judged_without_its_random_numbers() -> None:
    nnx = pytest.importorskip("flax.nnx")
    jnp = pytest.importorskip("jax.numpy")
    frozen = nnx.Sequential(nnx.Linear(3, 3, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(1)))
    assert_frozen(lambda: frozen(jnp.ones(3)), frozen)

    def step() -> None:
        frozen.layers[0].bias[...] += 1.0

    with pytest.raises(AssertionError, match=r"layers.0.bias \(by up to 1\)"):
        assert_frozen(step, frozen)


@pytest.mark.parametrize(
    ("tensors", "steps", "message"),
    [(0, 3, "frozen holds no tensor"), (1, 0, "give at least 1")],
)
def test_assertion_that_proves_nothing_is_refused(tensors: int, steps: int, message: str) -> None:
    frozen = {f"tensor{i}": torch.ones(1) for i in range(tensors)}
    with pytest.raises(ValueError, match=message):
        assert_frozen(lambda: None, frozen, steps=steps)
