"""Specify the alternations: scenarios of two networks that are trained in turns.

A variant is one turn, in which one network trains and the other is frozen. Both train in
``shared_forward`` of `TWO_PLAYER` and in the joint turns of `AUTOENCODER`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.scenarios.spec import (
    Array,
    Optimizer,
    Parameters,
    Scenario,
    Segment,
    Training,
    Variant,
    linear,
)

Rng = np.random.Generator


def _two_player_parameters(*, hidden: int, **_: Any) -> Parameters:
    """Return the parameters of two players, a Linear layer each."""
    return {
        **linear("A.linear", 1, hidden, relu=False),
        **linear("B.linear", hidden, 1, relu=False),
    }


def _two_player_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Array]:
    """Return A's input, and the ones that B's output is trained towards."""
    return {"x": rng.standard_normal((batch, 1)), "ones": np.ones((batch, 1))}


PLAYERS = ("A", "B")

TWO_PLAYER = Scenario(
    name="two_player",
    family="alternation",
    summary="B steps on A's detached output, then A through the updated B",
    sizes={
        "seed": {"hidden": 10, "batch": 2},
        "small": {"hidden": 2048, "batch": 1024},
        "medium": {"hidden": 4096, "batch": 2048},
        "large": {"hidden": 8192, "batch": 8192},
        "gpu": {"hidden": 32768, "batch": 16384},
    },
    structure=("hidden",),
    parameters=_two_player_parameters,
    data=_two_player_data,
    variants={
        "turn_b": Variant(PLAYERS, {"loss_b": PLAYERS}, frozen=("A",), arguments={"turn": "b"}),
        "turn_a": Variant(PLAYERS, {"loss_a": PLAYERS}, frozen=("B",), arguments={"turn": "a"}),
        # B's loss is taken of A's output detached, A's loss of the same output through B
        "shared_forward": Variant(
            PLAYERS, {"loss_b": ("B",), "loss_a": PLAYERS}, arguments={"turn": "both"}
        ),
    },
    optimizer=Optimizer("adam", {"lr": 0.1}, "separate"),
    trainings=(
        Training(
            "b_then_a",
            (Segment(50, ("turn_b", "turn_a")),),
            steps_counted={"A": 50, "B": 50},
        ),
        Training(
            "b_then_a_through_one_forward_of_a",
            (Segment(50, ("turn_b", "turn_a"), share_forward=True),),
            steps_counted={"A": 50, "B": 50},
        ),
    ),
)


def _gan_parameters(*, noise: int, hidden: int, pixels: int, **_: Any) -> Parameters:
    """Return the parameters of generator and discriminator, three Linear layers each."""
    return {
        **linear("G.linear1", noise, hidden, relu=True),
        **linear("G.linear2", hidden, hidden, relu=True),
        **linear("G.linear3", hidden, pixels, relu=False),
        **linear("D.linear1", pixels, hidden, relu=True),
        **linear("D.linear2", hidden, hidden, relu=True),
        **linear("D.linear3", hidden, 1, relu=False),
    }


def _gan_data(rng: Rng, *, noise: int, pixels: int, batch: int, **_: Any) -> dict[str, Array]:
    """Return two draws of noise for the generator, and random images in place of real ones."""
    return {
        "x": rng.standard_normal((batch, noise)),
        "real": np.tanh(rng.standard_normal((batch, pixels))),
        "fresh": rng.standard_normal((batch, noise)),
    }


GAN_PLAYERS = ("G", "D")

GAN = Scenario(
    name="gan",
    family="alternation",
    summary="D learns real from generated, G detached; then G through a locked D",
    sizes={
        "seed": {"noise": 100, "hidden": 256, "pixels": 784, "batch": 2},
        "small": {"noise": 100, "hidden": 256, "pixels": 784, "batch": 32},
        "medium": {"noise": 100, "hidden": 256, "pixels": 784, "batch": 512},
        "large": {"noise": 100, "hidden": 1024, "pixels": 784, "batch": 2048},
        "gpu": {"noise": 100, "hidden": 4096, "pixels": 784, "batch": 16384},
    },
    structure=("noise", "hidden", "pixels"),
    parameters=_gan_parameters,
    data=_gan_data,
    variants={
        "turn_d": Variant(
            GAN_PLAYERS,
            {"loss_real": ("D",), "loss_fake": GAN_PLAYERS},
            frozen=("G",),
            arguments={"turn": "d"},
        ),
        "turn_g": Variant(
            GAN_PLAYERS, {"loss_g": GAN_PLAYERS}, frozen=("D",), arguments={"turn": "g"}
        ),
        "turn_g_fresh": Variant(
            GAN_PLAYERS, {"loss_g": GAN_PLAYERS}, frozen=("D",), arguments={"turn": "g_fresh"}
        ),
    },
    optimizer=Optimizer("adam", {"lr": 3e-4}, "separate"),
    trainings=(
        Training(
            "d_then_g", (Segment(50, ("turn_d", "turn_g")),), steps_counted={"G": 50, "D": 50}
        ),
        Training(
            "d_then_g_on_a_fresh_draw",
            (Segment(50, ("turn_d", "turn_g_fresh")),),
            steps_counted={"G": 50, "D": 50},
        ),
    ),
    seeds={
        ("turn_d", "small"): 1,
        ("turn_g", "small"): 1,
        ("turn_d", "medium"): 33,
        ("turn_g", "medium"): 2,
        ("turn_g", "large"): 64,
        ("turn_g_fresh", "small"): 2,
        ("turn_g_fresh", "large"): 64,
    },
    kinked=(("turn_d", "large"),),
)

# symbols of a codeword, bits of a message, Eb/N0 in dB
SYMBOLS, BITS, SIGNAL_TO_NOISE = 7, 4, 7.0


def _autoencoder_parameters(*, messages: int, hidden: int, symbols: int, **_: Any) -> Parameters:
    """Return the parameters of encoder and decoder, two Linear layers each."""
    return {
        **linear("encoder.linear1", messages, hidden, relu=True),
        **linear("encoder.linear2", hidden, symbols, relu=False),
        **linear("decoder.linear1", symbols, hidden, relu=True),
        **linear("decoder.linear2", hidden, messages, relu=False),
    }


def _autoencoder_data(
    rng: Rng, *, messages: int, symbols: int, batch: int, **_: Any
) -> dict[str, Any]:
    """Return one-hot messages, their numbers, and the noise of the channel.

    The messages are taken in turn; the noise has variance 1 / (2 · rate · Eb/N0).
    """
    numbers = np.arange(batch) % messages
    deviation = math.sqrt(1.0 / (2.0 * BITS / SYMBOLS * 10.0 ** (SIGNAL_TO_NOISE / 10.0)))
    return {
        "x": np.eye(messages)[numbers],
        "messages": numbers,
        "noise": deviation * rng.standard_normal((batch, symbols)),
    }


CODERS = ("encoder", "decoder")
# whether codewords have unit power → the names of the joint turn and of the decoder's
CODER_TURNS = {True: ("joint", "decoder_only"), False: ("plain_joint", "plain_decoder")}


def _joint_then_decoder(unit_power: bool, *, renew: bool) -> Training:
    """Return joint steps and then steps of the decoder alone, each half of the training.

    Args:
        unit_power: of the codewords.
        renew: whether the decoder gets a second Adam, whose state begins at zero. Otherwise the
            Adam of the joint steps goes on.
    """
    joint, alone = CODER_TURNS[unit_power]
    name = f"{joint}ly_then_{'a_second_adam' if renew else 'the_decoder'}"
    counted = {"decoder": 25} if renew else {"encoder": 25, "decoder": 50}
    segments = (Segment(25, (joint,)), Segment(25, (alone,), renew=renew))
    return Training(name, segments, steps_counted=counted)


MESSAGES = {"messages": 2**BITS, "symbols": SYMBOLS}

AUTOENCODER = Scenario(
    name="autoencoder",
    family="alternation",
    summary="a code for a noisy channel: first jointly, then the decoder alone",
    sizes={
        "seed": {**MESSAGES, "hidden": 128, "batch": 16},
        "small": {**MESSAGES, "hidden": 512, "batch": 384},
        "medium": {**MESSAGES, "hidden": 1024, "batch": 2048},
        "large": {**MESSAGES, "hidden": 4096, "batch": 8192},
        "gpu": {**MESSAGES, "hidden": 16384, "batch": 65536},
    },
    structure=("messages", "hidden", "symbols"),
    parameters=_autoencoder_parameters,
    data=_autoencoder_data,
    variants={
        turn: Variant(CODERS, {"loss": CODERS}, frozen=frozen, arguments={"unit_power": unit_power})
        for unit_power, turns in CODER_TURNS.items()
        for turn, frozen in zip(turns, ((), ("encoder",)), strict=True)
    },
    optimizer=Optimizer("adam", {"lr": 1e-3}, "separate"),
    trainings=tuple(
        _joint_then_decoder(unit_power, renew=renew)
        for unit_power in CODER_TURNS
        for renew in (False, True)
    ),
    kinked=tuple(
        (turn, size)
        for turns in CODER_TURNS.values()
        for turn in turns
        for size in ("small", "medium", "large")
    ),
)

SCENARIOS = (TWO_PLAYER, GAN, AUTOENCODER)
