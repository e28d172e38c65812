"""Whether a run is to be believed: what its canaries said, in a line each.

A canary is a program whose right answer is known, measured in the session itself. They stand in a
run's settings under ``canaries``, one dictionary each: ``framework``, ``device``, ``dtype``,
``canary`` (its name), ``passed`` (true, false, or null where it could not be told) and ``said``.
Runs made before there were any have none. What a file holds may be of any shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DISTRUST = (
    "This run is not to be believed: the harness misread what is known. Measure again; "
    "if it fails on a quiet machine too, the harness is at fault there."
)


def failed(settings: Mapping[str, Any]) -> list[str]:
    """A line for each canary that failed."""
    return [
        f"{whose}: {one.get('canary')}: {one.get('said')}"
        for whose, ones in _grouped(settings).items()
        for one in ones
        if one.get("passed") is False
    ]


def summary(settings: Mapping[str, Any]) -> str | None:
    """One line on all of them: ``torch ok, jax ok``; what could not be told has its reason.

    None where there are none.
    """
    told = [f"{whose} {_state(ones)}" for whose, ones in _grouped(settings).items()]
    return ", ".join(told) or None


def _grouped(settings: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Framework → its canaries; device and dtype are named too where there are several."""
    found = settings.get("canaries")
    ones = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    names = ["framework"]
    names += [n for n in ("device", "dtype") if len({str(one.get(n)) for one in ones}) > 1]
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for one in ones:
        grouped.setdefault(" ".join(str(one.get(name)) for name in names), []).append(one)
    return grouped


def _state(ones: list[Mapping[str, Any]]) -> str:
    if any(one.get("passed") is False for one in ones):
        return "FAILED"
    untold: dict[str, list[str]] = {}
    for one in ones:
        if one.get("passed") is not True:
            untold.setdefault(str(one.get("said")), []).append(str(one.get("canary")))
    if sum(map(len, untold.values())) == len(ones):
        return f"NOT TAKEN ({'; '.join(untold)})"
    left = "; ".join(f"{', '.join(names)} not told: {why}" for why, names in untold.items())
    return f"ok ({left})" if left else "ok"
