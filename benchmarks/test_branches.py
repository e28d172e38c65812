"""Check what the networks that are no plain series are there to show: fork, rounding, teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, Problem, plan
from benchmarks.harness.protocol import cells, equivalence, flow
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.branches import AVERAGE, ROUNDED
from benchmarks.scenarios.spec import Array, Follower, Segment, matches

FORK: Problem = ("shared_backbone", "plain", "seed")
ROUNDING: Problem = ("straight_through", "-", "seed")
TEACHER: Problem = ("momentum_teacher", "-", "seed")
AGREE = 1e-9


def flops(
    workers: CheckWorkers, problem: Problem, framework: str, kind: str, name: str, phase: str
) -> int:
    """Return the counted FLOPs of a strategy or recipe in a phase."""
    launch = workers.open(problem, framework, "float32")
    return int(launch.ask("count", kind=kind, name=name, phase=phase)["flops"])


def fork_by_hand() -> dict[str, int]:
    """Return the FLOPs of backward passes through the fork, by strategy.

    A product has two backward, but the first convolution one: nothing in front of it is trained.
    """
    size = CATALOGUE[FORK[0]].sizes["seed"]
    batch, width = size["batch"], size["width"]
    conv1 = 2 * batch * 28 * 28 * 25 * 6 * width
    conv2 = 2 * batch * 10 * 10 * (25 * 6 * width) * (16 * width)
    heads = 2 * batch * 400 * width * (10 + 4)
    backbone = conv1 + 2 * conv2
    return {
        "summed": backbone + 2 * heads,
        "boundary_split": backbone + 2 * heads,
        "separate_retained": 2 * backbone + 2 * heads,
    }


def test_separate_passes_walk_the_backbone_twice_and_each_head_once(
    workers: CheckWorkers, framework: str
) -> None:
    """XLA counts ReLUs and pooling as well: a few percent."""
    above = {"torch": 0.0, "jax": 0.1}[framework]
    for name, expected in fork_by_hand().items():
        counted = flops(workers, FORK, framework, "backward", name, "backward")
        assert expected <= counted <= expected * (1 + above), (name, counted / expected)


@dataclass(frozen=True)
class Numpy:
    """Compute the losses of `straight_through` by the formulas, from weights by their names."""

    weights: Mapping[str, Array]
    x: Array

    def perceptron(self, name: str, x: Array) -> Array:
        """Return the output of Linear, ReLU and Linear."""
        for layer in ("linear1", "linear2"):
            weight, bias = (self.weights[f"{name}.{layer}.{leaf}"] for leaf in ("weight", "bias"))
            x = x @ weight.T + bias
            x = np.maximum(x, 0.0) if layer == "linear1" else x
        return x

    def values(self) -> tuple[Array, Array]:
        """Return what the encoder returns, and the nearest code to each row of it."""
        z, table = self.perceptron("encoder", self.x), self.weights["codebook.table.weight"]
        return z, table[np.square(z[:, None] - table).sum(-1).argmin(1)]

    def losses(self, stopped: tuple[Array, Array]) -> dict[str, float]:
        """Return every loss, with what is stopped held at these values of encoder and codes."""
        (z, code), (still, rounded) = self.values(), stopped
        output = self.perceptron("decoder", z + (rounded - still))
        squares = {
            "loss_codebook": (code - still) ** 2,
            "loss_commitment": (z - rounded) ** 2 / 4,
            "loss_reconstruction": (output - self.x) ** 2,
        }
        return {name: float(square.mean()) for name, square in squares.items()}


def test_gradients_are_the_slopes_of_the_losses_with_what_is_stopped_held_still(
    workers: CheckWorkers, framework: str
) -> None:
    """By NumPy, whose differences need no automatic differentiation; each loss by each tensor."""
    files, step = workers.files(ROUNDING), 1e-6
    start, x = read_arrays(files.weights), read_arrays(files.data)["x"]
    stopped, rng = Numpy(start, x).values(), np.random.default_rng(0)
    by_loss = workers.loss_gradients(ROUNDING, framework)
    reach = CATALOGUE[ROUNDING[0]].variants["-"].flow
    for name, array in start.items():
        direction = rng.standard_normal(array.shape) / np.sqrt(array.size)
        ends = [
            Numpy({**start, name: array + signed * direction}, x).losses(stopped)
            for signed in (step, -step)
        ]
        for loss, grads in by_loss.items():
            slope = (ends[0][loss] - ends[1][loss]) / (2 * step)
            gradient = grads.get(name, np.zeros(array.shape))
            along = float(np.sum(gradient * direction))
            assert along == pytest.approx(slope, rel=1e-6, abs=1e-9), (loss, name)
            assert bool(np.any(gradient)) == matches(name, reach[loss]), (loss, name)


CELLS = {  # the stop that is left out → loss → the networks that it then reaches
    "": {},
    "link": {"loss_reconstruction": ("codebook", "decoder")},
    "codebook": {"loss_codebook": ("encoder", "codebook")},
    "commitment": {"loss_commitment": ("encoder", "codebook")},
}


@pytest.mark.parametrize("without", CELLS, ids=[name or "none" for name in CELLS])
def test_each_stop_that_is_left_out_changes_the_flow(
    workers: CheckWorkers, framework: str, without: str
) -> None:
    """All nine cells: three losses by three networks.

    Without the one in the link the rounding is all that is left: the values of the encoder cancel,
    and so does their gradient, exactly.
    """
    files, launch = workers.files(ROUNDING), workers.open(ROUNDING, framework)
    built: dict[str, Any] = {**files.problem_spec}
    built["arguments"] = {**built["arguments"], "without": without}
    try:
        launch.ask("open", facts=built, weights=files.weights, data=files.data)
        states = launch.ask("flow")
    finally:
        files.open_in(launch)
    reached = {**CATALOGUE[ROUNDING[0]].variants["-"].flow, **CELLS[without]}
    blocked = flow.BLOCKED[framework]
    expected = {
        loss: {network: "value" if network in names else blocked for network in ROUNDED}
        for loss, names in reached.items()
    }
    if without == "link":
        expected["loss_reconstruction"]["encoder"] = "zero"
    assert flow.matrix(states, ROUNDED) == expected


def test_gradient_that_passes_straight_through_is_no_slope(
    workers: CheckWorkers, framework: str
) -> None:
    """In truth the reconstruction is constant as the encoder moves a little: no code changes."""
    files = workers.files(ROUNDING)
    weights = read_arrays(files.weights)
    x = read_arrays(files.data)["x"]
    name = "encoder.linear2.weight"
    moved = {**weights, name: weights[name] + 1e-6}
    before, after = (Numpy(one, x).values()[1] for one in (weights, moved))
    assert np.array_equal(before, after)
    gradient = workers.loss_gradients(ROUNDING, framework)["loss_reconstruction"][name]
    assert np.linalg.norm(gradient) > 1e-3


def rounding_by_hand() -> dict[str, int]:
    """Return the FLOPs of the products of backward passes of `straight_through`, by strategy.

    The distances to the codes are computed forward only.
    """
    size = CATALOGUE[ROUNDING[0]].sizes["seed"]
    batch, hidden = size["batch"], size["hidden"]
    outer = 2 * batch * size["inputs"] * hidden  # the encoder's first product, the decoder's last
    inner = 2 * batch * hidden * size["width"]
    encoder, decoder = outer + 2 * inner, 2 * inner + 2 * outer
    return {
        "summed": encoder + decoder,
        "boundary_split": encoder + decoder,
        "separate_retained": 2 * encoder + decoder,
    }


def test_products_of_the_rounding_are_those_by_hand(workers: CheckWorkers, framework: str) -> None:
    """The commitment walks the encoder, the reconstruction both networks, the codes none."""
    launch = workers.open(ROUNDING, framework, "float32")
    for name, expected in rounding_by_hand().items():
        listed = launch.ask("products", kind="backward", name=name, phase="backward")
        assert sum(each * count for each, count in listed) == expected, name


def taught(
    workers: CheckWorkers,
    framework: str,
    steps: int,
    follower: Follower | None = AVERAGE,
    recipe: str | None = None,
) -> dict[str, Any]:
    """Train the student for some steps in float64, its teacher following; return the final state.

    See `CheckWorkers.train` for its keys.
    """
    segments = (Segment(steps, follower=follower),)
    training = plan(CATALOGUE[TEACHER[0]], "seed", segments, recipe=recipe)
    return workers.train(TEACHER, framework, training)


def test_teacher_moves_by_the_average_alone_bit_for_bit(
    workers: CheckWorkers, framework: str
) -> None:
    before = {"weights": read_arrays(workers.files(TEACHER).weights)}
    for steps in (1, 2, 3):
        after = taught(workers, framework, steps)
        for name, own in after["weights"].items():
            if name.startswith("teacher."):
                led = after["weights"][name.replace("teacher", "student", 1)]
                average = 0.01 * led + (1.0 - 0.01) * before["weights"][name]
                assert np.array_equal(own, average), (steps, name)
                assert not np.array_equal(own, before["weights"][name]), (steps, name)
        buffers = {n: a for n, a in after["buffers"].items() if n.startswith("teacher.")}
        assert len(buffers) == 2
        for name, own in buffers.items():
            led = after["buffers"][name.replace("teacher", "student", 1)]
            assert np.array_equal(own, led), (steps, name)
        before = after


def test_teacher_that_follows_nobody_keeps_still(workers: CheckWorkers, framework: str) -> None:
    start = read_arrays(workers.files(TEACHER).weights)
    end = taught(workers, framework, 3, follower=None)
    for name, own in (end["weights"] | end["buffers"]).items():
        assert np.array_equal(own, start[name]) == name.startswith("teacher."), name


def test_every_way_to_stop_at_the_teacher_trains_alike(workers: CheckWorkers) -> None:
    """`no_grad`, `detach`, `stop_gradient`, outside the differentiated argument, and the rest."""
    reference = taught(workers, "torch", 3)["weights"]
    for framework in FRAMEWORKS:
        recipes = set(cells.RECIPES[framework]) - {cells.UNFROZEN, "inference_mode"}
        for recipe in sorted(recipes):  # behind inference_mode nothing can be trained
            end = taught(workers, framework, 3, recipe=recipe)["weights"]
            for name, array in reference.items():
                off = equivalence.relative(end[name], array)
                assert off <= AGREE, (framework, recipe, name, off)


def test_teacher_without_the_students_buffers_sees_something_else(
    workers: CheckWorkers, framework: str
) -> None:
    """Weights of an average, statistics of the start: [mean-teacher
    9](https://github.com/CuriousAI/mean-teacher/issues/9), [cosmix-uda
    21](https://github.com/saltoricristiano/cosmix-uda/issues/21).
    """
    followers = (AVERAGE, replace(AVERAGE, buffers=False))
    copied, forgotten = (
        taught(workers, framework, 25, one)["outputs"]["teacher"] for one in followers
    )
    assert equivalence.relative(forgotten, copied) > 0.2


def teacher_by_hand() -> dict[str, int]:
    """Return the FLOPs of a step of `momentum_teacher`: of all gradients, and of the student's."""
    size = CATALOGUE[TEACHER[0]].sizes["seed"]
    c, batch = size["channels"], size["batch"]
    pixels = batch * size["side"] ** 2
    conv1, conv2 = 2 * pixels * 27 * c, 2 * pixels * 9 * c * 2 * c
    linear, probe = 2 * batch * 2 * c * c, 2 * batch * c * 10
    forward = 2 * (conv1 + conv2 + linear) + probe
    encoder = conv1 + 2 * conv2 + 2 * linear
    return {"all": forward + 2 * encoder + 2 * probe, "few": forward + encoder + 2 * probe}


STEPS = {
    "unfrozen": "all", "optimizer_only": "all", "requires_grad_false": "few",
    "no_grad_forward": "few", "detach": "few", "grad_of_trainable": "few",
}  # fmt: skip


def test_stopping_at_the_teacher_saves_its_backward_pass(workers: CheckWorkers) -> None:
    by_hand = teacher_by_hand()
    for recipe, which in STEPS.items():
        counted = flops(workers, TEACHER, "torch", "freeze", recipe, "step")
        assert counted == by_hand[which], (recipe, counted / by_hand[which])
    # XLA counts other arithmetic as well, and no products with the zeros around an image
    whole, few = (
        flops(workers, TEACHER, "jax", "freeze", recipe, "step")
        for recipe in ("unfrozen", "grad_of_trainable")
    )
    assert few / whole == pytest.approx(by_hand["few"] / by_hand["all"], rel=0.1)
