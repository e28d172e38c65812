"""Test when a node measures and when it refuses, and how its process ends."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import node, node_environment, remote
from benchmarks.cluster.unit import UnitJob
from benchmarks.harness.session.lock import Lock
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from tests.unit.cluster.test_controller import job

CANARY: Any = {"framework": "torch", "device": "cpu", "dtype": "float32"}


class Measured:
    """What the functions that measure were asked, and whether canaries pass."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pools: list[Any] = []
        self.passes = True

    def canaries(self, wanted: Any, pool: Any) -> Any:
        self.asked.append("canaries")
        self.pools.append(pool)
        verdict = {**CANARY, "canary": "sleep", "passed": self.passes, "said": "9 of 1 s"}
        return {"verdicts": [verdict], "product_seconds": {}, "spent": {}, "worker_seconds": 0.0}

    def group(self, wanted: Any, pool: Any) -> Any:
        self.asked.append(wanted["phase"])
        self.pools.append(pool)
        if wanted["phase"] == "step":
            raise KeyError("a bug")
        return {"about": {}, "cells": {}}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Replace what measures, and the comparison of versions, for a node of this process."""
    seen = Measured()
    monkeypatch.setattr(node, "measure_canaries", seen.canaries)
    monkeypatch.setattr(node, "measure_group", seen.group)
    monkeypatch.setattr(node_environment, "difference", lambda *_: None)
    return seen


def unit(*phases: str) -> UnitJob:
    """Return a unit with a group for each of these phases."""
    groups: Any = [{"phase": phase, "limit": 1.0, "device": "cpu"} for phase in phases]
    return {**job("u"), "groups": groups, "canaries": [CANARY]}


def test_canaries_come_first_and_once_and_a_bug_costs_its_group_alone(measured: Measured) -> None:
    one = node.Node("n1")
    first, second = one.measure(unit("step", "gradient")), one.measure(unit("backward"))
    assert measured.asked == ["canaries", "step", "gradient", "backward"]
    assert first["groups"] == [{"failed": "KeyError: 'a bug'"}, {"about": {}, "cells": {}}]
    assert (first["refused"], second["refused"]) == (None, None)
    assert (len(first["canaries"]), second["canaries"]) == (1, [])
    assert first["node"]["name"] == "n1"
    assert first["node"]["machine"]["id"] == environment.describe()["id"]
    one.close()


def test_workers_stay_from_unit_to_unit(measured: Measured) -> None:
    one = node.Node("n1")
    one.measure(unit("gradient"))
    one.measure(unit("gradient", "backward"))
    assert measured.pools == [one.pool] * 4
    one.close()


def test_node_whose_canaries_fail_measures_nothing_and_takes_them_again(measured: Measured) -> None:
    one, measured.passes = node.Node("n1"), False
    for _ in range(2):
        answer = one.measure(unit("gradient"))
        assert answer["refused"] == "canaries failed: torch: sleep: 9 of 1 s"
        assert answer["groups"] == []
    assert measured.asked == ["canaries", "canaries"]
    one.close()


def test_node_refuses_while_another_run_measures_and_lets_the_machine_go(
    measured: Measured,
) -> None:
    one, other = node.Node("n1"), Lock()
    other.take()
    try:
        answer = one.measure(unit("gradient"))
        assert "another run is measuring on this machine" in str(answer["refused"])
        assert measured.asked == []
    finally:
        other.release()
    assert one.measure(unit("gradient"))["refused"] is None
    other.take()  # between two units the machine is free
    other.release()
    one.close()


def test_node_that_differs_says_so_and_measures_nothing(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_environment, "difference", lambda *_: "torch 1 there, 2 here")
    answer = node.Node("n1").measure(unit("gradient"))
    assert answer["refused"] == "torch 1 there, 2 here"
    assert measured.asked == []


def python(folder: Path, script: str) -> dict[str, Any]:
    """Return a place whose interpreter is this shell script."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"folder": str(ROOT), "python": str(path), "environment": {"SAID": "so"}}


def test_answer_of_the_process_is_passed_on(tmp_path: Path) -> None:
    one = remote.NodeProcess(python(tmp_path, 'while read l; do echo "{\\"a\\": $l}"; done'), "n1")
    assert one.ask("1") == {"a": 1}
    assert one.ask("2") == {"a": 2}
    assert one.alive()
    one.end()
    assert not one.alive()
    one.end()  # once more does nothing


def test_process_that_ends_instead_of_answering_is_lost_with_its_last_words(tmp_path: Path) -> None:
    place = python(tmp_path, "read l; echo first >&2; echo it is $SAID >&2; exit 7")
    said = {"lost": "the process that measures ended (exit code 7): it is so"}
    assert remote.NodeProcess(place, "n1").ask("1") == said
    silent = remote.NodeProcess(python(tmp_path, "exit 0"), "n1")
    assert silent.ask("1") == {
        "lost": "the process that measures ended (exit code 0): it said nothing"
    }


def test_process_is_ended_while_another_thread_waits_for_its_answer(tmp_path: Path) -> None:
    one = remote.NodeProcess(python(tmp_path, "read l; exec sleep 100"), "n1")
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(one.ask("1")))
    thread.start()
    one.end()
    thread.join(10.0)
    assert not thread.is_alive()
    assert "exit code -15" in answers[0]["lost"]


def test_place_without_the_suite_or_its_interpreter_is_said(tmp_path: Path) -> None:
    assert remote.problem_of({"folder": str(ROOT), "python": sys.executable}) is None
    assert f"no suite in {tmp_path} there" in str(remote.problem_of({"folder": str(tmp_path)}))
    place = {"folder": str(ROOT), "python": str(tmp_path / "none")}
    assert "no interpreter" in str(remote.problem_of(place))


def test_process_ends_with_its_stdin(tmp_path: Path) -> None:
    place = {"folder": str(ROOT), "python": None, "environment": dict(os.environ)}
    one = remote.NodeProcess(place, "n1")
    assert one.process.stdin
    one.process.stdin.close()
    assert one.process.wait(60.0) in (0, node.STOPPED)
    one.end()
