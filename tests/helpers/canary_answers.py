"""Make up what the launches of a worker answer to the canaries, and judge it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness.measurement import canary_verdicts


def answer(once: float = 1e-3, ratio: float = 2.0, late: float = 1.005, call: float = 2e-4) -> Any:
    """Return the answers of a made-up launch.

    Args:
        once: seconds of the work.
        ratio: how many times as long work done twice takes.
        late: how many times as long a sleep reads.
        call: seconds of a call without its work.
    """
    unwaited = [
        {"seconds": 1e-4, "caught": True, "asked": 1e-4},
        {"seconds": 4e-3, "caught": False, "asked": 4e-3},
    ]
    return {
        "samples": {
            "call": [call] * 12,
            "once": [call + once] * 12,
            "twice": [call + once * ratio] * 12,
            "sleep": [late * 2.06e-3],
        },
        "products": 3,
        "slept": [2.06e-3],
        "early": [],
        "synchronous": None,
        "unwaited": unwaited,
        "paused": [],
        "waited": 0.0,
        "gate": {"right": "pass", "wrong": "w: relative difference 0.001"},
    }


def verdict(canary: str, launches: Sequence[Any]) -> dict[str, Any]:
    """Return the verdict on a canary with these answers of its launches."""
    return next(one for one in canary_verdicts.judge(launches) if one["canary"] == canary)


def passed(canary: str, launches: Sequence[Any]) -> Any:
    """Return whether a canary passes with these answers of its launches: true, false or null."""
    return verdict(canary, launches)["passed"]
