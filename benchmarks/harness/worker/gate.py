"""Check a program's gradients and update against the float64 reference before it is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import select_prefix
from benchmarks.harness.protocol.equivalence import EPS, Arrays
from benchmarks.harness.protocol.messages import GateRules, GradientError
from benchmarks.harness.protocol.zero_elements import without_zeros

# Largest difference of an update, relative to the reference's. Adam turns a gradient near zero into
# a whole step of either sign, so a few elements differ.
UPDATE_TOLERANCE = {"sgd": 1e-3, "adam": 2e-2, "adamw": 2e-2}
WILD = "the update of an element whose true gradient is 0"  # in messages


class GateVerdict(TypedDict):
    """The part of `messages.PreparedCell` that the gate fills in."""

    equivalence: str  # "pass", or a sentence about the wrong tensor
    gradient_error: GradientError | None  # None where the program keeps no gradient


@dataclass(frozen=True)
class CallProgram:
    """Give a plain function the form of a program that the clock can time."""

    call: Callable[[], Any]
    wait: Callable[[Any], None]

    def prepare(self) -> None:
        """Do nothing: nothing precedes the call."""

    def run(self, _: None) -> Any:
        """Call the function."""
        return self.call()

    def reset(self) -> None:
        """Do nothing: the function changes no state."""


def judge(program: Any, true: Arrays, rules: GateRules) -> GateVerdict:
    """Compare the gradients and the update of a program's last run with the reference.

    Args:
        program: a framework's program that has run.
        true: the reference's arrays ``gradient/…``; ``zero/…``, which of their elements are 0 by
            mathematics; and for phase ``step`` ``updated/…`` and ``start/…``, the parameters after
            and before the step.
        rules: the bounds of the group and of the cell, together.

    Returns:
        "pass" or a sentence about the first wrong tensor, and the relative difference of each
        gradient.
    """
    gradients, is_step = program.gradients(), rules["phase"] == "step"
    problem, error = _incomplete(true, rules), None
    if problem:
        return {"equivalence": problem, "gradient_error": None}
    # plain SGD keeps no gradients after a step: there the update alone is compared
    if gradients or not is_step:
        problem, error = _check_gradients(gradients, true, rules)
    if is_step:
        problem = problem or _wrong_update(program.updates(), true, rules)
    return {"equivalence": problem or "pass", "gradient_error": error}


def unreturned(returned: Iterable[str], rules: GateRules) -> str | None:
    """Return a sentence about the gradients that a timed call lacks, or has too many of, or None.

    What is timed must return what is checked: a call that returns fewer gradients computes fewer,
    whatever a program's `gradients` comes up with afterwards. A step may return more, as its
    optimizer holds parameters that keep still.

    Args:
        returned: the parameters whose gradient (JAX, of a step: whose update) the call returned.
        rules: those of the cell; without ``gradients`` there is nothing to compare with.
    """
    if "gradients" not in rules:
        return None
    demanded, there = set(rules["gradients"]), set(returned)
    lacking, extra = sorted(demanded - there), sorted(there - demanded)
    if lacking:
        return f"the timed call returned no gradient for {', '.join(lacking)}"
    if extra and rules["phase"] != "step":
        return f"the timed call returned a gradient for {', '.join(extra)}, which has none"
    return None


def first_problem(equivalence: str, unreturned: str | None) -> str:
    """Return what is wrong with the gradients, else with what was returned, else "pass"."""
    return unreturned if unreturned and equivalence == "pass" else equivalence


def _incomplete(true: Arrays, rules: GateRules) -> str | None:
    """Return a sentence about what the reference lacks, or None: it could not judge a cell then.

    Args:
        true: the reference's arrays.
        rules: ``gradients`` are those that the cell must have; there are none in a canary's rules.
    """
    parts = ("gradient", "updated", "start") if rules["phase"] == "step" else ("gradient",)
    for part in parts:
        lacking = sorted(set(rules.get("gradients", ())) - set(select_prefix(true, part)))
        if lacking:
            return f"the float64 reference has no {part} of {', '.join(lacking)}"
    return None


def _check_gradients(
    gradients: Arrays, true: Arrays, rules: GateRules
) -> tuple[str | None, GradientError]:
    """Compare gradients with the reference.

    Returns:
        A sentence about the first wrong gradient, or None; and the relative differences of all.
    """
    zero = list(rules["zero_gradient"])
    if rules["phase"] == "step":
        # the gradient is computed back from the optimizer's moment, to which L2 decay was added:
        # rounding is left of an exact 0
        zero += rules["exact_zero"]
    excluded = set(rules["no_gradient"])
    difference = equivalence.compare(
        gradients,
        {n: array for n, array in select_prefix(true, "gradient").items() if n not in excluded},
        allowed=rules["allowed"],
        dtype=rules["dtype"],
        networks=rules["networks"],
        zero_gradient=tuple(zero),
        zero_elements=select_prefix(true, "zero"),
        zero_allowed=rules.get("zero_allowed"),
    )
    return difference.problem, {
        "relative": difference.relative,
        "tensor": difference.tensor,
        "parameters": dict(difference.parameters),
        "allowed": rules["allowed"],
    }


def larger_errors(error: GradientError, other: GradientError) -> GradientError:
    """Merge the gradient errors of two launches of a cell, and return the larger of each parameter.

    The worst tensor is that of the launch whose worst tensor is further off.
    """
    larger = error if error["relative"] > other["relative"] else other
    both = [one["parameters"] for one in (other, error)]
    each = {name: max(one.get(name, 0.0) for one in both) for name in both[0] | both[1]}
    return {**larger, "parameters": each}


def _wrong_update(updated: Arrays, true: Arrays, rules: GateRules) -> str | None:
    """Return a sentence about the first parameter that a step changed wrongly, or None.

    The change of a trained parameter is compared with the reference's, as far as the dtype
    resolves it. An element whose true gradient is 0 may move by the noise of its gradient, as the
    optimizer scales it, and no further. A frozen parameter must equal its start bit by bit.
    """
    expected, start = select_prefix(true, "updated"), select_prefix(true, "start")
    if set(updated) != set(start):
        return f"updated {sorted(updated)}, should be {sorted(start)}"
    for name in rules["still"]:
        if not np.array_equal(updated[name], start[name].astype(updated[name].dtype)):
            return f"{name} is frozen and moved"
    zero = select_prefix(true, "zero")
    # a zero gradient is rounding noise, which Adam scales up to whole steps
    noise = {*rules["zero_gradient"], *(n for n, mask in zero.items() if np.all(mask))}
    trained = expected.keys() - set(rules["still"])
    for name in trained - noise:
        # float64's noise is so small beside Adam's own epsilon that its steps vanish
        mask = zero.get(name) if rules["dtype"] == "float32" else None
        before, right, after = (without_zeros(a[name], mask) for a in (start, expected, updated))
        off = _norm(after - right)
        allowed = _update_tolerance(rules, right.size)
        limit = allowed * _norm(right - before) + EPS[rules["dtype"]] * _norm(before)
        if not off <= limit:
            return f"{name}: the update is off by {off:.2g} (norm), allowed {limit:.2g}"
    moved = [expected[name] - start[name] for name in trained]
    longest = _longest_step_of_noise(moved, rules)
    for name in sorted(trained & (noise | zero.keys())):
        mask = np.ones(start[name].shape, bool) if name in noise else zero[name]
        before, right, after = (a[name][mask] for a in (start, expected, updated))
        # written so that NaN, which is not within anything, is found
        if not np.all(np.abs(after - right) <= longest + EPS[rules["dtype"]] * np.abs(before)):
            off = float(np.max(np.abs(after - right)))
            return f"{name}: {WILD} is off by {off:.2g}, allowed {longest:.2g}"
    return None


def _update_tolerance(rules: GateRules, elements: int) -> float:
    """Return the largest difference of an update, relative to the reference's.

    In a lower precision than float32 the sign of a small element of the gradient is noise, and with
    it, by Adam, a whole step: an element that goes the wrong way is off by twice its own.

    Args:
        rules: those of the cell.
        elements: of the tensor, one of which may go the wrong way beside their share.
    """
    if "update_allowed" in rules:
        return rules["update_allowed"]
    if "wrong_signs" in rules:
        return 2.0 * float(np.sqrt(min(1.0, rules["wrong_signs"] + 1.0 / max(1, elements))))
    return UPDATE_TOLERANCE[rules["optimizer"]]


def _longest_step_of_noise(moved: Iterable[NDArray[Any]], rules: GateRules) -> float:
    """Return by how much the update of an element whose true gradient is 0 may be off.

    Adam divides a gradient by its own size, so noise moves an element by a whole step at most, and
    the reference may move it by one to the other side: by as much as it moves any element. SGD
    moves it by the noise itself, which is bounded by the norm of all gradients.

    Args:
        moved: the reference's update of each trained parameter.
        rules: those of the cell.
    """
    steps = list(moved)
    if rules["optimizer"] != "sgd":
        return 2.0 * max((float(np.max(np.abs(s), initial=0.0)) for s in steps), default=0.0)
    norm = float(np.sqrt(sum(_norm(step) ** 2 for step in steps)))
    if "zero_allowed" in rules:
        return rules["zero_allowed"] * norm
    long = rules["allowed"] > equivalence.ROUNDING
    return equivalence.zero_bound(rules["dtype"], long_sums=long) * norm


def _norm(array: NDArray[Any]) -> float:
    """Return the Euclidean norm of an array, computed in float64."""
    return float(np.linalg.norm(array.astype(np.float64)))
