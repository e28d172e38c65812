"""Test what the controller does with units that are lost, refused, or never begun."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from benchmarks.cluster.backend import Event, Finished, Lost, Started
from benchmarks.cluster.controller import MOST_REFUSALS, Controller
from benchmarks.cluster.unit import UnitJob
from benchmarks.paths import ROOT


def job(name: str, seconds: float = 1.0) -> UnitJob:
    """Return a unit without groups."""
    expected: Any = {"versions": {}, "commit": None, "code": ""}
    return {
        "unit": name,
        "groups": [],
        "canaries": [],
        "specs": [],
        "expected": expected,
        "seconds": seconds,
    }


def answered(unit: str, node: str, refused: str | None = None) -> Finished:
    """Return the event that a node has answered."""
    report: Any = {"name": node, "machine": {}}
    return Finished(
        unit,
        node,
        {"unit": unit, "node": report, "refused": refused, "canaries": [], "groups": []},
    )


class Scripted:
    """An engine that returns at once: each unit that is submitted yields its next event.

    Args:
        script: unit → its events, one for each time that it is submitted; others are answered.
        hopeless: what `hopeless` says.
    """

    def __init__(self, script: dict[str, list[Event]] | None = None, hopeless: str = "") -> None:
        self.script, self.why = script or {}, hopeless
        self.submitted: list[tuple[str, set[str]]] = []
        self.excluded: list[str] = []
        self._events: list[Event] = []

    def submit(self, units: Sequence[UnitJob], avoiding: Collection[str] = ()) -> None:
        for unit in units:
            name = unit["unit"]
            self.submitted.append((name, set(avoiding)))
            events = self.script.get(name)
            self._events.append(events.pop(0) if events else answered(name, "good"))

    def wait(self, seconds: float) -> list[Event]:
        events, self._events = self._events[:100], self._events[100:]
        return events

    def exclude(self, node: str) -> None:
        self.excluded.append(node)

    def nodes(self) -> int:
        return 1

    def hopeless(self) -> str | None:
        return self.why or None

    def close(self) -> None: ...


def run(backend: Scripted, *units: Any) -> tuple[Controller, list[str], dict[str, str]]:
    """Have units measured; return the controller, those measured, and those given up with why."""
    took: list[str] = []
    failed: dict[str, str] = {}
    controller = Controller(backend, lambda answer: took.append(answer["unit"]), failed.__setitem__)
    controller.run(units)
    return controller, took, failed


def test_units_are_submitted_all_at_once_and_the_longest_first() -> None:
    backend = Scripted()
    _, took, failed = run(backend, job("b", 2.0), job("c", 1.0), job("a", 9.0))
    assert backend.submitted == [("a", set()), ("b", set()), ("c", set())]
    assert (took, failed) == (["a", "b", "c"], {})


def test_lost_unit_goes_to_another_node_once() -> None:
    backend = Scripted({"a": [Lost("a", "n1", "gone")]})
    _, took, failed = run(backend, job("a"), job("b"))
    assert sorted(took) == ["a", "b"]
    assert failed == {}
    assert backend.submitted[-1] == ("a", {"n1"})

    backend = Scripted({"a": [Lost("a", "n1", "gone"), Lost("a", "n2", "killed")]})
    _, took, failed = run(backend, job("a"), job("b"))
    assert took == ["b"]
    assert failed == {"a": "lost on 2 nodes: n1: gone; n2: killed"}


def test_node_that_refuses_gets_nothing_more_and_its_unit_is_measured_elsewhere() -> None:
    backend = Scripted({"a": [answered("a", "bad", "torch 1 there, 2 here")]})
    controller, took, failed = run(backend, job("a"))
    assert (took, failed) == (["a"], {})
    assert backend.excluded == ["bad"]
    assert controller.refused == {"bad": "torch 1 there, 2 here"}
    assert backend.submitted == [("a", set()), ("a", {"bad"})]


def test_refusal_is_no_loss() -> None:
    events: list[Event] = [answered("a", "bad", "busy"), Lost("a", "n1", "gone")]
    _, took, failed = run(Scripted({"a": events}), job("a"))
    assert (took, failed) == (["a"], {})


def test_unit_that_every_node_refuses_is_given_up() -> None:
    refusals: list[Event] = [answered("a", f"n{n}", "no GPU there") for n in range(MOST_REFUSALS)]
    _, took, failed = run(Scripted({"a": refusals}), job("a"))
    assert took == []
    assert failed == {"a": f"{MOST_REFUSALS} nodes refused; n4: no GPU there"}


def test_units_that_wait_for_no_node_are_given_up_with_the_refusals() -> None:
    backend = Scripted(
        {"a": [answered("a", "bad", "busy"), Started("a", "good")]}, hopeless="no node is left"
    )
    _, took, failed = run(backend, job("a"))
    assert took == []
    assert failed == {"a": "no node is left: bad: busy"}


def test_second_answer_about_a_unit_says_nothing() -> None:
    backend = Scripted()
    controller, took, _ = run(backend, job("a"))
    controller._take(answered("a", "good"))
    assert took == ["a"]
    controller._take(Lost("a", "good", "gone"))
    assert took == ["a"]
    assert len(backend.submitted) == 1


# A process of its own: the most memory that a process has had is that of all tests before. On Linux
# a child's ru_maxrss begins at its parent's, as it outlives exec; VmHWM does not.
QUEUE = """
import json, pathlib, re, resource, time
from benchmarks.cluster.controller import Controller
from benchmarks.cluster.unit import by_unit, unit_job
from benchmarks.harness.selection.options import Selection
from tests.unit.cluster.test_controller import Scripted, job

selected = Selection(scenario=("stacked_cascade",), variant=("n4",), size=("small",))
((name, cells),) = by_unit(selected.cells()).items()
settings = {"launches": 6, "cell_seconds": 0.025, "seed": 0, "memory": False, "precision": None}
expected = job("")["expected"]

def queued(count):
    start, took, failed = time.process_time(), [], {}
    units = [unit_job(f"{name} {n}", cells, ("torch", "jax"), settings, 60.0, expected)
             for n in range(count)]
    Controller(Scripted(), lambda one: took.append(one["unit"]), failed.__setitem__).run(units)
    return time.process_time() - start, took, failed

few_seconds, _, _ = queued(10**3)
seconds, took, failed = queued(10**4)
status = pathlib.Path("/proc/self/status")
print(json.dumps({
    "few_seconds": few_seconds, "seconds": seconds,
    "kib": int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists()
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "took": len(set(took)), "failed": len(failed), "cells": len(cells),
}))
"""


@pytest.mark.slow
@pytest.mark.serial
def test_ten_thousand_queued_units_take_under_ten_seconds_and_500_mb() -> None:
    """Make the jobs of real units, and submit them to an engine that returns at once.

    Seconds are those of the processor, which a busy machine adds little to. A slower machine may
    take longer, but not much more than ten times as long as for a thousand units.
    """
    done = subprocess.run(
        [sys.executable, "-c", QUEUE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["took"], told["failed"]) == (10**4, 0)
    assert told["cells"] >= 8
    assert told["seconds"] < max(10.0, 15.0 * told["few_seconds"]), told
    assert told["kib"] * 1024 < 500e6
