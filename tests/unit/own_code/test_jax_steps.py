"""Training steps in JAX: what is wrong is found, and what is right is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

jax = pytest.importorskip("jax")

from impl_jax.step_observation import observe  # noqa: E402
from results.own_code.findings import find  # noqa: E402
from tests.helpers.step_cases.jax_right import RIGHT  # noqa: E402
from tests.helpers.step_cases.jax_wrong import WRONG  # noqa: E402

STEPS = 4
# one of each kind; `make test-all` has the others
QUICK = {"masked_alone", "nothing_returned", "cut_by_stop_gradient", "partition", "follower"}


@pytest.fixture(autouse=True, scope="module")
def quick_compilation() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def cases(makes: Iterable[Callable[[], Any]]) -> list[Any]:
    marks = {True: [], False: [pytest.mark.slow]}
    return [pytest.param(m, id=m.__name__, marks=marks[m.__name__ in QUICK]) for m in makes]


def found(make: Callable[[], Any], steps: int = STEPS) -> list[tuple[str, str]]:
    seen: Any = observe(make, 0, steps)
    return [(one["code"], one["cause"]) for one in find(seen)]


@pytest.mark.parametrize("make", cases(WRONG))
def test_mistake_is_found_and_nothing_else(make: Callable[[], Any]) -> None:
    assert found(make) == WRONG[make]


@pytest.mark.parametrize("make", cases(RIGHT))
def test_right_step_is_left_alone(make: Callable[[], Any]) -> None:
    assert found(make) == []
