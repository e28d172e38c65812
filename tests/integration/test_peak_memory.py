"""Test that peak memory is read correctly or is null with a reason, and never costs the time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import peak_memory
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.session import recording
from benchmarks.harness.worker import process_memory
from benchmarks.harness.worker.memory import Memory
from benchmarks.harness.worker.process_memory import ProcessMemory, Unmeasurable
from benchmarks.machine.environment import installed
from benchmarks.paths import ROOT
from results.records.record import finish

MIB = 2**20
ONCE = {"launches": 1, "seconds": 1e-4}  # the time is of no interest here


def figures(outcomes: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the figures of a cell that was timed once."""
    assert outcomes[name]["outcome"] == "ok", outcomes[name]
    assert len(outcomes[name]["samples"]) == 1
    return outcomes[name]["figures"]


Figures = dict[str, dict[str, Any]]


def measure_separately(framework: str, names: Iterable[str], *problem: str) -> Figures:
    """Measure the peak and the counts of cells in a separate worker, neither checked nor timed."""
    by_name: Figures = {}
    with (
        Pool() as pool,
        pool.separate_worker(framework, "cpu", "float32", peak_memory.ENVIRONMENT) as launch,
    ):
        pool.files(*problem).open_in(launch)
        for name in names:
            cell = {"kind": "backward", "name": name, "phase": "backward"}
            peak = launch.ask("peak", 60.0, **cell)
            by_name[name] = {"peak_bytes": peak, **launch.ask("count", 60.0, **cell)}
    return by_name


@pytest.mark.slow
@pytest.mark.usefixtures("measured")
def test_memory_of_known_size_is_read_right() -> None:
    """Strategy ``building`` holds its graph, frees it, and then holds as much."""
    sizes = {
        "holding": 64,
        "holding_twice": 128,
        "holding_in_turn": 64,
        "holding_a_result": 64,
        "building": 64,
        "holding_in_a_thread": 8,  # glibc would keep it in the thread's part of the heap
    }
    by_name = measure_separately("fake", sizes, "linear_cascade", "-", "seed")
    for name, size in sizes.items():
        assert by_name[name]["peak_bytes"] == pytest.approx(size * MIB, rel=0.05), name


def test_what_the_counter_does_not_resolve_is_null_with_its_reason(measured: Any) -> None:
    cell = figures(measured("summed", memory=True, **ONCE), "summed")
    assert cell["peak_bytes"] is None
    assert "less than the kernel's counter resolves" in cell["peak_why"]


def test_nothing_is_measured_where_nobody_asked(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pool, "separate_worker", None)  # would raise
    cell = figures(measured("holding", **ONCE), "holding")
    assert cell["peak_bytes"] is None
    assert "--memory" in cell["peak_why"]


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize(
    ("strategy", "why"), [("crash_apart", "signal 9"), ("hang_apart", "no answer within 5 s")]
)
def test_fault_while_measuring_memory_costs_that_figure_alone(
    measured: Any, strategy: str, why: str
) -> None:
    outcomes = measured(strategy, memory=True, limit=5.0, **ONCE)
    assert figures(outcomes, strategy)["peak_bytes"] is None
    assert why in figures(outcomes, strategy)["peak_why"]


def test_allocator_that_keeps_what_is_freed_is_not_believed(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_HOARDS", "1")
    cell = figures(measured("holding", memory=True, **ONCE), "holding")
    assert cell["peak_bytes"] is None
    assert "64 MiB of memory read as 0.0 MiB" in cell["peak_why"]


def test_system_that_does_not_count_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_memory, "CLEAR", tmp_path / "no" / "clear_refs")
    with pytest.raises(Unmeasurable, match="clear_refs cannot be written here: No such file"):
        ProcessMemory().reset()
    status = tmp_path / "status"
    monkeypatch.setattr(process_memory, "STATUS", status)
    with pytest.raises(Unmeasurable, match="only Linux counts a process's peak"):
        ProcessMemory()
    status.write_text("VmRSS:\t  12 kB\n")
    assert ProcessMemory().in_use() == 12 * 1024
    with pytest.raises(Unmeasurable, match="has no VmHWM"):
        ProcessMemory().peak()


class Lifelong:
    """Stand for XLA's gauge on a GPU, whose peak is that of the whole process."""

    resettable, resolution = False, 1

    def __init__(self) -> None:
        self.now, self.most, self.earlier = 100, 100, 0

    def in_use(self) -> int:
        return self.now

    def reset(self) -> None:
        self.earlier = self.most

    def peak(self) -> int:
        return self.most

    def take(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)


def test_gauge_that_cannot_be_reset_sees_one_call_and_nothing_before_it() -> None:
    gauge, calls = Lifelong(), []

    def run(_: None) -> None:
        calls.append("run")
        gauge.take(50)
        gauge.take(-50)

    program = SimpleNamespace(
        release=lambda: None, reset=lambda: None, prepare=lambda: None, run=run, wait=lambda _: None
    )
    session = SimpleNamespace(gauge=lambda: gauge, hold=calls.append)
    worker = Memory("fake", session, Heartbeat(), lambda _: None)
    worker.problem = SimpleNamespace(program=lambda *_: program)
    assert worker.do_peak("backward", "summed", "backward") == 50
    assert calls == ["run"]


GAUGE = """
from types import SimpleNamespace
from impl_jax.runtime import Gauge, Unavailable


def refused(take):
    try:
        take()
    except Unavailable as error:
        return str(error)


stats = {"bytes_in_use": 10, "peak_bytes_in_use": 80}
gauge = Gauge(SimpleNamespace(platform="gpu", memory_stats=lambda: stats))
gauge.reset()
print(refused(gauge.peak))
stats["peak_bytes_in_use"] = 90
print(gauge.in_use(), gauge.peak())
stats.clear()
print(refused(gauge.in_use))
"""


@pytest.mark.skipif(installed("jax") is None, reason="jax is not installed")
def test_peak_that_xla_reached_before_the_phase_is_not_the_phases() -> None:
    """Use a process of its own: no test may import a framework into this one."""
    done = subprocess.run(
        [sys.executable, "-c", GAUGE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    early, figures, silent = done.stdout.splitlines()
    assert early.startswith("the phase stayed under what its process had held before")
    assert figures == "10 90"
    assert silent == "jax's gpu allocator does not tell its bytes_in_use"


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.usefixtures("measured")
def test_retained_graph_is_part_of_the_peak(framework: str) -> None:
    if installed(framework) is None:
        pytest.skip(f"{framework} is not installed")
    name = "separate_retained"
    cell = measure_separately(framework, [name], "stacked_cascade", "n2", "medium")[name]
    assert 3 * MIB < cell["residual_bytes"] <= cell["peak_bytes"]


@pytest.mark.parametrize(
    ("figures", "bytes_", "why"),
    [
        ({"peak_bytes": 7, "peak_why": None}, 7, None),
        ({"peak_bytes": None, "peak_why": "no counter"}, None, "no counter"),
        ({}, None, "not timed in this run"),
    ],
)
def test_record_holds_the_peak_or_the_reason(
    figures: dict[str, Any], bytes_: int | None, why: str | None
) -> None:
    where = ("backward", "linear_cascade", "-", "seed", "torch", "eager")
    cell = Cell(*where, "summed", "backward", "cpu")
    result = {"outcome": "ok", "figures": figures, "samples": [], "peak_seconds": [], "steady": []}
    record = finish(recording.record_measurement(cell, result, None))
    assert record["peak_bytes"] == bytes_
    assert record["missing"].get("peak_bytes") == why
