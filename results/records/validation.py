"""Check what was read from a run's file, once, before anything else looks at it.

The tables below say of each key what it may hold; `results.records.schema` has the same as types.
Times are bounded by 31 years, ratios by 1e12, so that no later step can overflow.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from results.records.record import (
    LIMIT_FIGURES,
    OUTCOMES,
    SCHEMA,
    VERDICTS,
    AnyRecord,
    Record,
    sample_key,
)
from results.records.rules import (
    Rule,
    also,
    anything,
    fields,
    flag,
    list_of,
    mapping_of,
    name,
    number,
    one_of,
    or_null,
    scalar,
    text,
)

RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}", re.ASCII)
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LEAST_SECONDS, MOST_SECONDS = 1e-12, 1e9  # of one call
MOST_RATIO = 1e12
ROUNDING = 1e-9  # relative: by so much an estimate may lie outside of its interval


def _is_time(value: Any) -> bool:
    """Return whether a value is a time of ISO 8601, with a year of four digits."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).year > 0
    except ValueError:
        return False


def _order(value: Mapping[str, Any], place: str) -> str | None:
    """Return what is wrong with the order of an interval's ends and its estimate; None if nothing.

    Args:
        value: an estimate whose parts are numbers or null.
        place: where it stands in the file.
    """
    low, estimate, high = (value[key] for key in ("low", "estimate", "high"))
    if low is None and high is None:
        return None
    if None in (low, estimate, high):
        return f"{place} has half an interval; allowed: low and high, or null for both"
    slack = ROUNDING * estimate
    if low <= estimate + slack and estimate <= high + slack and low <= high:
        return None
    return (
        f"{place} has {low} ≤ {estimate} ≤ {high}, which is wrong; allowed: low ≤ estimate ≤ high"
    )


def _estimate(low: float, high: float) -> Rule:
    """Return the rule for an `Estimate` whose figures lie in a range."""
    figure = number(low, high)
    parts = {
        "estimate": figure,
        "low": or_null(figure),
        "high": or_null(figure),
        "confidence": number(0, 1, above=True),
        "launches": number(0, 10**6, whole=True),
    }
    return also(fields(parts), _order)


SECONDS = number(LEAST_SECONDS, MOST_SECONDS)
SPENT = number(0, MOST_SECONDS)  # a time that may be none at all
COUNT = number(0, 2**53, whole=True)  # also exact as a float
BYTES = number(0, 2**62, whole=True)
RATIO = number(1 / MOST_RATIO, MOST_RATIO)
ERROR = number(0, 1e200)  # of a gradient, relative
STARTED = scalar("a time of ISO 8601, such as 2026-11-21T01:02:03+00:00", _is_time)

# figure of a record → its rule; each may be null
FIGURE_RULES: dict[str, Rule] = {
    "seconds": _estimate(LEAST_SECONDS, MOST_SECONDS),
    "ratio": _estimate(1 / MOST_RATIO, MOST_RATIO),
    "verdict": one_of(VERDICTS),
    "predicted_ratio": RATIO,
    "flops": number(0, 1e30),
    "limit_ratio": RATIO,
    "limit_seconds": number(LEAST_SECONDS, MOST_SECONDS),
    "limit_share": number(0, 1e6),
    "bytes": BYTES,
    "operations": list_of(
        fields({"name": text, "count": COUNT, "seconds": SPENT, "flops": BYTES, "bytes": BYTES})
    ),
    "peak_share": number(0, 1e6),
    "trace_seconds": SPENT,
    "compile_seconds": SPENT,
    "first_call_seconds": SPENT,
    "steady": flag,
    "residual_bytes": BYTES,
    "peak_bytes": BYTES,
    "optimizer_state_bytes": BYTES,
    "gradient_error": fields(
        {"relative": or_null(ERROR), "tensor": text},
        {"parameters": mapping_of(or_null(ERROR)), "allowed": ERROR},  # older runs lack them
    ),
    "equivalence": text,
}

_COMMUNICATION = fields(
    dict.fromkeys(("ranks", "reductions"), COUNT)
    | dict.fromkeys(("reduced_bytes", "predicted_bytes"), BYTES),
    {"gatherings": COUNT}  # where parameters are sharded
    | dict.fromkeys(("gathered_bytes", "predicted_gathered_bytes"), BYTES)
    | dict.fromkeys(("compute_seconds", "exchange_seconds"), or_null(SPENT))
    | {"predicted_ratio": or_null(RATIO)},
)

RECORD: Rule = fields(
    {
        "schema": number(1, SCHEMA, whole=True),
        **dict.fromkeys(("kind", "scenario", "variant", "size"), name()),
        **dict.fromkeys(("framework", "mode"), name(50)),  # they stand in names of files
        **dict.fromkeys(("strategy", "phase", "device", "dtype"), name()),
        "family": text,
        "baseline": or_null(name()),
        **{k: or_null(rule) for k, rule in FIGURE_RULES.items() if k not in LIMIT_FIGURES},
        "outcome": one_of(OUTCOMES),
        "rerun": text,
        "missing": mapping_of(text),
    },
    {
        "precision_mode": name(),
        "notes": list_of(text),
        "node": text,
        "communication": _COMMUNICATION,
        **{key: or_null(FIGURE_RULES[key]) for key in LIMIT_FIGURES},
    },
)

