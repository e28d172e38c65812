"""Training steps in JAX: what is wrong is found, and what is right is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from results.own_code.findings import find
from tests.helpers.lazy_module import LazyModule
from tests.helpers.step_cases.listing import cases, of

pytestmark = pytest.mark.usefixtures("stored_programs")
jax: Any = LazyModule("jax")

WRONG, RIGHT = ("jax_wrong",), ("jax_right", "jax_right_costs")

STEPS = 4
# one of each kind; `make test-all` has the others
QUICK = {"masked_alone", "nothing_returned", "cut_by_stop_gradient", "partition", "follower"}


@pytest.fixture(autouse=True, scope="module")
def quick_compilation() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def found(make: Callable[[], Any], steps: int = STEPS) -> list[tuple[str, str]]:
    from impl_jax.step_observation import observe

    seen: Any = observe(make, 0, steps)
    return [(one["code"], one["cause"]) for one in find(seen)]


@pytest.mark.parametrize("step", cases("WRONG", WRONG, QUICK))
def test_mistake_is_found_and_nothing_else(step: tuple[str, str]) -> None:
    make, expected = of(step)
    assert expected
    assert found(make) == expected


@pytest.mark.parametrize("step", cases("RIGHT", RIGHT, QUICK))
def test_right_step_is_left_alone(step: tuple[str, str]) -> None:
    assert found(of(step)[0]) == []


def saving_of(times: list[float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a step with separate gradients would save, its calls taking these seconds."""
    from impl_jax import step_replays
    from impl_jax.step_case import StepCase

    make, _ = of(("jax_wrong", "separate_gradients"))
    monkeypatch.setattr(step_replays, "_times", lambda *_: times)
    replay = step_replays.Replay(lambda: StepCase(make, 0), ["code", "task"])
    return step_replays.merged_passes(replay)


def test_what_is_not_faster_in_calls_of_a_second_saves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert saving_of([1.0, 1.0], monkeypatch) is None
    assert saving_of([1.0, 0.5], monkeypatch)["least_seconds"] == 0.5


def test_calls_that_are_too_short_to_tell_have_no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    saving = saving_of([1e-5, 2e-5], monkeypatch)
    assert saving["seconds"] is saving["least_seconds"] is None
    assert saving["least_flops"] < saving["flops"]
