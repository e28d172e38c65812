"""Test cells that are built a second time under another name, as ``summed@again``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.harness.launches import requests
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import cells

Measured = Callable[..., dict[str, Any]]


def test_alias_builds_what_stands_before_the_at_and_the_gate_judges_it(measured: Measured) -> None:
    outcomes = measured("summed", "summed@again", "scaled@again")
    assert [outcomes[name]["outcome"] for name in ("summed", "summed@again")] == ["ok", "ok"]
    assert [len(launch) > 0 for launch in outcomes["summed@again"]["samples"]] == [True, True]
    assert outcomes["scaled@again"]["outcome"] == "wrong_gradients"
    slow = measured("summed", "slow@again")["slow@again"]["samples"]
    assert min(min(launch) for launch in slow) > 0.02


def test_alias_of_a_recipe_is_held_to_what_the_recipe_is() -> None:
    files = ProblemFiles("frozen_prefix", "-", "seed")
    way = {"kind": "freeze", "phase": "step", "mode": "eager", "dtype": "float32"}
    names = ("unfrozen", "requires_grad_false", *cells.WASTEFUL)
    aliases = [f"{name}@again" for name in names]
    rules = requests.prepare_request(way, files, "reference.npz", [*names, *aliases])["cells"]
    files.close()
    for name, copy in zip(names, aliases, strict=True):
        assert rules[copy] == rules[name]
    assert rules["unfrozen@again"] == {"still": [], "no_gradient": []}
    assert rules["requires_grad_false"]["still"] == files.problem_spec["frozen"]
