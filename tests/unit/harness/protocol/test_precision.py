"""Precision modes: how a cell in one is named, what cannot be computed in one, and its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.requests import prepare_request
from benchmarks.harness.protocol import precision
from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.harness.selection.options import Selection, SelectionError

CELL = Cell(
    "backward", "stacked_cascade", "n4", "seed", "torch", "eager", "summed", "gradient", "cpu"
)
LOWER = replace(CELL, precision_mode="bf16")


def test_full_float32_is_not_named_so_that_names_of_old_runs_stay() -> None:
    assert CELL.id == "stacked_cascade-n4-seed-torch-eager-summed-gradient-cpu-float32"
    assert "precision" not in CELL.rerun_command()
    assert LOWER.id == f"{CELL.id}-bf16"
    assert LOWER.rerun_command() == f"{CELL.rerun_command()} --precision-mode=bf16"


def test_cells_of_two_precisions_are_never_in_one_group() -> None:
    assert len(groups([CELL, replace(CELL, strategy="multi_root")])) == 1
    assert [len(members) for members in groups([CELL, LOWER]).values()] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"precision_mode": "ieee", "variant": "n16"}, None),
        ({"precision_mode": "bf16"}, None),
        ({"precision_mode": "bf16", "variant": "n8"}, "nothing could be proven"),
        ({"precision_mode": "bf16", "mode": "compile"}, "is compiled under autocast failed"),
        (
            {"precision_mode": "bf16", "scenario": "straight_through", "variant": "-"},
            "the commitment loss changes every gradient by less",
        ),
        ({"precision_mode": "bf16", "kind": "distributed", "mode": "ddp_2"}, "several ranks"),
        ({"precision_mode": "bf16", "framework": "jax", "mode": "eager"}, None),
        ({"precision_mode": "bf16", "dtype": "float64"}, "weights and data are float64"),
        ({"precision_mode": "tf32"}, "only a GPU multiplies in TF32"),
        ({"precision_mode": "tf32", "device": "cuda"}, None),
        ({"precision_mode": "bf16", "scenario": "gan", "variant": "turn_d"}, None),
        (
            {"precision_mode": "bf16", "scenario": "gan", "variant": "turn_d", "device": "cuda"},
            "torch refuses a binary cross-entropy",
        ),
    ],
)
def test_what_cannot_be_computed_in_a_precision_is_declared(
    changes: dict[str, str], reason: str | None
) -> None:
    said = replace(CELL, **changes).unsupported_reason()
    assert said is None if reason is None else reason in str(said)


def test_selection_puts_every_cell_in_the_precision_asked_for() -> None:
    chosen = Selection(scenario=("gan",), precision_mode="bf16").cells()
    assert chosen
    assert {cell.precision_mode for cell in chosen} == {"bf16"}


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("tf32", "--precision-mode 'tf32': only a GPU multiplies in TF32, and the device is cpu"),
        ("fp8", "--precision-mode 'fp8' is unknown (allowed: ieee, tf32, bf16)"),
    ],
)
def test_precision_that_is_not_there_is_refused_in_a_line(mode: str, message: str) -> None:
    with pytest.raises(SelectionError) as caught:
        Selection(precision_mode=mode)
    assert str(caught.value).startswith(message)


def test_bounds_grow_with_the_layers_up_to_what_tells_a_missing_loss() -> None:
    rounding = 2.0**-8
    bounds = [precision.bounds("bf16", layers, 2, "sgd")["allowed"] for layers in (2, 5, 7, 50)]
    assert bounds == [32 * rounding, 56 * rounding, 72 * rounding, 72 * rounding]
    in_tf32 = precision.bounds("tf32", 5, 2, "sgd")
    assert in_tf32 == {
        "allowed": 56 * 2.0**-11,
        "zero_allowed": 16 * 2.0**-11,
        "update_allowed": 56 * 2.0**-11,
    }
    assert precision.bounds("bf16", 50, 1, "sgd")["allowed"] == 128 * rounding
    assert precision.bounds("bf16", 50, 1, "adam")["wrong_signs"] == 36 * rounding
    adam = precision.bounds("bf16", 2, 2, "adam")
    assert adam["wrong_signs"] == 16 * rounding
    assert "update_allowed" not in adam


def test_request_names_a_lower_precision_alone_so_that_older_workers_understand_the_usual() -> None:
    way = {"kind": "backward", "phase": "step", "mode": "eager", "dtype": "float32"}
    files = ProblemFiles("linear_cascade", "-", "seed")
    full, same, lower = (
        prepare_request(way | extra, files, "reference.npz", ["summed"])
        for extra in ({}, {"precision_mode": "ieee"}, {"precision_mode": "bf16"})
    )
    files.close()
    assert full == same
    assert "precision_mode" not in full
    rules = precision.bounds("bf16", 2, 2, "adam")
    assert lower == full | {"precision_mode": "bf16", "precision_rules": rules}
