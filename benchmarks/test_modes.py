"""Check that the other modes compute the same: compiled as a whole or by network, and eager JAX.

A few cells of each mode are enough here: a session compares every cell that it times with its
reference, as it was compiled.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, Problem
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.protocol import cells, equivalence
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix
from benchmarks.scenarios import CATALOGUE

LINEAR: Problem = ("linear_cascade", "-", "seed")
# the frozen network A is in front
PLAYERS: Problem = ("two_player", "turn_b", "seed")


def assert_reference(
    workers: CheckWorkers, problem: Problem, framework: str, name: str, phase: str, mode: str
) -> None:
    """Compare a strategy's float32 gradients in this mode with those of the float64 baseline."""
    true = workers.gradients(problem, framework, ("backward", "summed"), "gradient", "float64")
    launch = workers.open(problem, framework, "float32")
    arrays = workers.files(problem).gradients(launch, "backward", name, phase, mode)
    difference = equivalence.compare(
        select_prefix(arrays, "gradient"),
        true,
        allowed=equivalence.ROUNDING,
        dtype="float32",
        networks=list(CATALOGUE[problem[0]].variants[problem[1]].networks),
    )
    assert difference.problem is None, f"{mode} {name}: {difference.problem}"


@pytest.mark.parametrize(
    ("mode", "name", "phase"),
    [
        ("compile", "separate_retained", "backward"),
        ("compile_networks", "boundary_split", "backward"),
    ],
)
def test_compiled_strategy_gives_the_reference(
    workers: CheckWorkers, mode: str, name: str, phase: str
) -> None:
    assert_reference(workers, LINEAR, "torch", name, phase, mode)


def test_strategies_give_the_reference_operation_by_operation(workers: CheckWorkers) -> None:
    for name in cells.STRATEGIES["jax"]:
        assert_reference(workers, LINEAR, "jax", name, "gradient", "eager")


@pytest.mark.parametrize(
    "way", [("torch", "compile", "detach"), ("jax", "eager", "partition")], ids="-".join
)
def test_frozen_keeps_still_in_a_step_and_the_rest_moves_as_in_the_frameworks_own_mode(
    workers: CheckWorkers, way: tuple[str, str, str]
) -> None:
    framework, mode, recipe = way
    files, launch = workers.files(PLAYERS), workers.open(PLAYERS, framework, "float32")
    by_default, in_mode = (
        select_prefix(files.gradients(launch, "freeze", recipe, "step", m), "updated")
        for m in (None, mode)
    )
    start = read_arrays(files.weights)
    assert set(by_default) == set(in_mode) == set(start)
    for name, array in in_mode.items():
        if name in files.problem_spec["frozen"]:
            assert np.array_equal(array, start[name].astype("float32")), f"{name} moved"
        else:
            assert np.any(array != start[name].astype("float32")), f"{name} did not move"
            assert equivalence.relative(array, by_default[name]) < equivalence.ROUNDING, name


@pytest.mark.parametrize(
    ("mode", "name", "message"),
    [
        ("compile", "boundary_split", "no one graph can be made of it"),
        ("compile_networks", "functional", "no one graph can be made of it"),
        ("compile_networks", "batched", "that doesn't have storage"),
    ],
)
def test_what_is_said_not_to_compile_does_not(
    workers: CheckWorkers, mode: str, name: str, message: str
) -> None:
    """A strategy is declared `unsupported` in a mode only if it really fails there.

    Where Dynamo itself refuses, the reason is one line.
    """
    launch, files = workers.open(LINEAR, "torch", "float32"), workers.files(LINEAR)
    with pytest.raises(WorkerFailed) as raised:
        files.gradients(launch, "backward", name, "gradient", mode)
    assert message in str(raised.value)
    if raised.value.outcome == "unsupported":
        assert "\n" not in str(raised.value)
