"""Trajectories: both frameworks train alike, and end where the row says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness import equivalence
from benchmarks.harness.arrays import read_arrays
from benchmarks.harness.checks import Laboratory, plan
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.spec import Training, matches

AGREE = 1e-9  # two frameworks in float64, relative to each tensor
TRAININGS = [(s.name, t) for s in CATALOGUE.values() for t in s.trainings]
PRECISIONS = ("float64", "float32")


def trained(
    laboratory: Laboratory, name: str, training: Training, framework: str, dtype: str
) -> dict[str, Any]:
    scenario = CATALOGUE[name]
    made = plan(scenario, "seed", training.segments, losses=training.losses)
    problem = (name, training.segments[0].turns[0], "seed")
    return laboratory.train(problem, framework, made, dtype)


@pytest.mark.parametrize(
    ("name", "training"), TRAININGS, ids=[f"{n}-{t.name}" for n, t in TRAININGS]
)
def test_training_agrees_and_does_what_its_row_says(
    laboratory: Laboratory, name: str, training: Training
) -> None:
    scenario = CATALOGUE[name]
    start = read_arrays(laboratory.files((name, training.segments[0].turns[0], "seed")).weights)
    ends = {
        (framework, dtype): trained(laboratory, name, training, framework, dtype)
        for framework in FRAMEWORKS
        for dtype in PRECISIONS
    }
    for who, end in ends.items():
        for net, (target, tolerance) in training.reaches.items():
            assert np.max(np.abs(end["outputs"][net] - target)) <= tolerance, (who, net)
        for key, array in end["weights"].items():
            if matches(key, training.unmoved):
                assert np.array_equal(array, start[key]), (who, key)
        for net, steps in training.steps_counted.items():
            counted = {n for key, n in end["steps"].items() if key.startswith(f"{net}.")}
            assert counted == {steps}, (who, net)
    reference = ends["torch", "float64"]["weights"]
    for key, array in reference.items():
        if key in scenario.zero_gradient:
            continue
        other = ends["jax", "float64"]["weights"][key]
        assert equivalence.relative(other, array) <= AGREE, key
        for framework in FRAMEWORKS:
            single = ends[framework, "float32"]["weights"][key]
            off = equivalence.relative(single, array)
            assert off <= training.band, f"{framework} float32 {key}: {off:.2g}"
