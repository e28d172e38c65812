"""What a rank reduces and gathers in one call: of which networks, how often, in how many bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.harness.protocol import traffic
from benchmarks.scenarios import CATALOGUE

PER_NETWORK = 3 * (8 * 8 + 8) * 4  # of stacked_cascade: three Linear layers of 8, float32
THREE = {"net1": (4,), "net2": (4,), "net3": (4,)}  # network → the shape of its only weight


def reduced(
    strategy: str, mode: str, scenario: str = "stacked_cascade", variant: str = "n2"
) -> int:
    spec = CATALOGUE[scenario]
    shapes = {name: one.shape for name, one in spec.parameters_of(variant, "seed").items()}
    flow = spec.problem_spec(variant, "seed")["flow"]
    return traffic.reduced_bytes(mode, strategy, flow, shapes, 4)


def gathered(
    strategy: str, mode: str, scenario: str = "stacked_cascade", variant: str = "n2"
) -> int:
    spec = CATALOGUE[scenario]
    shapes = {name: one.shape for name, one in spec.parameters_of(variant, "seed").items()}
    facts = spec.problem_spec(variant, "seed")
    return traffic.gathered_bytes(mode, strategy, facts["reach"], facts["flow"], shapes, 4)


@pytest.mark.parametrize(
    ("strategy", "variant", "networks"),
    [
        ("summed", "n2", 2),
        ("multi_root", "n4", 4),
        ("boundary_split", "n4", 4),
        ("separate_retained", "n2", 3),  # the second pass gathers net1 again
        ("separate_retained", "n4", 10),
        ("reforward", "n4", 10),
        ("reforward_no_sync", "n4", 10),
        ("summed", "frozen_net1", 1),  # net1 stays whole
        ("reforward", "frozen_net1", 1),
        ("summed", "frozen_net2", 2),  # the gradient of net1 passes through net2
        ("separate_retained", "frozen_net2", 3),
    ],
)
def test_bytes_gathered_are_those_of_networks_that_are_not_whole(
    strategy: str, variant: str, networks: int
) -> None:
    assert gathered(strategy, "fsdp_each_x2", variant=variant) == networks * PER_NETWORK


@pytest.mark.parametrize(
    ("strategy", "frozen", "networks"),
    [
        ("separate_retained", ("net2",), 6),  # its backward pass lets go of it all the same
        ("separate_retained", ("net1", "net2"), 1),
        ("reforward", ("net1",), 3),
        ("separate_retained", ("net3",), 6),
        ("summed", ("net3",), 3),
    ],
)
def test_a_backward_pass_lets_go_of_what_it_goes_through_frozen_or_not(
    strategy: str, frozen: tuple[str, ...], networks: int
) -> None:
    names = [f"{network}.weight" for network in THREE]
    reach = {f"loss{end}": names[:end] for end in (1, 2, 3)}
    trained = {
        loss: [name for name in reached if not name.startswith(frozen)]
        for loss, reached in reach.items()
    }
    flow = {loss: left for loss, left in trained.items() if left}
    shapes = dict(zip(names, THREE.values(), strict=True))
    bytes_ = traffic.gathered_bytes("fsdp_each_x2", strategy, reach, flow, shapes, 8)
    assert bytes_ == networks * 4 * 8


@pytest.mark.parametrize("count", [reduced, gathered])
def test_rows_are_filled_up_where_ranks_do_not_divide_them(
    count: Callable[..., int],
) -> None:
    """A Linear layer of 3 has a weight of 3 rows of 3, and a bias of 3 rows."""
    assert count("summed", "fsdp_each_x2", "linear_cascade", "-") == 2 * (4 * 3 + 4) * 4
    assert count("summed", "fsdp_each_x3", "linear_cascade", "-") == 2 * (3 * 3 + 3) * 4


def test_nothing_is_filled_up_or_gathered_where_every_rank_has_all_parameters() -> None:
    assert reduced("summed", "ddp_each_x2", "linear_cascade", "-") == 2 * (3 * 3 + 3) * 4
    assert gathered("summed", "ddp_each_x2", "linear_cascade", "-") == 0
