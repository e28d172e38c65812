"""Check what is particular to turns and phases of a training: what they share, keep and renew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, plan
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Segment

AGREE = 1e-12  # relative to each tensor, in float64
TURNS = ("turn_b", "turn_a")


def ended(
    workers: CheckWorkers, framework: str, name: str, *segments: Segment, **changes: Any
) -> dict[str, Any]:
    """Train a scenario at size ``seed`` and return the final state, see `CheckWorkers.train`.

    Args:
        workers: that train.
        framework: of the worker.
        name: of the scenario.
        segments: parts of the training.
        changes: further arguments of `plan`.
    """
    problem = (name, segments[0].turns[0], "seed")
    return workers.train(problem, framework, plan(CATALOGUE[name], "seed", segments, **changes))


@pytest.mark.parametrize("other", [None, "second"])
def test_sharing_the_forward_pass_of_the_first_player_changes_nothing(
    workers: CheckWorkers, framework: str, other: str | None
) -> None:
    """A does not move in B's turn, so its output of before B's step is that of after it."""
    recipe = {"torch": "optimizer_only", "jax": "stop_gradient"}[framework] if other else None
    ends = [
        ended(
            workers,
            framework,
            "two_player",
            Segment(5, TURNS, share_forward=share),
            recipe=recipe,
        )
        for share in (False, True)
    ]
    assert ends[0]["steps"] == ends[1]["steps"]
    for key, array in ends[0]["weights"].items():
        assert equivalence.relative(ends[1]["weights"][key], array) <= AGREE, key


def test_forward_pass_is_shared_only_where_a_turn_trains_the_first_network(
    workers: CheckWorkers, framework: str
) -> None:
    alone = Segment(1, ("turn_b",), share_forward=True)
    with pytest.raises(WorkerFailed, match="one turn must train the network in front, not 0 of 1"):
        ended(workers, framework, "two_player", alone)


def test_forward_pass_is_not_shared_where_two_turns_train_the_first_network(
    workers: CheckWorkers, framework: str
) -> None:
    """The first of them steps the network: its pass for the second would be one of old weights."""
    twice = Segment(1, ("turn_a", "turn_b", "turn_a"), share_forward=True)
    with pytest.raises(WorkerFailed, match="one turn must train the network in front, not 2 of 3"):
        ended(workers, framework, "two_player", twice)


def test_gradients_of_the_second_player_add_up_over_both_turns(
    workers: CheckWorkers, framework: str
) -> None:
    """Over one forward pass of A, B gets a gradient of either loss, and A that of A's alone."""
    losses = workers.loss_gradients(("two_player", "shared_forward", "seed"), framework)
    both, alone = (
        workers.gradients(
            ("two_player", variant, "seed"),
            framework,
            ("backward", "summed"),
            "gradient",
            "float64",
        )
        for variant in ("shared_forward", "turn_b")
    )
    for leaf in ("weight", "bias"):
        key = f"B.linear.{leaf}"
        assert equivalence.relative(both[key], 2 * alone[key]) <= AGREE, key
        assert equivalence.relative(losses["loss_a"][key], alone[key]) <= AGREE, key
        a = losses["loss_b"].get(f"A.linear.{leaf}")
        assert a is None if framework == "torch" else not np.any(a)


@pytest.mark.parametrize(
    ("joint", "alone"), [("joint", "decoder_only"), ("plain_joint", "plain_decoder")]
)
def test_second_adam_of_the_decoder_goes_elsewhere_than_the_first_one(
    workers: CheckWorkers, framework: str, joint: str, alone: str
) -> None:
    """After 25 steps of the decoder alone they are 16 % (plain) or 23 % of the way apart."""
    start = read_arrays(workers.files(("autoencoder", joint, "seed")).weights)
    going_on, anew = (
        ended(
            workers,
            framework,
            "autoencoder",
            Segment(25, (joint,)),
            Segment(25, (alone,), renew=renew),
        )
        for renew in (False, True)
    )
    assert {n for key, n in anew["steps"].items() if key.startswith("decoder.")} == {25}
    assert not any(key.startswith("encoder.") for key in anew["steps"])
    apart = distance(anew["weights"], going_on["weights"])
    assert apart > 0.15 * distance(going_on["weights"], start)


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the norm of the difference of the decoder's weights, all of them together."""
    keys = [key for key in one if key.startswith("decoder.")]
    return float(np.sqrt(sum(np.sum((one[key] - other[key]) ** 2) for key in keys)))


def test_rate_of_one_group_falls_and_the_other_stays(workers: CheckWorkers, framework: str) -> None:
    """Each step is rate · momentum: in place the momentum of before goes on at the new rate."""
    before = Segment(1, ("one_group",))
    first = ended(workers, framework, "rate_decay", before)["weights"]
    rates = {"features": 1e-5, "classifier": 1e-3}
    for renew in (False, True):
        lowered = Segment(1, ("one_group",), 0.1, renew, only=("classifier",))
        end = ended(workers, framework, "rate_decay", before, lowered)
        for key, array in first.items():
            step = rates[key.partition(".")[0]] * end["moments"][key]
            assert equivalence.relative(array - end["weights"][key], step) <= 1e-7, (renew, key)


def test_group_that_the_optimizer_has_not_is_an_error(
    workers: CheckWorkers, framework: str
) -> None:
    wrong = Segment(1, ("one_group",), 0.1, only=("clasifier",))
    with pytest.raises(WorkerFailed, match=r"no parameter group 'clasifier'.*features, classifier"):
        ended(workers, framework, "rate_decay", wrong)
    optimizer = replace(CATALOGUE["rate_decay"].optimizer_of("one_group"), arrangement="together")
    with pytest.raises(WorkerFailed, match="need 'groups' or 'separate'"):
        ended(workers, framework, "rate_decay", Segment(1, ("one_group",)), optimizer=optimizer)


def test_fresh_draw_gives_the_generator_another_gradient(
    workers: CheckWorkers, framework: str
) -> None:
    problem = ("gan", "turn_g_fresh", "seed")
    data = read_arrays(workers.files(problem).data)
    assert equivalence.relative(data["fresh"], data["x"]) > 1.0
    way = (("backward", "summed"), "gradient", "float64")
    new, old = (
        workers.gradients(("gan", turn, "seed"), framework, *way)
        for turn in ("turn_g_fresh", "turn_g")
    )
    for key, array in old.items():
        assert equivalence.relative(new[key], array) > 0.1, key
