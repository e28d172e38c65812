"""Gradients gate timing: what was run is held to the float64 reference before the clock starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import under
from benchmarks.harness.protocol.equivalence import EPS, Arrays

# Adam turns a gradient near zero into a whole step of either sign, so a few elements differ
UPDATE_TOLERANCE = {"sgd": 1e-3, "adam": 2e-2, "adamw": 2e-2}


@dataclass(frozen=True)
class CallProgram:
    """A plain call in the form that the clock takes."""

    call: Callable[[], Any]
    wait: Callable[[Any], None]

    def prepare(self) -> None: ...

    def run(self, _: None) -> Any:
        return self.call()

    def reset(self) -> None: ...


def judge(program: Any, true: Arrays, rules: Mapping[str, Any]) -> dict[str, Any]:
    """Hold the program's last run to the reference.

    ``true`` holds ``gradient/…``, ``updated/…`` and ``start/…``; ``rules`` what is ``allowed``, the
    dtype, phase, networks, zero gradients (by rounding, and exact) and optimizer, and the
    parameters that must keep ``still`` and those that must have ``no_gradient``. Returns
    ``equivalence`` ("pass", or what is wrong) and ``gradient_error`` (``relative`` of the worst
    ``tensor``, and of every one of the ``parameters``; None where the program keeps none).
    """
    gradients = program.gradients()
    problem, error = None, None
    if gradients or rules["phase"] != "step":
        expected, zero = under(true, "gradient"), list(rules["zero_gradient"])
        if rules["phase"] == "step":
            # recovered from a moment that L2 was added to, an exact 0 is rounding
            zero += rules["exact_zero"]
        difference = equivalence.compare(
            gradients,
            {n: a for n, a in expected.items() if n not in set(rules["no_gradient"])},
            allowed=rules["allowed"],
            dtype=rules["dtype"],
            networks=rules["networks"],
            zero_gradient=tuple(zero),
        )
        problem = difference.problem
        error = {
            "relative": difference.relative,
            "tensor": difference.tensor,
            "parameters": dict(difference.parameters),
        }
    if rules["phase"] == "step":
        problem = problem or _wrong_update(program.updates(), true, rules)
    return {"equivalence": problem or "pass", "gradient_error": error}


def worst(error: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Of two gradient errors the larger one, and for each parameter the larger of its two."""
    larger = error if error["relative"] > known["relative"] else known
    both = [one["parameters"] for one in (known, error)]
    each = {name: max(one.get(name, 0.0) for one in both) for name in both[0] | both[1]}
    return {**larger, "parameters": each}


def _wrong_update(updated: Arrays, true: Arrays, rules: Mapping[str, Any]) -> str | None:
    """One step's change of each parameter against the reference's, as far as the dtype resolves.

    What must keep still is held to its start bit by bit.
    """
    expected, start = under(true, "updated"), under(true, "start")
    if set(updated) != set(start):
        return f"updated {sorted(updated)}, should be {sorted(start)}"
    for name in rules["still"]:
        if not np.array_equal(updated[name], start[name].astype(updated[name].dtype)):
            return f"{name} is frozen and moved"
    allowed = UPDATE_TOLERANCE[rules["optimizer"]]
    for name in expected.keys() - set(rules["still"]) - set(rules["zero_gradient"]):
        # a zero gradient is rounding noise, which Adam scales up to whole steps
        change = expected[name] - start[name]
        off = _norm(updated[name] - expected[name])
        limit = allowed * _norm(change) + EPS[rules["dtype"]] * _norm(start[name])
        if not off <= limit:
            return f"{name}: the update is off by {off:.2g} (norm), allowed {limit:.2g}"
    return None


def _norm(array: NDArray[Any]) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))
