"""Training steps in PyTorch: what is wrong is found, and what is right is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from results.own_code.findings import find
from tests.helpers.lazy_module import LazyModule
from tests.helpers.step_cases.listing import cases, names_in, of

torch: Any = LazyModule("torch")

WRONG = ("torch_wrong", "torch_wrong_passes")
RIGHT = ("torch_right", "torch_right_gradients", "torch_right_costs", "torch_right_forms")
DDP = "torch_ddp"

STEPS = 4
# one of each kind; `make test-all` has the others
QUICK = {
    *("frozen_and_stepped", "frozen_with_decay", "frozen_batch_norm", "not_held"),
    *("cut_by_a_reentrant_checkpoint", "cut_in_the_step", "two_optimizers"),
    *("step_in_the_backward_pass", "frozen_by_the_optimizer_alone", "separate_passes"),
    *("clipping_hook", "zero_weight", "nan_from_a_loss", "players_in_one_autocast_region"),
    *("clipped_before_unscaling", "micro_batches", "players", "follower", "scaled", "lookahead"),
    *("penalty_by_name", "unscaled_by_name", "frozen_in_front_of_a_lazy_layer"),
    *("unused_layer_behind_an_encoder_in_eval", "unused_layer_beside_a_penalty"),
    "clipping_hook_after_a_warm_up",
    *("sparse_gradients", "never_cleared", "cleared_behind_the_step"),
    *(
        "rate_of_its_own",
        "rate_by_function",
        "constructor_that_failed",
        "closure",
        "unused_layer",
        "gradients_taken_apart",
        "touching_everything",
        "summed",
    ),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def found(make: Callable[[], Any], steps: int = STEPS) -> list[tuple[str, str]]:
    from impl_torch.step_observation import observe

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


def test_setting_that_is_no_number_counts_as_0() -> None:
    from impl_torch.step_changes import number

    group = {"lr": None, "decay": lambda step: 0.1, "several": torch.ones(2), "one": "0.5"}
    assert [number(group, key) for key in ("lr", "decay", "several", "absent")] == [0.0] * 4
    assert number({"lr": torch.tensor(0.25)}, "lr") == 0.25


@pytest.fixture
def one_process() -> Iterator[None]:
    """Be the only process of a group, in which DDP reduces without waiting for anybody."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def ddp(variable: str) -> list[Any]:
    """Return a parameter for each step with DDP; all are quick."""
    return cases(variable, [DDP], names_in(DDP, variable))


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("step", [*ddp("WRONG"), *ddp("RIGHT")])
def test_what_ddp_leaves_out_is_found(step: tuple[str, str]) -> None:
    make, expected = of(step)
    assert found(make) == expected
