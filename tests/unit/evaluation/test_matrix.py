"""The matrix of releases: what is installed, what counts as passed, what the page says."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from benchmarks.evaluation.releases import checking, making, matrix, page
from benchmarks.evaluation.releases.environments import (
    ENVIRONMENTS,
    NEWEST,
    Environment,
    pinned_elsewhere,
)
from benchmarks.evaluation.traps_page import PAGES
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE

JUNIT = """\
<testsuites><testsuite>
  <testcase name="test_one"/>
  <testcase name="test_two"><failure message="it differs&#10;by far">trace</failure></testcase>
  <testcase name="test_three"><error message="">trace</error></testcase>
  <testcase name="test_four"><skipped message="no GPU"/></testcase>
</testsuite></testsuites>
"""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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
            "pinned": result(checks=PASSED, traps=PASSED | {"passed": 2}, times=failed, **own),
            "neither": result(**{"says so": {"code": 0, "seconds": 1.0, "reasons": {}}}),
            "torch-2.14": {"when": "2026-01-02", "missing": "no room"},
        }
    )
    rows = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert "3 passed | 2 passed | 3 passed, **1 failed** | passed | 20" in rows["pinned"]
    assert "says what to install" in rows["neither"]
    assert "not seen" in rows["torch-2.14"]
    assert "- pinned, times: `test_a`: it differs" in text
    assert "- torch-2.14: not seen, no room" in text


def test_committed_page_is_made_of_what_was_seen() -> None:
    assert page.PAGE.read_text() == page.text(page.read())


@pytest.mark.smoke
@pytest.mark.parametrize("package", ["torch", "jax", "flax", "optax"])
def test_range_of_a_package_is_from_the_oldest_to_the_newest_release_that_passed(
    package: str,
) -> None:
    """``>=2.11,<2.16``: a 2.11 passed and none older, a 2.15 passed and none newer."""
    passed = sorted(Version(version) for version in seen(package))
    bounds = {one.operator: Version(one.version).release for one in ranges()[package].specifier}
    assert sorted(bounds) == ["<", ">="]
    least, above = bounds[">="], bounds["<"]
    assert passed[0].release[: len(least)] == least
    newest = passed[-1].release[: len(above)]
    assert (*newest[:-1], newest[-1] + 1) == above


@pytest.mark.smoke
def test_classifiers_are_the_pythons_in_which_the_checks_passed() -> None:
    """Compare them with what pip is told to refuse, and what the tests' workflow sets up, too."""
    passed = {".".join(version.split(".")[:2]) for version in seen("python")}
    named = "Programming Language :: Python :: "
    known = [line.removeprefix(named) for line in PROJECT["classifiers"] if line.startswith(named)]
    assert set(known) == {"3 :: Only", *passed}
    assert PROJECT["requires-python"] == f">={min(passed, key=Version)}"
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert set(re.findall(r'python(?:-version)?: "(3\.\d+)"', workflow)) == passed
    assert passed <= {one.python for one in ENVIRONMENTS}


@pytest.mark.smoke
def test_how_to_run_it_is_told_as_make_takes_it() -> None:
    told = re.findall(r"ARGS=([\w.-]+)", page.PAGE.read_text())
    assert len(told) >= 2
    for arguments in told:
        options = matrix._parser().parse_args([arguments])
        assert options.list or options.names == [arguments]
    recipe = (ROOT / "Makefile").read_text().split("\nmatrix:")[1].split("\n\n")[0]
    assert f"-m {matrix.__name__} $(ARGS)" in recipe
    assert "| `make matrix` |" in (ROOT / "CONTRIBUTING.md").read_text()


def ranges() -> dict[str, Requirement]:
    """Return package → the versions that an extra of the project asks for."""
    extras = PROJECT["optional-dependencies"]
    return {one.name: one for name in ("torch", "jax") for one in map(Requirement, extras[name])}


def seen(package: str) -> set[str]:
    """Return the releases of a package, or Pythons, in which every check of a framework passed."""
    results = [one for one in page.read().values() if page.passed(one)]
    checked = [one["versions"] for one in results if "checks" in one["steps"]]
    return {versions[package] for versions in checked if package in versions}


# What is run in each


@pytest.mark.smoke
def test_scenarios_and_cases_that_are_run_are_there() -> None:
    assert len(scenarios_of(checking.CHECKS)) == 4
    assert {*scenarios_of(checking.CHECKS), *scenarios_of(checking.TIMES)} <= set(CATALOGUE)
    for framework in ("torch", "jax"):
        assert (ROOT / checking.OWN_CODE.format(framework=framework)).is_file()


@pytest.mark.parametrize("words", [checking.CHECKS, checking.TIMES], ids=["checks", "times"])
def test_checks_and_times_are_selected_in_both_frameworks(words: list[str]) -> None:
    chosen = selected(words)
    for scenario in scenarios_of(words):
        for framework in ("torch", "jax"):
            assert [one for one in chosen if f"[{scenario}-" in one and f"-{framework}" in one]


def test_every_trap_is_selected_in_one_step_or_the_other() -> None:
    once = [one for words in (checking.CHECKS, checking.TRAPS) for one in selected(words)]
    files = {file for shown in PAGES for file in shown.tests}
    every = selected([*sorted(files), "--benchmark-skip", checking.CHECKS[-1]])
    assert sorted(one for one in once if one.partition("::")[0] in files) == sorted(every)


def selected(words: list[str]) -> list[str]:
    """Return the names of the tests that pytest selects by these arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def scenarios_of(words: list[str]) -> list[str]:
    """Return the scenarios that pytest's arguments name."""
    return words[-1].removeprefix("--scenario=").split(",")


# The whole


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
