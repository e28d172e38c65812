"""Test that every freeze recipe passes the gate as a session would put it to a whole step."""

from __future__ import annotations

import pytest

from benchmarks.harness.launches import requests
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.protocol import cells
from benchmarks.scenarios import FRAMEWORKS

PROBLEM = ("stacked_cascade", "frozen_net1", "seed")
RAISING = ("inference_mode",)  # autograd refuses it, as its test in benchmarks/ shows


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_recipe_of_a_step_passes_the_gate_under_an_optimizer_with_moments(
    workers: CheckWorkers, framework: str
) -> None:
    """Take Adam, from whose first moment the gate computes the gradients of a step."""
    files = workers.files(PROBLEM)
    exact = {framework: workers.borrow(framework)}
    reference = files.references.compute(exact, "freeze", "step")[framework]
    launch = workers.borrow(framework, "float32")
    files.open_in(launch)
    group = {
        "kind": "freeze",
        "phase": "step",
        "mode": cells.MODES[framework][0],
        "dtype": "float32",
    }
    names = [name for name in cells.RECIPES[framework] if name not in RAISING]
    answers = launch.ask("prepare", **requests.prepare_request(group, files, reference, names))
    launch.ask("close")
    assert len(names) >= 7
    assert {name: one["equivalence"] for name, one in answers.items()} == dict.fromkeys(
        names, "pass"
    )
