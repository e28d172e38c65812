"""Releases outside the ranges that were tested: a line, and no refusal."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from benchmarks.machine import environment, releases


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
