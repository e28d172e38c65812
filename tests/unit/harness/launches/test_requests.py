"""A cell built a second time under another name: ``summed@again`` is ``summed``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.harness.launches import requests
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import cells

Measured = Callable[..., dict[str, Any]]


def test_alias_builds_what_stands_before_the_at_and_the_gate_judges_it(measured: Measured) -> None:
    found = measured("summed", "summed@again", "scaled@again")
    assert [found[name]["outcome"] for name in ("summed", "summed@again")] == ["ok", "ok"]
    assert [len(launch) > 0 for launch in found["summed@again"]["samples"]] == [True, True]
    assert found["scaled@again"]["outcome"] == "wrong_gradients"
    slow = measured("summed", "slow@again")["slow@again"]["samples"]
    assert min(min(launch) for launch in slow) > 0.02


def test_alias_of_a_recipe_is_held_to_what_the_recipe_is() -> None:
    files = ProblemFiles("frozen_prefix", "-", "seed")
    way = {"kind": "freeze", "phase": "step", "mode": "eager", "dtype": "float32"}
    names = ("unfrozen", "requires_grad_false", *cells.WASTEFUL)
    again = [f"{name}@again" for name in names]
    asked = requests.prepare_request(way, files, "reference.npz", [*names, *again])["cells"]
    files.close()
    for name, copy in zip(names, again, strict=True):
        assert asked[copy] == asked[name]
    assert asked["unfrozen@again"] == {"still": [], "no_gradient": []}
    assert asked["requires_grad_false"]["still"] == files.facts["frozen"]
