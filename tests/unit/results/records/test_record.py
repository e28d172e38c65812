"""Records say what they lack and why, and every cell has a name of its own."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from benchmarks.paths import ROOT
from results.records.record import (
    CELL_FIELDS,
    FIGURES,
    RECORD_KEYS,
    SCHEMA,
    cell_id,
    explain,
    finish,
    new_record,
    new_run_id,
    sample_key,
)
from tests.helpers.factories.records import CELL, record


def test_the_name_of_a_cell_holds_every_field_but_the_kind() -> None:
    name = "stacked_cascade-n4-large-torch-eager-separate_retained-backward-cpu-float32"
    assert cell_id(CELL) == name
    assert sample_key(CELL) == f"backward/{name}"


def test_cells_that_differ_in_any_field_have_different_sample_keys() -> None:
    keys = {sample_key(CELL | {name: "other"}) for name in CELL_FIELDS}
    assert len(keys | {sample_key(CELL)}) == len(CELL_FIELDS) + 1


def test_a_new_record_has_every_key_in_order_and_null_for_what_is_not_known() -> None:
    fresh: Any = new_record(CELL, family="cascade", baseline=None, rerun="again", flops=7)
    assert tuple(fresh) == RECORD_KEYS
    assert fresh["schema"] == SCHEMA
    assert fresh["flops"] == 7
    assert fresh["missing"] == {}
    assert all(fresh[key] is None for key in FIGURES if key != "flops")


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (CELL | {"size": ""}, "'size' is ''"),
        (CELL | {"scenario": "my-own"}, "'my-own'.*use '_'"),
        ({name: value for name, value in CELL.items() if name != "dtype"}, "'dtype' is None"),
        (CELL | {"colour": "red"}, "unknown keys colour"),
    ],
)
def test_a_cell_that_could_not_be_named_is_refused(cell: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        record(cell)


def test_a_misspelt_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown keys flop;"):
        record(flop=1)


def test_a_null_without_a_reason_is_named() -> None:
    silent = {key: "why" for key in FIGURES if key not in ("flops", "steady")}
    with pytest.raises(ValueError, match=r"without a reason: flops, steady;"):
        finish(record(missing=silent))


def test_a_null_part_of_a_figure_needs_its_own_reason() -> None:
    ratio = {"estimate": 1.5, "low": None, "high": None, "confidence": 0.95, "launches": 2}
    with pytest.raises(ValueError, match=r"reason: ratio.low, ratio.high;"):
        finish(record(ratio=ratio))


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="outcome is 'fine'; allowed: ok, wrong_gradients"):
        finish(record(outcome="fine"))


def test_explain_gives_one_reason_to_every_null_and_keeps_those_given() -> None:
    finished = finish(explain(record(outcome="timeout", missing={"flops": "own"}), "120 s passed"))
    assert finished["missing"]["flops"] == "own"
    assert finished["missing"]["seconds"] == "120 s passed"
    assert set(finished["missing"]) == set(FIGURES)


def test_a_reason_for_a_figure_that_is_there_is_dropped() -> None:
    assert "flops" not in finish(record(flops=0))["missing"]


def test_a_figure_that_is_not_finite_becomes_null_with_the_reason() -> None:
    error = {"relative": np.float32("nan"), "tensor": "net1.weight"}
    finished = finish(record(flops=math.inf, gradient_error=error))
    assert finished["flops"] is None
    assert "inf" in finished["missing"]["flops"]
    assert finished["gradient_error"] == {"relative": None, "tensor": "net1.weight"}
    assert "nan" in finished["missing"]["gradient_error.relative"]


def test_finish_leaves_the_record_given_as_it_was() -> None:
    given = record(flops=math.inf)
    finish(given)
    assert given["flops"] == math.inf
    assert given["missing"]["flops"] == "not measured"


def test_run_ids_begin_with_the_time_in_utc_and_two_of_one_second_differ() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    for name in ids:
        assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", name)
        stamp = datetime.strptime(name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        assert before <= stamp <= datetime.now(UTC)


def test_importing_records_loads_no_numerical_library() -> None:
    code = "import sys, results.records; print({'numpy', 'scipy', 'pandas'} & set(sys.modules))"
    root = ROOT
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert loaded.stdout.strip() == "set()", loaded.stderr
