"""Check that every freeze recipe trains what it should and leaves the rest alone bit by bit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import zero_gradients
from benchmarks.harness.launches.check_workers import CheckWorkers, Problem, plan
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.protocol import cells, equivalence
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix, write_arrays
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Optimizer, Scenario, Segment

STEPS = 5
# (scenario, variant) at which recipes that only show a price are held to the rest
PRICED = (
    ("stacked_cascade", "frozen_net2"),
    ("two_player", "turn_a"),
    ("attention_on_frozen_backbone", "batch_statistics"),
)
REMEMBERING = ("chain_freeze", "rate_zero", "traced_mask", "cond")
DECAYING = {
    "adam_with_l2": Optimizer("adam", {"lr": 1e-3, "weight_decay": 1e-2}, "together"),
    "adamw": Optimizer("adamw", {"lr": 1e-3, "weight_decay": 1e-2}, "together"),
    "momentum_with_decay": Optimizer(
        "sgd", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-2}, "together"
    ),
}


def spec(problem: Problem) -> Scenario:
    """Return the scenario of a problem."""
    return CATALOGUE[problem[0]]


def recipes(workers: CheckWorkers, problem: Problem, framework: str) -> list[str]:
    """Return the recipes that can exist for the problem, without the baseline."""
    variant = spec(problem).variants[problem[1]]
    possible = [
        recipe
        for recipe in cells.RECIPES[framework]
        if not variant.reason_against(framework, recipe)
    ]
    if problem[:2] not in PRICED and spec(problem).file is None:
        possible = [recipe for recipe in possible if recipe not in cells.ON_REQUEST]
    return [r for r in possible[1:] if r not in cells.FRONT_ONLY or cuts(workers, problem, r)]


def cuts(workers: CheckWorkers, problem: Problem, recipe: str) -> bool:
    """Return whether a recipe that cuts between networks can freeze what the problem freezes.

    A user's own networks may share a frozen weight over the cut, which their spec does not say.
    """
    if not spec(problem).variants[problem[1]].frozen_in_front:
        return False
    try:
        workers.gradients(problem, "torch", ("freeze", recipe), "gradient", "float32")
    except WorkerFailed as error:
        known = spec(problem).file is not None or recipe == "inference_mode"
        if not known or error.outcome != "unsupported":
            raise
        return False
    return True


def frozen(workers: CheckWorkers, problem: Problem) -> list[str]:
    """Return the names of the frozen parameters."""
    return list(workers.files(problem).problem_spec["frozen"])


def test_every_recipe_gives_the_gradients_it_should_and_no_others(
    workers: CheckWorkers, freezing: Problem, framework: str
) -> None:
    """A frozen parameter has no gradient, unless the recipe computes and then discards it."""
    first, unfrozen = workers.frameworks(freezing)[0], ("freeze", "unfrozen")
    whole = workers.gradients(freezing, first, unfrozen, "gradient", "float64")
    zero = zero_gradients.find(spec(freezing), *freezing[1:], whole)
    still = frozen(workers, freezing)
    allowed = equivalence.tolerance("float32", spec(freezing).kink_margin(*freezing[1:]))
    for recipe in ["unfrozen", *recipes(workers, freezing, framework)]:
        wasted = recipe in cells.WASTEFUL
        grads = workers.gradients(freezing, framework, ("freeze", recipe), "gradient", "float32")
        difference = equivalence.compare(
            grads,
            {n: a for n, a in whole.items() if wasted or n not in still},
            allowed=allowed,
            dtype="float32",
            networks=list(spec(freezing).variants[freezing[1]].networks),
            zero_gradient=spec(freezing).zero_gradient,
            zero_elements=zero,
        )
        assert difference.problem is None, f"{recipe}: {difference.problem}"


@pytest.mark.parametrize("decaying", DECAYING)
def test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework(
    workers: CheckWorkers, freezing: Problem, decaying: str
) -> None:
    start = read_arrays(workers.files(freezing).weights)
    still = frozen(workers, freezing)
    ends = {
        (framework, recipe): trained(workers, freezing, framework, recipe, decaying)
        for framework in workers.frameworks(freezing)
        for recipe in recipes(workers, freezing, framework)
    }
    reference = next(iter(ends.values()))["weights"]
    for (framework, recipe), end in ends.items():
        who = f"{framework} {recipe}"
        for name, array in end["weights"].items():
            if name in still:
                assert np.array_equal(array, start[name]), f"{who}: {name} is frozen and moved"
            elif name not in spec(freezing).zero_gradient:
                assert not np.array_equal(array, start[name]), f"{who}: {name} did not move"
                off = equivalence.relative(array, reference[name])
                assert off <= 1e-9, f"{who}: {name} is off by {off:.2g}"
        # some freeze, but keep moments of the frozen parameters as well
        remembered = set(start) if recipe in REMEMBERING else set(start) - set(still)
        assert set(end["moments"]) == remembered & set(end["weights"]), who
        assert_bytes(end, 1 if decaying == "momentum_with_decay" else 2, who)


def assert_bytes(end: dict[str, Any], moments: int, who: str) -> None:
    """Check that the state is the moments and at most 64 bytes a tensor: counts, learning rates.

    Args:
        end: the final state of a training, see `CheckWorkers.train`.
        moments: number of moments that the optimizer keeps of each tensor.
        who: framework and recipe, for the message.
    """
    expected = moments * sum(array.nbytes for array in end["moments"].values())
    few = 64 * len(end["weights"])
    assert expected <= end["state_bytes"] <= expected + few, who


def trained(
    workers: CheckWorkers, problem: Problem, framework: str, recipe: str, decaying: str
) -> dict[str, Any]:
    """Train `STEPS` steps with a recipe and one of `DECAYING`, and return the final state.

    See `CheckWorkers.train` for its keys.
    """
    segments = (Segment(STEPS, (problem[1],)),)
    optimizer = DECAYING[decaying]
    training = plan(spec(problem), problem[2], segments, optimizer=optimizer, recipe=recipe)
    return workers.train(problem, framework, training)


def test_cutting_freezes_just_what_stands_in_front(
    workers: CheckWorkers, freezing: Problem
) -> None:
    """A recipe that cuts between networks really refuses a freeze behind the trained part."""
    possible = spec(freezing).variants[freezing[1]].frozen_in_front
    learning = set(spec(freezing).parameters_of(*freezing[1:])) - set(frozen(workers, freezing))
    for recipe in cells.FRONT_ONLY:
        arguments = (freezing, "torch", ("freeze", recipe), "gradient", "float32")
        if possible and cuts(workers, freezing, recipe):
            assert set(workers.gradients(*arguments)) == learning, recipe
        elif not possible:
            with pytest.raises(WorkerFailed, match="must stand in front"):
                workers.gradients(*arguments)


def test_inference_mode_is_refused_unless_something_stands_between(workers: CheckWorkers) -> None:
    """A Linear layer saves its input; noise that is added in between makes an ordinary tensor."""
    way, phase = ("freeze", "inference_mode"), "gradient"
    for problem in (("stacked_cascade", "frozen_net1", "seed"), ("gan", "turn_d", "seed")):
        with pytest.raises(WorkerFailed, match="use no_grad_forward") as raised:
            workers.gradients(problem, "torch", way, phase, "float32")
        assert raised.value.outcome == "unsupported"
    problem = ("autoencoder", "decoder_only", "seed")
    gradients, right = (
        workers.gradients(problem, "torch", ("freeze", name), phase, "float32")
        for name in ("inference_mode", "no_grad_forward")
    )
    assert set(gradients) == set(right)
    assert all(np.array_equal(gradients[name], right[name]) for name in right)


# (matrix products of a step, saved activations) for two networks of three Linear layers; XLA counts
# Adam's arithmetic as well, which is less than one product
COSTS: dict[tuple[str, str], dict[str, tuple[int, int | None]]] = {
    ("torch", "frozen_net1"): {
        "unfrozen": (17, 7),
        "requires_grad_false": (11, 4),
        "no_grad_forward": (11, 4),
        "detach": (11, 7),
        "grad_of_trainable": (11, 7),
        "optimizer_only": (17, 7),
        "rate_zero": (17, 7),
    },
    ("torch", "frozen_net2"): {
        "unfrozen": (17, 7),
        "requires_grad_false": (14, 7),
        "grad_of_trainable": (14, 7),
        "optimizer_only": (17, 7),
    },
    ("jax", "frozen_net1"): {
        "unfrozen": (17, None),
        "stop_gradient": (11, None),
        "grad_of_trainable": (11, None),
        "partition": (11, None),
        "selective_transform": (11, None),
        "masked": (11, None),
        "chain_freeze": (17, None),
        "all_gradients": (17, None),
        "rate_zero": (17, None),
        "scale_zero": (17, None),
        "traced_mask": (17, None),
        "cond": (11, None),
    },
    ("jax", "frozen_net2"): {
        "unfrozen": (17, None),
        "stop_gradient": (14, None),
        "grad_of_trainable": (14, None),
        "partition": (14, None),
        "chain_freeze": (17, None),
        "all_gradients": (17, None),
    },
}


@pytest.mark.parametrize("case", COSTS, ids="-".join)
def test_recipes_cost_what_is_predicted(workers: CheckWorkers, case: tuple[str, str]) -> None:
    framework, variant = case
    problem = ("stacked_cascade", variant, "small")
    size = spec(problem).sizes["small"]
    activation = 4 * size["batch"] * size["width"]  # bytes
    product = 2 * size["batch"] * size["width"] ** 2
    reaching = len(
        [names for names in workers.files(problem).problem_spec["flow"].values() if names]
    )
    for recipe, (products, saved) in COSTS[framework, variant].items():
        launch = workers.open(problem, framework, "float32")
        counted = launch.ask("count", kind="freeze", name=recipe, phase="step")
        # XLA counts what is elementwise as well, each release in its way: under one product
        assert counted["flops"] // product == products, recipe
        if saved is not None:
            # each squared error that is computed saves its target as well
            losses = 2 if recipe in cells.WASTEFUL else reaching
            assert counted["residual_bytes"] / activation == saved + losses, recipe


def test_batch_norm_moves_its_statistics_in_train_mode_though_frozen(
    workers: CheckWorkers,
) -> None:
    """The statistics agree once torch's unbiased variance is scaled by (n − 1) / n to flax's."""
    problem = ("attention_on_frozen_backbone", "batch_statistics", "seed")
    start = read_arrays(workers.files(problem).weights)
    torch, jax = (statistics(workers, problem, f) for f in ("torch", "jax"))
    front = statistics(workers, problem, "torch", "no_grad_forward")
    values = spec(problem).sizes["seed"]["batch"] * 7 * 7
    assert set(torch) == set(jax) == set(spec(problem).buffers_of(*problem[1:]))
    for name, array in torch.items():
        before = 0.9**STEPS * start[name]  # the share of the start that is left
        share = (values - 1) / values if name.endswith("var") else 1.0
        assert equivalence.relative(array, start[name]) > 1e-3, name
        assert equivalence.relative(jax[name] - before, share * (array - before)) <= 1e-9, name
        assert np.array_equal(front[name], array), f"{name}: no_grad holds no statistics"


def test_batch_norm_keeps_its_statistics_in_eval_mode(
    workers: CheckWorkers, framework: str
) -> None:
    problem = ("attention_on_frozen_backbone", "gamma05", "seed")
    start = read_arrays(workers.files(problem).weights)
    end = statistics(workers, problem, framework)
    assert end
    for name, array in end.items():
        assert np.array_equal(array, start[name]), name


def statistics(
    workers: CheckWorkers, problem: Problem, framework: str, recipe: str | None = None
) -> dict[str, Any]:
    """Return the running statistics of BatchNorm after `STEPS` steps: name → array."""
    training = plan(spec(problem), problem[2], (Segment(STEPS, (problem[1],)),), recipe=recipe)
    buffers: dict[str, Any] = workers.train(problem, framework, training)["buffers"]
    return buffers


def test_first_sixteen_tensors_are_what_is_frozen(workers: CheckWorkers, framework: str) -> None:
    problem = ("frozen_prefix", "-", "seed")
    problem_spec = workers.files(problem).problem_spec
    builder = {name: problem_spec[name] for name in ("family", "build", "arguments")}
    names = list(workers.worker(framework).ask("shapes", **builder))
    if framework == "jax":  # nnx sorts by name: conv10 before conv2
        names.sort(key=lambda name: int(re.sub(r"\D", "", name) or 99))
    assert len(problem_spec["frozen"]) == 16
    assert set(names[:16]) == set(problem_spec["frozen"])


def test_constructor_freezes_what_the_row_says(workers: CheckWorkers, framework: str) -> None:
    for name, variant in (("frozen_in_constructor", "-"), ("staged_unfreeze", "phase1")):
        problem = (name, variant, "seed")
        built = workers.open(problem, framework).ask("built_frozen")
        expected = frozen(workers, problem) if name == "frozen_in_constructor" else []
        assert sorted(built) == sorted(expected), name


def test_loading_what_fits_reports_what_does_not(workers: CheckWorkers, framework: str) -> None:
    """The state has another number of classes, another input size, an extra layer and no bias."""
    problem = ("only_new_layer", "-", "seed")
    start = read_arrays(workers.files(problem).weights)
    state = {name: array + 1.0 for name, array in start.items()}
    state["last.linear.weight"] = np.ones((100, 84))
    state["hidden.linear1.weight"] = np.ones((120, 256))  # of a network for smaller images
    state["auxiliary.linear.weight"] = np.ones((3, 3))
    del state["features.conv1.bias"]
    path, out = (workers.scratch(problem, f"{n}.npz") for n in ("pretrained", "loaded"))
    write_arrays(path, state)
    launch = workers.open(problem, framework)
    report = launch.ask("load_matching", pretrained=str(path), out=str(out))
    loaded = read_arrays(str(out))
    launch.ask("load", weights=workers.files(problem).weights)
    mismatched = ["hidden.linear1.weight", "last.linear.weight"]
    assert report["mismatched"] == mismatched
    assert report["unexpected"] == ["auxiliary.linear.weight"]
    assert report["missing"] == ["features.conv1.bias"]
    assert set(report["loaded"]) == set(start) - {*mismatched, "features.conv1.bias"}
    for name, array in loaded.items():
        expected = state[name] if name in report["loaded"] else start[name]
        assert np.array_equal(array, expected), name


def test_step_of_every_recipe_moves_the_statistics_alike(
    workers: CheckWorkers, framework: str
) -> None:
    """A timed step in train mode moves the running statistics alike in every recipe."""
    problem = ("attention_on_frozen_backbone", "batch_statistics", "seed")
    start = read_arrays(workers.files(problem).weights)
    ways = [("freeze", recipe) for recipe in ["unfrozen", *recipes(workers, problem, framework)]]
    reference = None
    for way in [("backward", "summed"), *ways]:
        arrays = select_prefix(workers.run(problem, framework, way, "step", "float64"), "updated")
        assert set(arrays) == set(start), way
        reference = reference or arrays
        for name in spec(problem).buffers_of(*problem[1:]):
            assert equivalence.relative(arrays[name], start[name]) > 1e-4, (way, name)
            assert equivalence.relative(arrays[name], reference[name]) <= 1e-12, (way, name)
