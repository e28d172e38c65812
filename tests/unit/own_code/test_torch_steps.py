"""Training steps in PyTorch: what is wrong is found, and what is right is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from impl_torch.step_observation import observe  # noqa: E402
from results.own_code.findings import find  # noqa: E402
from tests.helpers.step_cases import torch_ddp as ddp  # noqa: E402
from tests.helpers.step_cases import (  # noqa: E402
    torch_right,
    torch_right_costs,
    torch_right_gradients,
    torch_wrong,
    torch_wrong_passes,
)

WRONG = torch_wrong.WRONG | torch_wrong_passes.WRONG
RIGHT = torch_right.RIGHT + torch_right_gradients.RIGHT + torch_right_costs.RIGHT

STEPS = 4


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def found(make: Callable[[], Any], steps: int = STEPS) -> list[tuple[str, str]]:
    seen: Any = observe(make, 0, steps)
    return [(one["code"], one["cause"]) for one in find(seen)]


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_mistake_is_found_and_nothing_else(make: Callable[[], Any]) -> None:
    assert found(make) == WRONG[make]


@pytest.mark.parametrize("make", RIGHT, ids=lambda make: make.__name__)
def test_right_step_is_left_alone(make: Callable[[], Any]) -> None:
    assert found(make) == []


@pytest.fixture
def one_process() -> Iterator[None]:
    """Be the only process of a group, in which DDP reduces without waiting for anybody."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (ddp.beside_ddp, [("CB404", "local")]),
        (ddp.unfrozen_after_wrapping, [("CB404", "local")]),
        (ddp.one_wrapper, []),
        (ddp.frozen_beside_ddp, []),
        (ddp.reduced_by_hand, []),
    ],
)
def test_what_ddp_leaves_out_is_found(make: Callable[[], Any], expected: Any) -> None:
    assert found(make) == expected
