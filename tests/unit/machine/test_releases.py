"""Releases outside the ranges that were tested: a line, and no refusal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks.cli import build_parser
from benchmarks.harness.protocol.case_messages import CaseSource
from benchmarks.harness.selection.options import SelectionError
from benchmarks.harness.session.lock import Lock
from benchmarks.machine import environment, releases
from benchmarks.own_code.request import Request
from benchmarks.own_code.session import Session


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with a torch that nobody has tested, and a jax in range without flax."""
    there = {"torch": "2.16.0+cpu", "jax": "0.10.2", "optax": "0.2.8"}
    ranges = ("torch>=2.11,<2.16", "jax>=0.10,<0.13", "optax>=0.2.8", "flax>=0.12")
    monkeypatch.setattr(environment, "installed", there.get)
    monkeypatch.setattr(
        releases, "tested_ranges", lambda: {r.name: r for r in map(Requirement, ranges)}
    )


@pytest.mark.usefixtures("newest")
def test_release_out_of_range_gets_one_line_that_says_what_was_tested() -> None:
    line = releases.untested(["torch", "jax"])
    assert line is not None
    assert line.startswith("not tested with torch 2.16.0+cpu (tested: >=2.11,<2.16): going on")
    assert "jax" not in line
    assert "\n" not in line


@pytest.mark.usefixtures("newest")
def test_release_in_range_gets_none() -> None:
    assert releases.untested(["jax"]) is None


def test_without_an_installation_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "tested_ranges", dict)
    assert releases.untested(["torch", "jax"]) is None


def test_reading_is_that_of_the_newest_release_not_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = {"0.9": "old", "0.10": "ten", "0.11": "eleven"}
    for version, said in (("0.9.1", "old"), ("0.10.2", "ten"), ("0.12.0", "eleven")):
        monkeypatch.setattr(environment, "installed", lambda _, v=version: v)
        assert releases.reading("jax", readings) == said
    monkeypatch.setattr(environment, "installed", lambda _: "0.8.0")
    with pytest.raises(LookupError, match=r"jax 0\.8\.0: no reading"):
        releases.reading("jax", readings)


@pytest.mark.usefixtures("newest")
def test_regress_says_so_before_it_compares(capsys: pytest.CaptureFixture[str]) -> None:
    options = build_parser().parse_args(
        ["regress", "HEAD", "--framework=torch", "--budget=nonsense"]
    )
    with pytest.raises(SelectionError, match="budget"):
        options.run(options)
    assert "not tested with torch 2.16.0+cpu" in capsys.readouterr().err


@pytest.mark.usefixtures("newest")
def test_session_on_a_users_own_case_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_measure", lambda *_: None)
    monkeypatch.setattr(Lock, "take", lambda _: None)  # another session may be measuring
    (tmp_path / "case.py").write_text("import torch\n")
    source, out = CaseSource(file="case.py"), tmp_path / "out.json"
    request = Request(source, "torch", str(tmp_path), 1.0, None, None, None, out, 0, None)
    Session(request, time.monotonic()).run()
    assert "not tested with torch 2.16.0+cpu" in capsys.readouterr().err
