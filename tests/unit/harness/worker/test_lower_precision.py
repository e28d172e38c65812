"""Cells in a lower precision: proven in full float32 first, then held to wider bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol.arrays import write_arrays
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.worker import gate
from benchmarks.harness.worker.server import Worker

WEIGHT = np.array([3.0, 4.0])
LOWER: Any = {"allowed": 0.1, "zero_allowed": 0.1, "update_allowed": 0.1}


class Problem:
    """An open problem whose program has a gradient of so many times the right one."""

    def __init__(self, factors: Mapping[str, float]) -> None:
        self.factors, self.made = factors, list[str]()

    def program(self, kind: str, name: str, phase: str, **options: str) -> Program:
        mode = options.get("precision_mode", "ieee")
        self.made.append(mode)
        return Program(self.factors[mode], mode)


class Program:
    """A program that is done at once; a compiler counts the casts of a lower precision."""

    trace_seconds = compile_seconds = None
    graphs = 0

    def __init__(self, factor: float, mode: str) -> None:
        self.factor, self.mode = factor, mode

    def prepare(self) -> None: ...
    def run(self, carry: None) -> None: ...
    def wait(self, result: None) -> None: ...
    def reset(self) -> None: ...

    def finished(self) -> bool:
        return True

    def returned(self, result: None) -> list[str]:
        return ["net.w"]

    def gradients(self) -> dict[str, Any]:
        return {"net.w": (self.factor * WEIGHT).astype(np.float32)}

    def count(self) -> dict[str, Any]:
        lower = self.mode != "ieee"
        return {"flops": 99 if lower else 60, "residual_bytes": 8 if lower else 16}


def prepared(
    folder: Path, *, count: bool = True, mode: str = "bf16", **factors: float
) -> tuple[dict[str, Any], Problem]:
    """Return what a worker answers about the cell, and the problem that made its programs."""
    worker = Worker("fake", None, Heartbeat(), lambda message: None)
    worker.problem = problem = Problem(factors)
    write_arrays(str(folder / "reference.npz"), {"gradient/net.w": WEIGHT})
    rules: Any = {
        "allowed": 1e-5, "dtype": "float32", "phase": "gradient", "networks": ["net"],
        "zero_gradient": [], "no_gradient": [], "optimizer": "sgd",
    }  # fmt: skip
    answer = worker.do_prepare(
        "backward", "gradient", "eager", {"summed": {}}, str(folder / "reference.npz"), rules,
        count, False, mode, None if mode == "ieee" else LOWER,
    )  # fmt: skip
    return dict(answer["summed"]), problem


def test_cell_is_built_in_full_float32_and_then_as_it_is_timed(tmp_path: Path) -> None:
    cell, problem = prepared(tmp_path, ieee=1.0, bf16=1.05)
    assert problem.made == ["ieee", "bf16"]
    assert cell["equivalence"] == "pass"
    assert cell["gradient_error"]["relative"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("factors", "beginning"),
    [
        ({"ieee": 1.001, "bf16": 1.0}, "in full float32: net.w: relative difference 0.001"),
        ({"ieee": 1.0, "bf16": 1.2}, "net.w: relative difference 0.2, allowed 0.1"),
    ],
)
def test_fault_in_either_precision_is_found(
    tmp_path: Path, factors: dict[str, Any], beginning: str
) -> None:
    cell, _ = prepared(tmp_path, **factors)
    assert cell["equivalence"].startswith(beginning)


def test_flops_are_those_of_full_float32_and_bytes_those_of_what_is_timed(tmp_path: Path) -> None:
    cell, _ = prepared(tmp_path, ieee=1.0, bf16=1.0)
    assert (cell["flops"], cell["residual_bytes"]) == (60, 8)
    assert "flops" not in prepared(tmp_path, count=False, ieee=1.0, bf16=1.0)[0]


def test_without_a_lower_precision_nothing_is_built_twice(tmp_path: Path) -> None:
    cell, problem = prepared(tmp_path, mode="ieee", ieee=1.0)
    assert problem.made == ["ieee"]
    assert cell["flops"] == 60


def step(rules: dict[str, Any], *moved: float) -> str:
    """Return the gate's verdict on a step whose elements moved by these multiples of the right."""
    start, by = np.full(8, 5.0), np.full(8, 0.01)
    true = {"gradient/net.w": by, "start/net.w": start, "updated/net.w": start - by}
    factors = np.array([*moved, *(1.0 for _ in range(8 - len(moved)))])

    class Stepped(Program):
        def gradients(self) -> dict[str, Any]:
            return {}

        def updates(self) -> dict[str, Any]:
            return {"net.w": (start - factors * by).astype(np.float32)}

    usual: Any = {
        "allowed": 0.1, "dtype": "float32", "phase": "step", "networks": ["net"],
        "zero_gradient": [], "exact_zero": [], "no_gradient": [], "still": [], "optimizer": "adam",
    }  # fmt: skip
    return gate.judge(Stepped(1.0, "bf16"), true, usual | rules)["equivalence"]


def test_adam_may_turn_the_sign_of_a_share_of_the_elements_and_of_one() -> None:
    assert step({"wrong_signs": 0.125}, -1.0, -1.0) == "pass"
    assert "the update is off" in step({"wrong_signs": 0.125}, -1.0, -1.0, -1.0)


def test_step_that_was_not_taken_is_found_in_any_precision() -> None:
    assert "the update is off" in step({"wrong_signs": 0.0}, *[0.0] * 8)
    assert "the update is off" in step({"update_allowed": 0.28, "optimizer": "sgd"}, *[0.0] * 8)


def test_element_of_a_zero_gradient_has_the_bound_of_its_precision(tmp_path: Path) -> None:
    rules: Any = {
        "allowed": 0.1, "dtype": "float32", "phase": "gradient", "networks": ["net"],
        "zero_gradient": ["net.b"], "no_gradient": [],
    }  # fmt: skip
    true = {"gradient/net.w": WEIGHT, "gradient/net.b": np.zeros(1)}

    class Noisy(Program):
        def gradients(self) -> dict[str, Any]:
            return {**super().gradients(), "net.b": np.full(1, 0.2, np.float32)}

    def verdict(**more: float) -> str:
        return gate.judge(Noisy(1.0, "bf16"), true, rules | more)["equivalence"]

    assert verdict(zero_allowed=0.05) == "pass"  # 0.25 of a norm of 5
    assert "its true gradient is 0" in verdict(zero_allowed=0.03)
