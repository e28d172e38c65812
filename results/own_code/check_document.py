"""Put what was observed of a training step, and what is wrong with it, into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.own_code.check_schema import Checked, Finding, Observation

KIND = "check"


def checked(framework: str, version: str, seen: Observation, findings: list[Finding]) -> Checked:
    """Return the part of the document about one framework."""
    return {
        "framework": framework,
        "version": version,
        "findings": findings,
        "looked_at": looked_at(seen),
        "notes": notes(seen),
        "observation": seen,
    }


def answer(parts: Sequence[Checked], error: Mapping[str, Any] | None) -> str:
    """Return the result in one sentence for each framework."""
    if not parts:
        return f"Nothing was checked: {error['message']}" if error else "Nothing was checked."
    return " ".join(_answer(part) for part in parts)


def _answer(part: Checked) -> str:
    """Return the result of one framework."""
    found = part["findings"]
    if not found:
        return f"{part['framework']}: nothing found."
    codes = ", ".join(dict.fromkeys(one["code"] for one in found))
    return f"{part['framework']}: {_count(len(found), 'finding')}: {codes}."


def looked_at(seen: Observation) -> str:
    """Return what was looked at, in a sentence."""
    parameters = [one for one in seen["tensors"] if one["kind"] == "parameter"]
    buffers = len(seen["tensors"]) - len(parameters)
    frozen = sum(bool(one["frozen"]) for one in parameters)
    moved = sum(any(one["moved"]) for one in parameters)
    passes = seen["passes"]
    told = [
        f"{seen['steps']} steps",
        f"{_count(len(seen['losses']), 'loss', 'losses')} alone",
        f"{_count(len(parameters), 'parameter')} ({frozen} frozen, {moved} moved)",
        *([_count(buffers, "buffer")] if buffers else []),
        *([_passes(passes)] if passes else []),
        *([_optimizers(seen["stepped"])] if seen["stepped"] is not None else []),
    ]
    return "looked at " + ", ".join(told)


def _passes(passes: list[int]) -> str:
    """Return how many backward passes a step runs."""
    least, most = min(passes), max(passes)
    return (
        f"{_count(most, 'backward pass', 'backward passes')} in a step"
        if least == most
        else (f"{least} to {most} backward passes in a step")
    )


def _optimizers(names: list[str]) -> str:
    """Return which optimizers stepped."""
    return f"steps of {', '.join(names)}" if names else "no step of an optimizer"


def notes(seen: Observation) -> list[str]:
    """Return what the reader should know, and is no finding."""
    told = list(seen.get("notes") or ())
    parameters = [one for one in seen["tensors"] if one["kind"] == "parameter"]
    moved = any(any(one["moved"]) for one in parameters)
    if not moved and not seen["first_nonfinite"]:
        told.append(
            f"No parameter moved in {seen['steps']} steps: if the step accumulates gradients or "
            "warms up, give --steps N with enough of them"
        )
    return told


def _count(number: int, one: str, several: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else several or one + 's'}"