_CANARY = fields(
    {},
    {
        **dict.fromkeys(("framework", "device", "dtype", "canary", "said", "node"), text),
        "passed": or_null(flag),
        "ratio": or_null(_estimate(1 / MOST_RATIO, MOST_RATIO)),
        "tries": COUNT,
    },
)
_FLOW = mapping_of(mapping_of(mapping_of(text)))  # framework → loss → network → state
_SCENARIO = fields({}, {"summary": text, "sizes": mapping_of(mapping_of(anything))})
_NODE = fields({}, {"units": list_of(text)})
_CLUSTER = fields(
    {},
    {
        **dict.fromkeys(("session", "backend"), text),
        "refused": mapping_of(text),  # node → why it got nothing more
        "nodes": mapping_of(_NODE),
    },
)

# setting → its rule; each may be absent, as in older runs, or null
SETTING_RULES: dict[str, Rule] = {
    "launches": number(1, 10**6, whole=True),
    "cell_seconds": SPENT,
    "seed": number(-1e300, 1e300, whole=True),
    "precision": number(0, 1e6, above=True),
    "most_launches": number(1, 10**6, whole=True),
    "group_seconds": SPENT,
    "worker_memory": BYTES,
    "code": text,
    "memory": flag,
    "arguments": list_of(text),
    "scenarios": mapping_of(_SCENARIO),
    "canaries": list_of(_CANARY),
    "frozen_seconds": mapping_of(list_of(SPENT)),
    "product_seconds": mapping_of(list_of(SPENT)),
    "wall_seconds": SPENT,
    "spent_seconds": mapping_of(SPENT),
    "worker_seconds": SPENT,
    "flows": mapping_of(_FLOW),
    "stopped": mapping_of(text),
    "alpha": number(0, 1, above=True),
    "margins": mapping_of(number(0, 1e6, above=True)),
    "resumed": list_of(text),
    "cluster": _CLUSTER,
}

MACHINE = fields(
    {
        "id": scalar(
            "letters, digits, '.', '_' and '-', as in the name of a folder",
            lambda value: isinstance(value, str) and bool(FOLDER_NAME.fullmatch(value)),
        )
    },
    {
        **dict.fromkeys(("cpu", "gpu", "platform", "python", "commit"), or_null(text)),
        **dict.fromkeys(("torch", "jax", "jaxlib", "flax", "optax", "numpy"), or_null(text)),
        "cores": or_null(COUNT),
        "dirty": or_null(flag),
        "memory_bytes": or_null(BYTES),
        "load": or_null(list_of(number(0, 1e9))),
        "stable": list_of(text),
        "missing": mapping_of(text),
    },
)

# The keys of a run's JSON beside its schema, and their rules; see `schema.RunFile`.
RUN_RULES: dict[str, Rule] = {
    "id": scalar(
        "an id such as 20261121T010203-ab12cd",
        lambda value: isinstance(value, str) and bool(RUN_ID.fullmatch(value)),
    ),
    "started": STARTED,
    "finished": or_null(STARTED),
    "interrupted": flag,
    "settings": fields({}, {key: or_null(rule) for key, rule in SETTING_RULES.items()}),
    "machine": MACHINE,
    "records": list_of(RECORD),
}
_RUN = fields(RUN_RULES)


def record_problem(record: Any) -> str | None:
    """Return in a few words why a value is not a valid record; None when it is one.

    Unknown keys are no problem: a later version may have added them.
    """
    return RECORD(record, "")


def fitting(record: AnyRecord) -> Record:
    """Return a copy of a record that can be saved: a figure out of its range is null, with why.

    What a run has measured is never lost for a figure that cannot be right.
    """
    problems = {
        key: rule(record[key], key) for key, rule in FIGURE_RULES.items() if record[key] is not None
    }
    wrong = {key: problem for key, problem in problems.items() if problem}
    copy: Any = {**record, **dict.fromkeys(wrong)}
    return copy | {"missing": {**record["missing"], **wrong}} if wrong else copy


def document_problem(document: Any) -> str | None:
    """Return why the contents of a JSON file are not a valid run; None when they are one.

    The text is meant to follow the name of the file in a message.
    """
    if isinstance(document, dict) and document.get("kind") == "regression":
        return "is a comparison of two versions, and no run; see it with: cascade-bench show FILE"
    if isinstance(document, dict) and document.get("kind") in ("own_code", "check"):
        told = "is what came out of a case of your own, and no run"
        return f"{told}; see it with: cascade-bench show FILE"
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        return "is JSON, but not a run of this suite; give a file that a run has written"
    if schema > SCHEMA:
        return (
            f"was written by a newer version (schema {schema:.6g}; this one reads up to {SCHEMA}); "
            "upgrade this suite to read it"
        )
    problem = _RUN(document, "") or _repeated(document["records"])
    return (
        f"is no valid run: {problem}; measure the run again, or move its file away"
        if problem
        else None
    )


def _repeated(records: list[AnyRecord]) -> str | None:
    """Return that two records are of one cell, and which; None where every cell has one record."""
    counts = Counter(map(sample_key, records))
    twice = next((key for key, count in counts.items() if count > 1), None)
    return f"{counts[twice]} records are of one cell, {twice}" if twice else None


def samples_problem(seconds: Any) -> str | None:
    """Return what is wrong with a row of times, a NumPy array; None where all are in range."""
    if not len(seconds):
        return "a launch without samples"
    low, high = float(seconds.min()), float(seconds.max())
    if math.isfinite(low + high) and low >= LEAST_SECONDS and high <= MOST_SECONDS:
        return None
    return f"times from {low:g} to {high:g} s; allowed: {LEAST_SECONDS:g} to {MOST_SECONDS:g} s"
