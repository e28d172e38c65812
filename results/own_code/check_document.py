"""Put what was observed of a training step, and what is wrong with it, into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.own_code.check_schema import Checked, Finding, Observation

KIND = "check"


def checked(
    framework: str, version: str, observation: Observation, findings: list[Finding]
) -> Checked:
    """Return the part of the document about one framework."""
    return {
        "framework": framework,
        "version": version,
        "findings": findings,
        "looked_at": looked_at(observation),
        "notes": notes(observation),
        "observation": observation,
    }


def answer(parts: Sequence[Checked], error: Mapping[str, Any] | None) -> str:
    """Return the result in one sentence for each framework."""
    if not parts:
        return f"Nothing was checked: {error['message']}" if error else "Nothing was checked."
    return " ".join(_answer(part) for part in parts)


def _answer(part: Checked) -> str:
    """Return the result of one framework."""
    findings = part["findings"]
    if not findings:
        return f"{part['framework']}: nothing found."
    codes = ", ".join(dict.fromkeys(one["code"] for one in findings))
    return f"{part['framework']}: {_count(len(findings), 'finding')}: {codes}."


def looked_at(observation: Observation) -> str:
    """Return what was looked at, in a sentence."""
    parameters = [one for one in observation["tensors"] if one["kind"] == "parameter"]
    buffers = len(observation["tensors"]) - len(parameters)
    frozen = sum(bool(one["frozen"]) for one in parameters)
    moved = sum(any(one["moved"]) for one in parameters)
    passes = observation["passes"]
    counts = [
        f"{observation['steps']} steps",
        f"{_count(len(observation['losses']), 'loss', 'losses')} alone",
        f"{_count(len(parameters), 'parameter')} ({frozen} frozen, {moved} moved)",
        *([_count(buffers, "buffer")] if buffers else []),
        *([_passes(passes)] if passes else []),
        *([_optimizers(observation["stepped"])] if observation["stepped"] is not None else []),
    ]
    return "looked at " + ", ".join(counts)


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


def notes(observation: Observation) -> list[str]:
    """Return what the reader should know, and is no finding."""
    sentences = list(observation.get("notes") or ())
    parameters = [one for one in observation["tensors"] if one["kind"] == "parameter"]
    moved = any(any(one["moved"]) for one in parameters)
    if not moved and not observation["first_nonfinite"]:
        sentences.append(
            f"No parameter moved in {observation['steps']} steps: if the step accumulates "
            "gradients or warms up, give --steps N with enough of them"
        )
    return sentences


def _count(number: int, one: str, several: str = "") -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else several or one + 's'}"
