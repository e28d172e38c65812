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
