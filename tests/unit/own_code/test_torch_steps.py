"""Training steps in PyTorch: what is wrong is found, and what is right is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
# one of each kind; `make test-all` has the others
QUICK = {
    *("frozen_and_stepped", "frozen_with_decay", "frozen_batch_norm", "not_held"),
    *("cut_by_a_reentrant_checkpoint", "cut_in_the_step", "two_optimizers"),
    *("step_in_the_backward_pass", "frozen_by_the_optimizer_alone", "separate_passes"),
    *("clipping_hook", "zero_weight", "nan_from_a_loss", "players_in_one_autocast_region"),
    *("clipped_before_unscaling", "micro_batches", "players", "follower", "scaled", "lookahead"),
    *("closure", "unused_layer", "gradients_taken_apart", "touching_everything", "summed"),
}


def cases(makes: Iterable[Callable[[], Any]]) -> list[Any]:
    marks = {True: [], False: [pytest.mark.slow]}
    return [pytest.param(m, id=m.__name__, marks=marks[m.__name__ in QUICK]) for m in makes]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def found(make: Callable[[], Any], steps: int = STEPS) -> list[tuple[str, str]]:
    seen: Any = observe(make, 0, steps)
    return [(one["code"], one["cause"]) for one in find(seen)]


@pytest.mark.parametrize("make", cases(WRONG))
def test_mistake_is_found_and_nothing_else(make: Callable[[], Any]) -> None:
    assert found(make) == WRONG[make]


@pytest.mark.parametrize("make", cases(RIGHT))
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
