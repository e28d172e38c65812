"""Tell whether a run is to be believed, from the results of its canaries.

A canary is a program whose right answer is known, measured in the session itself. The results are
in a run's settings under ``canaries``, one `CanaryResult` each. Runs made before there were any
have none, and a result may lack any key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DISTRUST = (
    "This run is not to be believed: the harness misread what is known. Measure again; "
    "if it fails on a quiet machine too, the harness is at fault there."
)


def failed(settings: Mapping[str, Any]) -> list[str]:
    """Return a line for each canary that failed: framework, name, and what it measured."""
    return [
        f"{group}: {result.get('canary')}: {result.get('said')}"
        for group, results in _grouped(settings).items()
        for result in results
        if result.get("passed") is False
    ]


def summary(settings: Mapping[str, Any]) -> str | None:
    """Return one line on all canaries, such as ``torch ok, jax ok``; None where there are none.

    Canaries that could not be judged are named with the reason.
    """
    states = [f"{group} {_state(results)}" for group, results in _grouped(settings).items()]
    return ", ".join(states) or None


def _grouped(settings: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the canaries' results by framework, and by device and dtype if there are several.

    Args:
        settings: the ``settings`` of a run.

    Returns:
        A title such as ``torch`` → the results.
    """
    results = settings.get("canaries") or []
    names = ["framework"]
    names += [n for n in ("device", "dtype") if len({str(one.get(n)) for one in results}) > 1]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        group = " ".join(str(result.get(name)) for name in names)
        groups.setdefault(group, []).append(result)
    return groups


def _state(results: list[Mapping[str, Any]]) -> str:
    """Return the common state of some canaries, as ``ok``, ``FAILED`` or ``NOT TAKEN (reason)``.

    Canaries that could not be judged are named with the reason.
    """
    if any(result.get("passed") is False for result in results):
        return "FAILED"
    unjudged: dict[str, list[str]] = {}  # reason to the names of the canaries
    for result in results:
        if result.get("passed") is not True:
            unjudged.setdefault(str(result.get("said")), []).append(str(result.get("canary")))
    if sum(map(len, unjudged.values())) == len(results):
        return f"NOT TAKEN ({'; '.join(unjudged)})"
    rest = "; ".join(f"{', '.join(names)} not told: {why}" for why, names in unjudged.items())
    return f"ok ({rest})" if rest else "ok"
