"""What there is of kind ``distributed``: names, what cannot be, and the bytes that are reduced."""

from __future__ import annotations

import pytest

from benchmarks.harness.protocol import ranks, traffic
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import Selection, SelectionError, check_ranks
from benchmarks.regression import plan
from benchmarks.scenarios import CATALOGUE

STACKED = ("stacked_cascade", "seed")
PER_NETWORK = 3 * (8 * 8 + 8) * 4  # three Linear layers of 8, float32


def cell(strategy: str, mode: str, variant: str = "n2", size: str = "seed") -> Cell:
    framework = "torch" if mode.startswith(("ddp", "fsdp")) else "jax"
    fields = ("stacked_cascade", variant, size, framework, mode, strategy, "gradient", "cpu")
    return Cell("distributed", *fields)


def predicted(strategy: str, wrapper: str, variant: str) -> int:
    spec = CATALOGUE["stacked_cascade"]
    shapes = {name: one.shape for name, one in spec.parameters_of(variant, "seed").items()}
    flow = spec.problem_spec(variant, "seed")["flow"]
    return traffic.reduced_bytes(ranks.mode_name(wrapper, 2), strategy, flow, shapes, 4)


def test_mode_names_wrapper_and_ranks_and_is_split_again() -> None:
    assert ranks.mode_name("ddp_one", 4) == "ddp_one_x4"
    assert ranks.split_mode("ddp_one_x4") == ("ddp_one", 4)
    for wrong in ("eager", "ddp_one", "ddp_one_x", "_x2"):
        with pytest.raises(ValueError, match="ddp_one_x2 does"):
            ranks.split_mode(wrong)


@pytest.mark.parametrize(
    ("strategy", "wrapper", "variant", "networks"),
    [
        ("summed", "ddp_one", "n2", 2),
        ("summed", "ddp_each", "n4", 4),
        ("boundary_split", "shard_map", "n4", 4),
        ("reforward_no_sync", "ddp_each", "n4", 4),
        ("reforward", "ddp_each", "n2", 3),
        ("reforward", "ddp_each", "n4", 10),
        ("separate_retained", "sharded_jit", "n4", 10),
        ("separate_grad", "sharded_jit", "n2", 3),
        ("separate_grad", "shard_map", "n2", 2),
        ("summed", "ddp_each", "frozen_net1", 1),
        ("reforward", "ddp_each", "frozen_net1", 1),
        ("reforward", "ddp_each", "frozen_net2", 2),
    ],
)
def test_bytes_reduced_are_those_of_each_network_that_a_pass_reaches(
    strategy: str, wrapper: str, variant: str, networks: int
) -> None:
    assert predicted(strategy, wrapper, variant) == networks * PER_NETWORK


@pytest.mark.parametrize(
    ("strategy", "mode", "variant", "reason"),
    [
        ("summed", "ddp_one_x2", "n2", None),
        ("separate_retained", "ddp_one_x2", "n2", "mark a variable ready only once"),
        ("separate_retained", "ddp_each_x2", "n2", "silently wrong"),
        ("separate_retained", "ddp_one_x2", "frozen_net2", "silently wrong"),
        ("separate_retained", "ddp_one_x2", "frozen_net1", None),  # one loss is left
        ("reforward", "ddp_one_x2", "n2", "finished reduction in the prior iteration"),
        ("reforward", "ddp_one_x2", "frozen_net2", None),
        ("reforward", "ddp_each_x2", "n2", None),
        ("separate_retained", "shard_map_x2", "n2", "residuals"),
        ("separate_retained", "sharded_jit_x2", "n2", None),
        ("summed", "ddp_one_x3", "n2", "a batch of 4 cannot be shared equally by 3 ranks"),
    ],
)
def test_what_cannot_work_or_is_silently_wrong_is_declared(
    strategy: str, mode: str, variant: str, reason: str | None
) -> None:
    found = cell(strategy, mode, variant).unsupported_reason()
    assert (reason in found) if reason and found else found is reason


def test_several_ranks_are_measured_where_the_kind_is_named_alone() -> None:
    assert not [c for c in Selection(everything=True).cells() if c.kind == "distributed"]
    chosen = Selection(kind=("distributed",), framework=("torch",), ranks=4).cells()
    assert {c.kind for c in chosen} == {"distributed"}
    assert {(c.scenario, c.variant) for c in chosen} == {
        ("linear_cascade", "-"), ("stacked_cascade", "n2"), ("stacked_cascade", "n4"),
    }  # fmt: skip
    assert {c.mode for c in chosen} == {"ddp_one_x4", "ddp_each_x4", "fsdp_each_x4"}
    assert {c.phase for c in chosen} == {"gradient"}
    assert cost.estimate_cells(chosen, 6, 0.05).cells > 0


def test_a_strategy_that_is_named_is_measured_beside_its_baseline() -> None:
    chosen = Selection(
        kind=("distributed",), mode=("ddp_each",), strategy=("reforward",), phase=("step",),
        scenario=("linear_cascade",), size=("seed",),
    ).cells()  # fmt: skip
    assert [(c.mode, c.phase, c.strategy) for c in chosen] == [
        ("ddp_each_x2", "step", "summed"), ("ddp_each_x2", "step", "reforward"),
    ]  # fmt: skip


def test_rerun_command_names_wrapper_and_ranks_apart() -> None:
    command = cell("summed", "ddp_one_x4").rerun_command()
    assert "--mode=ddp_one " in command
    assert "--ranks=4" in command


def test_ranks_that_no_cell_can_have_are_refused() -> None:
    check_ranks(2, ("distributed",))
    check_ranks(64, ("all",))
    for number in (1, 0, 65):
        with pytest.raises(SelectionError, match="must be from 2 to 64"):
            check_ranks(number, ("distributed",))
    for kinds in (None, ("backward",)):
        with pytest.raises(SelectionError, match="add --kind distributed"):
            check_ranks(2, kinds)


def test_two_versions_are_not_compared_by_several_ranks() -> None:
    with pytest.raises(SelectionError, match="--kind distributed: two versions"):
        plan.choose_cells({"kind": ("distributed",)}, "cpu", ("torch",))
