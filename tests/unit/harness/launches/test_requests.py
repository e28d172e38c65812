"""Test cells that are built a second time under another name, as ``summed@again``."""

from __future__ import annotations

from benchmarks.harness.launches import requests
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import cells


def test_alias_of_a_recipe_is_held_to_what_the_recipe_is() -> None:
    files = ProblemFiles("frozen_prefix", "-", "seed")
    way = {"kind": "freeze", "phase": "step", "mode": "eager", "dtype": "float32"}
    names = ("unfrozen", "requires_grad_false", *cells.WASTEFUL)
    aliases = [f"{name}@again" for name in names]
    rules = requests.prepare_request(way, files, "reference.npz", [*names, *aliases])["cells"]
    files.close()
    for name, copy in zip(names, aliases, strict=True):
        assert rules[copy] == rules[name]
    reached = list(files.problem_spec["reach"]["loss"])
    assert rules["unfrozen@again"] == {"still": [], "no_gradient": [], "gradients": reached}
    trained = [name for name in reached if name not in files.problem_spec["frozen"]]
    assert rules["requires_grad_false"]["gradients"] == trained
    assert rules["requires_grad_false"]["still"] == files.problem_spec["frozen"]
