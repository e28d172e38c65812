"""The matrix of releases: what is installed, what counts as passed, what the page says."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.releases import checking, making, matrix, page
from benchmarks.evaluation.releases.environments import (
    ENVIRONMENTS,
    NEWEST,
    Environment,
    pinned_elsewhere,
)

JUNIT = """\
<testsuites><testsuite>
  <testcase name="test_one"/>
  <testcase name="test_two"><failure message="it differs&#10;by far">trace</failure></testcase>
  <testcase name="test_three"><error message="">trace</error></testcase>
  <testcase name="test_four"><skipped message="no GPU"/></testcase>
</testsuite></testsuites>
"""
PASSED = {"code": 0, "seconds": 1.0, "passed": 3, "failed": 0, "skipped": 0, "reasons": {}}


def environment(name: str) -> Environment:
    return next(one for one in ENVIRONMENTS if one.name == name)


def result(**steps: Any) -> dict[str, Any]:
    return {"when": "2026-01-02", "versions": {"python": "3.11.7"}, "steps": steps}


def test_each_environment_differs_from_the_pinned_one_and_has_a_name_of_its_own() -> None:
    assert len({one.name for one in ENVIRONMENTS}) == len(ENVIRONMENTS)
    bare = {dataclasses.replace(one, name="") for one in ENVIRONMENTS}
    assert len(bare) == len(ENVIRONMENTS)


def test_requirements_pin_the_release_that_is_tried_and_flax_with_jax() -> None:
    pinned = environment("pinned").requirements
    assert [one.partition("==")[0] for one in pinned] == ["torch", "jax", "flax", "optax"]
    assert all("==" in one for one in pinned)
    assert environment("torch-2.14").requirements == ["torch==2.14.1", *pinned[1:]]
    assert environment("jax-alone").requirements == pinned[1:]
    assert environment("neither").requirements == []
    newest = Environment("x", torch=None, jax="0.11.2", helpers=NEWEST).requirements
    assert newest == ["jax==0.11.2", "flax", "optax"]


def test_frameworks_are_not_among_the_other_pins() -> None:
    names = {line.partition("==")[0] for line in pinned_elsewhere()}
    assert "numpy" in names
    assert not names & {"torch", "jax", "jaxlib", "flax", "optax"}


def test_failed_tests_are_counted_with_their_reason_in_one_line(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(JUNIT)
    counts, failed = checking.failures(junit)
    assert counts == {"passed": 1, "failed": 2, "skipped": 1}
    assert failed == {"test_two": "it differs", "test_three": "no message"}
    assert len(checking.one_line("x" * 500)) == checking.REASON_LENGTH


def test_python_that_is_not_there_and_a_full_disk_are_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = matrix.attempt(Environment("x", "3.99", torch=None), tmp_path / "m", keep=False)
    assert seen["missing"] == "no Python 3.99 on this machine"
    monkeypatch.setattr(making, "NEEDED_BYTES", 10**18)
    seen = matrix.attempt(Environment("x"), tmp_path / "m", keep=False)
    assert "GB are free, 1000000000 are needed" in seen["missing"]
    assert not (tmp_path / "m" / "x").exists()


def test_python_of_the_version_that_is_asked_for_is_found() -> None:
    assert making.interpreter(f"{sys.version_info[0]}.{sys.version_info[1]}") == sys.executable


def test_one_failed_step_is_no_pass_and_is_named() -> None:
    failed = PASSED | {"code": 1, "failed": 1, "reasons": {"test_a": "it differs"}}
    assert page.passed(result(checks=PASSED, times=PASSED))
    assert not page.passed(result(checks=PASSED, times=failed))
    assert not page.passed({"when": "2026-01-02", "missing": "no room"})
    assert not page.passed(result())
    assert page.outcome(result(checks=PASSED, times=failed)) == "failed: times"
    stopped = {"code": None, "seconds": 1800.0, "reasons": {"pytest": "stopped after 1800 s"}}
    assert not page.passed(result(checks=stopped))


def test_page_has_a_row_for_each_environment_and_a_line_for_each_failure() -> None:
    failed = PASSED | {"code": 1, "failed": 1, "reasons": {"test_a": "it differs"}}
    own = {"own code, torch": {"code": 0, "seconds": 1.0, "reasons": {}}}
    text = page.text(
        {
            "pinned": result(checks=PASSED, times=failed, **own),
            "neither": result(**{"says so": {"code": 0, "seconds": 1.0, "reasons": {}}}),
            "torch-2.14": {"when": "2026-01-02", "missing": "no room"},
        }
    )
    rows = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert "3 passed | 3 passed, **1 failed** | passed | 2026-01-02" in rows["pinned"]
    assert "says what to install" in rows["neither"]
    assert "not seen" in rows["torch-2.14"]
    assert "- pinned, times: `test_a`: it differs" in text
    assert "- torch-2.14: not seen, no room" in text


def test_committed_page_is_made_of_what_was_seen() -> None:
    assert page.PAGE.read_text() == page.text(page.read())


def test_bounds_of_the_project_hold_every_release_that_passed() -> None:
    from benchmarks.machine import releases

    ranges = releases.tested_ranges()
    for name, one in page.read().items():
        for package in ("torch", "jax"):
            version = one.get("versions", {}).get(package)
            if version and page.passed(one):
                assert releases.is_tested(version, ranges[package]), (name, package, version)


def test_environment_that_failed_ends_with_1_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "RESULTS_FILE", tmp_path / "releases" / "seen.json")
    monkeypatch.setattr(page, "PAGE", tmp_path / "releases.md")
    monkeypatch.setattr(page.read, "__defaults__", (page.RESULTS_FILE,))
    outcomes = {"neither": {"when": "2026-01-02", "missing": "no room"}}
    monkeypatch.setattr(
        matrix, "attempt", lambda one, *_, **__: outcomes.get(one.name, result(checks=PASSED))
    )
    assert matrix.main(["neither", "pinned"]) == matrix.FAILED
    assert set(json.loads(page.RESULTS_FILE.read_text())) == {"neither", "pinned"}
    assert matrix.main(["pinned"]) == 0
    assert set(json.loads(page.RESULTS_FILE.read_text())) == {"neither", "pinned"}
