"""The gate: what a step changed, what it left alone, and what has a gradient that should not."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import gate

WEIGHT = np.array([[3.0, 4.0]])
TRUE = {
    **{f"gradient/{net}.w": WEIGHT for net in ("net1", "net2")},
    **{f"start/{net}.w": 10 * WEIGHT for net in ("net1", "net2")},
    **{f"updated/{net}.w": 9 * WEIGHT for net in ("net1", "net2")},
}


class Ran:
    """A program that has run: its gradients and its parameters afterwards, in float32."""

    def __init__(self, gradients: dict[str, float], updates: dict[str, float]) -> None:
        self._gradients, self._updates = gradients, updates

    def gradients(self) -> dict[str, Any]:
        return {n: (f * WEIGHT).astype(np.float32) for n, f in self._gradients.items()}

    def updates(self) -> dict[str, Any]:
        return {n: (f * WEIGHT).astype(np.float32) for n, f in self._updates.items()}


def judged(ran: Ran, **changes: Any) -> str:
    rules = {
        "allowed": 1e-5,
        "dtype": "float32",
        "phase": "step",
        "networks": ["net1", "net2"],
        "zero_gradient": [],
        "exact_zero": [],
        "optimizer": "sgd",
        "still": ["net1.w"],
        "no_gradient": ["net1.w"],
    }
    verdict: str = gate.judge(ran, TRUE, rules | changes)["equivalence"]
    return verdict


def test_frozen_that_keeps_still_and_trained_that_moves_right_pass() -> None:
    assert judged(Ran({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})) == "pass"


def test_frozen_that_moves_by_the_least_bit_is_named() -> None:
    moved = float(np.nextafter(np.float32(10.0), np.float32(11.0)))
    said = judged(Ran({"net2.w": 1.0}, {"net1.w": moved, "net2.w": 9.0}))
    assert said == "net1.w is frozen and moved"


def test_gradient_of_what_is_frozen_is_named_unless_the_recipe_computes_it() -> None:
    ran = Ran({"net1.w": 1.0, "net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    assert judged(ran) == "a gradient for net1.w, which should have none"
    assert judged(ran, no_gradient=[]) == "pass"


def test_wasted_gradient_must_be_right_as_well() -> None:
    ran = Ran({"net1.w": 1.001, "net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    assert "net1.w: relative difference" in judged(ran, no_gradient=[])


def test_wrong_update_is_named() -> None:
    said = judged(Ran({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.1}))
    assert said.startswith("net2.w: the update is off by")
    assert judged(Ran({"net2.w": 1.0}, {"net2.w": 9.0})).startswith("updated ['net2.w'], should be")
