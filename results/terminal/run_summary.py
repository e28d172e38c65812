"""What a run is in short, as plain data: for ``cascade-bench show`` and for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.records import canary_status
from results.records.record import CELL_FIELDS, OUTCOMES, SCHEMA, AnyRecord, Run, finite, plain
from results.records.validation import is_number
from results.statistics.verdict import VERDICTS


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


# Of a run's settings, those that say how was measured, and what each must be.
SETTINGS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("launches", "cell_seconds", "seed", "precision"), is_number),
    "memory": lambda value: isinstance(value, bool),
    **dict.fromkeys(("alpha", "wall_seconds"), is_number),
    "margins": _all(is_number),
    "stopped": _all(_text),
    "arguments": _texts,
}


def settings(run: Run) -> dict[str, Any]:
    """Each of `SETTINGS`; null where the file does not have it, or has it in another shape."""
    found = {name: run.settings.get(name) for name in SETTINGS}
    return {name: value if SETTINGS[name](value) else None for name, value in found.items()}


def document(run: Run) -> dict[str, Any]:
    """The run as one object that strict JSON can hold; its keys are stable.

    ``schema``; ``run``, ``started``, ``finished``, ``interrupted``; ``machine`` as it was saved;
    ``settings``; ``counts`` of ``outcomes`` and ``verdicts``; ``canaries`` with ``summary``,
    ``failed`` (a line each) and ``taken``, as saved; ``cells``, the records as they are; and
    ``frameworks``, a pair each, with ``ratio`` = jax over torch. What is not known is null.
    """
    found: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "run": run.id,
            "started": run.started,
            "finished": run.finished,
            "interrupted": run.interrupted,
            "machine": run.machine,
            "settings": settings(run),
            "counts": {"outcomes": counts(run, "outcome"), "verdicts": counts(run, "verdict")},
            "canaries": {
                "summary": canary_status.summary(run.settings),
                "failed": canary_status.failed(run.settings),
                "taken": run.settings.get("canaries"),
            },
            "cells": [finite(record) for record in run.records],
            "frameworks": [_pair(pair) for pair in framework_ratios(run.records, run.samples)],
        }
    )
    return found


def counts(run: Run, key: str) -> dict[str, int]:
    """How many cells came to each ``outcome``, or have each ``verdict``; 0 where none."""
    words = {"outcome": OUTCOMES, "verdict": VERDICTS}[key]
    records: Sequence[AnyRecord] = run.records
    found = Counter(record[key] for record in records)
    return {word: found[word] for word in words}


def _pair(pair: FrameworkRatio) -> dict[str, Any]:
    torch: AnyRecord = pair.torch
    cell = {name: torch[name] for name in CELL_FIELDS if name not in ("framework", "mode")}
    modes = {"torch_mode": pair.torch["mode"], "jax_mode": pair.jax["mode"]}
    return cell | modes | {"equal_modes": pair.equal_modes, "ratio": pair.ratio}
