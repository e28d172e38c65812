"""Check that both frameworks train alike, and come to the end that the scenario declares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, Problem, plan
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.spec import Optimizer, Segment, Training, matches

AGREE = 1e-9  # allowed difference of the two frameworks in float64, relative to each tensor
TRAININGS = [(s.name, t) for s in CATALOGUE.values() for t in s.trainings]
PRECISIONS = ("float64", "float32")


def trained(
    workers: CheckWorkers, name: str, training: Training, framework: str, dtype: str
) -> dict[str, Any]:
    """Run one of the scenario's trainings and return its final state, see `CheckWorkers.train`."""
    steps = plan(CATALOGUE[name], "seed", training.segments, losses=training.losses)
    problem = (name, training.segments[0].turns[0], "seed")
    return workers.train(problem, framework, steps, dtype)


@pytest.mark.parametrize(
    ("name", "training"), TRAININGS, ids=[f"{n}-{t.name}" for n, t in TRAININGS]
)
def test_training_agrees_and_does_what_its_row_says(
    workers: CheckWorkers, name: str, training: Training
) -> None:
    scenario = CATALOGUE[name]
    start = read_arrays(workers.files((name, training.segments[0].turns[0], "seed")).weights)
    ends = {
        (framework, dtype): trained(workers, name, training, framework, dtype)
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
            off = float(np.linalg.norm(ends[framework, "float32"]["weights"][key] - array))
            limit = within(training, start[key], array)
            if framework == "torch":
                limit += decay_rounding(scenario.optimizer, training, array)
            assert off <= limit, f"{framework} float32 {key}: {off:.2g}, allowed {limit:.2g}"


def within(training: Training, start: np.ndarray, end: np.ndarray) -> float:
    """Return how far float32 may end from float64, as the norm of the difference.

    It is a share of the distance travelled, and the rounding of the weights: each step rounds each
    weight by half an ulp at most, to either side, which makes a random walk.
    """
    steps = sum(segment.steps for segment in training.segments)
    rounding = equivalence.EPS["float32"] / 2 * np.sqrt(steps) * np.linalg.norm(end)
    return float(training.band * np.linalg.norm(end - start) + rounding)


def decay_rounding(optimizer: Optimizer, training: Training, end: np.ndarray) -> float:
    """Return how far torch's AdamW moves weights in float32 by rounding its factor of decay.

    Each step multiplies all weights by 1 - rate * decay, which float32 rounds in the same direction
    each time: no random walk. optax adds the decay to the update instead.
    """
    if optimizer.kind != "adamw":
        return 0.0
    factor = 1.0 - optimizer.settings["lr"] * optimizer.settings["weight_decay"]
    steps = sum(segment.steps for segment in training.segments)
    return float(steps * abs(float(np.float32(factor)) - factor) * np.linalg.norm(end))


def ended(
    workers: CheckWorkers,
    problem: Problem,
    framework: str,
    segments: tuple[Segment, ...],
    optimizer: Optimizer | None = None,
    dtype: str = "float64",
) -> dict[str, Any]:
    """Train by these segments and return the final state, see `CheckWorkers.train`."""
    training = plan(CATALOGUE[problem[0]], problem[2], segments, optimizer=optimizer)
    return workers.train(problem, framework, training, dtype)


@pytest.mark.parametrize("name", ["conv_cascade", "linear_cascade", "frozen_second_network"])
def test_one_optimizer_over_groups_equals_two_and_one_over_all(
    workers: CheckWorkers, framework: str, name: str
) -> None:
    """Groups, separate optimizers and one over all take the same steps, also with net2 frozen."""
    problem, scenario = (name, "-", "seed"), CATALOGUE[name]
    ends = {
        arrangement: ended(
            workers,
            problem,
            framework,
            (Segment(20),),
            replace(scenario.optimizer, arrangement=arrangement),
            "float32",
        )["weights"]
        for arrangement in ("groups", "separate", "together")
    }
    start = read_arrays(workers.files(problem).weights)
    still = workers.files(problem).problem_spec["frozen"]
    for key, array in ends["together"].items():
        assert np.array_equal(array, start[key]) == (key in still), key
        for arrangement in ("groups", "separate"):
            other = ends[arrangement][key]
            if framework == "torch":
                assert np.array_equal(other, array), (arrangement, key)
            elif key not in scenario.zero_gradient:
                ulp = np.spacing(np.max(np.abs(array)))
                assert np.max(np.abs(other - array)) <= 2 * ulp, (arrangement, key)


CHANGES = [  # scenario, turn before and after step 25, factor of the rate, steps that Adam counts
    ("staged_unfreeze", "phase1", "phase2", 1.0, {"classifier": 26, "features": 1}),
    ("rate_decay", "adam", "adam", 0.1, {"net": 26}),
    ("rate_decay", "sgd", "sgd", 0.1, {}),
]


@pytest.mark.parametrize(
    ("name", "before", "after", "rate", "counted"), CHANGES, ids=[f"{c[0]}-{c[1]}" for c in CHANGES]
)
def test_state_is_kept_in_place_and_lost_with_a_new_optimizer(
    workers: CheckWorkers,
    framework: str,
    name: str,
    before: str,
    after: str,
    rate: float,
    counted: dict[str, int],
) -> None:
    """One step later the kept first moment is mostly old, the new one this step's gradient."""
    problem, first = (name, before, "seed"), Segment(25, (before,))
    continued, restarted = (
        ended(workers, problem, framework, (first, Segment(1, (after,), rate, renew)))
        for renew in (False, True)
    )
    old = ended(workers, problem, framework, (first,))["moments"]
    assert old
    share = 1.0 if before == "sgd" else 0.1  # of the new gradient in the first moment
    for key, moment in old.items():
        fresh = restarted["moments"][key]  # share · gradient, as it began at 0
        assert equivalence.relative(continued["moments"][key], 0.9 * moment + fresh) <= AGREE, key
        assert equivalence.relative(fresh, continued["moments"][key]) > share / 2, key
    for net, steps in counted.items():
        assert {n for k, n in continued["steps"].items() if k.startswith(f"{net}.")} == {steps}
    assert set(restarted["steps"].values()) == ({1} if counted else set())


def test_kept_and_lost_state_lead_elsewhere(workers: CheckWorkers, framework: str) -> None:
    for turn in ("sgd", "adam"):
        problem, first = ("rate_decay", turn, "seed"), Segment(25, (turn,))
        continued, restarted = (
            ended(workers, problem, framework, (first, Segment(25, (turn,), 0.1, renew)))
            for renew in (False, True)
        )
        apart = [
            equivalence.relative(restarted["weights"][k], a)
            for k, a in continued["weights"].items()
        ]
        assert min(apart) > 1e-4, turn


@pytest.mark.parametrize("name", ["lenet_module_rates", "lenet_layer_rates"])
def test_every_parameter_learns_at_the_rate_of_its_group(
    workers: CheckWorkers, framework: str, name: str
) -> None:
    problem, optimizer = (name, "-", "seed"), CATALOGUE[name].optimizer
    start = read_arrays(workers.files(problem).weights)
    way = ("backward", "summed")
    grads = workers.gradients(problem, framework, way, "gradient", "float64")
    end = ended(workers, problem, framework, (Segment(1),))["weights"]
    for key, array in end.items():
        rates = [rate for layer, rate in optimizer.rates.items() if matches(key, (layer,))]
        rate = rates[0] if rates else optimizer.settings["lr"]
        assert equivalence.relative(start[key] - array, rate * grads[key]) <= 1e-7, key


def test_group_of_a_layer_without_parameters_is_an_error(
    workers: CheckWorkers, framework: str
) -> None:
    optimizer = replace(CATALOGUE["lenet_layer_rates"].optimizer, rates={"classifier.relu1": 1e-2})
    with pytest.raises(WorkerFailed, match=r"'classifier\.relu1' selects no parameters") as raised:
        ended(workers, ("lenet_layer_rates", "-", "seed"), framework, (Segment(1),), optimizer)
    assert "classifier.linear1" in raised.value.message  # the names that exist


def test_second_player_steps_through_the_updated_first(
    workers: CheckWorkers, framework: str
) -> None:
    """`two_player` by hand: one round of gradient descent, B first, then A through the new B."""
    problem, rate = ("two_player", "turn_b", "seed"), 0.1
    sgd = Optimizer("sgd", {"lr": rate}, "separate")
    end = ended(workers, problem, framework, (Segment(1, ("turn_b", "turn_a")),), sgd)
    a, a0, b, b0 = (
        read_arrays(workers.files(problem).weights)[f"{player}.linear.{leaf}"]
        for player in "AB"
        for leaf in ("weight", "bias")
    )
    data = read_arrays(workers.files(problem).data)
    x, ones = data["x"], data["ones"]
    hidden = x @ a.T + a0
    error = 2 * (hidden @ b.T + b0 - ones) / ones.size
    b, b0 = b - rate * error.T @ hidden, b0 - rate * error.sum(0)
    error = 2 * (hidden @ b.T + b0 - ones) / ones.size  # A has not moved, B has
    back = error @ b
    a, a0 = a - rate * back.T @ x, a0 - rate * back.sum(0)
    by_hand = {"A.linear.weight": a, "A.linear.bias": a0, "B.linear.weight": b, "B.linear.bias": b0}
    for name, array in by_hand.items():
        assert equivalence.relative(end["weights"][name], array) <= AGREE, name


@pytest.mark.parametrize("name", ["two_player", "gan"])
def test_recipes_of_a_turn_train_alike(workers: CheckWorkers, framework: str, name: str) -> None:
    """The resting player rests, whether or not its gradients are computed."""
    scenario = CATALOGUE[name]
    turns = scenario.trainings[0].segments[0].turns
    problem, segments = (name, turns[0], "seed"), (Segment(5, turns),)
    together = replace(scenario.optimizer, arrangement="together")
    other = "optimizer_only" if framework == "torch" else "stop_gradient"
    plans = [plan(scenario, "seed", segments, recipe=recipe) for recipe in (None, other)]
    one = plan(scenario, "seed", segments, recipe=other, optimizer=together)
    if framework == "torch":  # torch's optimizers skip what has no gradient, optax's do not
        plans.append(one)
    first, *others = (workers.train(problem, framework, training) for training in plans)
    for end in others:
        assert end["steps"] == first["steps"]
        for key, array in first["weights"].items():
            assert equivalence.relative(end["weights"][key], array) <= AGREE, key
    if framework == "jax":
        wrapped = plan(scenario, "seed", segments, recipe="partition")
        for refused, why in ((wrapped, "partition wraps"), (one, "use 'separate'")):
            with pytest.raises(WorkerFailed, match=why):
                workers.train(problem, framework, refused)


RECIPES = {
    "torch": [("freeze", "requires_grad_false")],
    "jax": [("freeze", "grad_of_trainable"), ("freeze", "partition")],
}
SEPARATE, SUMMED = (
    {framework: [("backward", strategy)] for framework in FRAMEWORKS}
    for strategy in ("separate_retained", "summed")
)
STEPPED = [
    ("linear_cascade", "-", SEPARATE),  # Adam
    ("only_new_layer", "-", RECIPES),  # with L2
    # momentum, as Adam's step does not show its state where the gradient stays the same
    ("rate_decay", "sgd", SUMMED),
]


@pytest.mark.parametrize(("name", "variant", "ways"), STEPPED, ids=[s[0] for s in STEPPED])
def test_timed_step_is_the_first_step_of_training_every_time(
    workers: CheckWorkers, framework: str, name: str, variant: str, ways: dict[str, Any]
) -> None:
    """Its gradients are those of the reference; some are recovered from the optimizer's moments."""
    problem = (name, variant, "seed")
    way = ("backward", CATALOGUE[name].baseline)
    grads = workers.gradients(problem, framework, way, "gradient", "float64")
    trained = ended(workers, problem, framework, (Segment(1, (variant,)),))["weights"]
    for way in ways[framework]:
        arrays = workers.run(problem, framework, way, "step", "float64")
        updated, stepped = select_prefix(arrays, "updated"), select_prefix(arrays, "gradient")
        for key, array in trained.items():
            assert equivalence.relative(updated[key], array) <= AGREE, (way, key)
        for key, array in grads.items():
            assert equivalence.relative(stepped[key], array) <= AGREE, (way, key)


RATES = [  # trainings that lower the rate before a part joins or the optimizers are renewed
    (
        "staged_unfreeze",
        (Segment(2, ("phase1",)), Segment(1, ("phase1",), 0.1), Segment(1, ("phase2",))),
    ),
    ("rate_decay", (Segment(1, ("adam",), 0.1), Segment(1, ("adam",), renew=True))),
]


@pytest.mark.parametrize(("name", "segments"), RATES, ids=[r[0] for r in RATES])
def test_lowered_rate_holds_for_what_joins_later_and_for_new_optimizers(
    workers: CheckWorkers, framework: str, name: str, segments: tuple[Segment, ...]
) -> None:
    """Adam's first step moves an element by at most the learning rate, and most by nearly that."""
    problem = (name, segments[0].turns[0], "seed")
    before = ended(workers, problem, framework, segments[:-1])["weights"]
    after = ended(workers, problem, framework, segments)
    rate = 0.1 * CATALOGUE[name].optimizer.settings["lr"]
    fresh = [key for key, count in after["steps"].items() if count == 1]
    assert fresh
    for key in fresh:
        moved = np.abs(after["weights"][key] - before[key])
        assert np.max(moved) == pytest.approx(rate, rel=1e-3), key
