"""Whether what was read from a file has the shape of ours: keys, types, known outcomes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from results.records.record import CELL_FIELDS, ESTIMATE_KEYS, OUTCOMES, RECORD_KEYS, SCHEMA

# What a run's JSON holds beside its schema.
RUN_KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str, "started": str, "finished": (str, type(None)), "interrupted": bool,
    "settings": dict, "machine": dict, "records": list,
}  # fmt: skip


def is_number(value: Any) -> bool:
    """One that a float holds: 1e400 is JSON too, and read as infinite."""
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return whole and abs(value) <= sys.float_info.max


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _estimate(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in value and (value[key] is None or is_number(value[key])) for key in ESTIMATE_KEYS
    )


def _numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(one is None or is_number(one) for one in value.values())


def _gradient_error(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"relative", "tensor"} <= value.keys()
        and (value["relative"] is None or is_number(value["relative"]))
        and _text(value["tensor"])
        and _numbers(value.get("parameters", {}))  # older runs lack it
    )


def _reasons(value: Any) -> bool:
    return isinstance(value, dict) and all(_text(reason) for reason in value.values())


_Rule = tuple[Callable[[Any], bool], str]
_NUMBER: _Rule = (is_number, "a number")
_TEXT: _Rule = (_text, "a string")
_ESTIMATE: _Rule = (_estimate, f"an object with numbers for {', '.join(ESTIMATE_KEYS)}")
_REASONS: _Rule = (_reasons, "an object of reasons, all strings")

_NEVER_NULL: dict[str, _Rule] = {
    "schema": _NUMBER,
    **dict.fromkeys(CELL_FIELDS, _TEXT),
    "family": _TEXT,
    "outcome": (lambda value: value in OUTCOMES, f"one of {', '.join(OUTCOMES)}"),
    "rerun": _TEXT,
    "missing": _REASONS,
}

_OR_NULL: dict[str, _Rule] = {
    **dict.fromkeys(RECORD_KEYS, _NUMBER),  # all that is not named below or above
    **dict.fromkeys(("baseline", "verdict", "equivalence"), _TEXT),
    **dict.fromkeys(("seconds", "ratio"), _ESTIMATE),
    "steady": (lambda value: isinstance(value, bool), "true or false"),
    "gradient_error": (
        _gradient_error,
        "an object with a number 'relative', a name 'tensor' and numbers for 'parameters'",
    ),
}


def record_problem(record: Any) -> str | None:
    """What is wrong with the record, in a few words, or None when it has our shape.

    Keys that we do not know are no problem: a later version may have added them.
    """
    if not isinstance(record, dict):
        return "it is not an object"
    absent = [key for key in RECORD_KEYS if key not in record]
    if absent:
        return f"it lacks {', '.join(absent)}"
    for key in RECORD_KEYS:
        fits, wanted = _NEVER_NULL.get(key, _OR_NULL[key])
        nullable = key not in _NEVER_NULL
        if not fits(record[key]) and not (nullable and record[key] is None):
            return f"its {key!r} is not {wanted}{' or null' if nullable else ''}"
    return None


def document_problem(document: Any) -> str | None:
    """What keeps the parsed JSON from being a run of ours, to follow the name of its file."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        return "is JSON, but not a run of this suite; give a file that a run has written"
    if schema > SCHEMA:
        return (
            f"was written by a newer version (schema {schema}; this one reads up to {SCHEMA}); "
            "upgrade this suite to read it"
        )
    wrong = [name for name, kind in RUN_KEYS.items() if not isinstance(document.get(name), kind)]
    if wrong or not isinstance(document["machine"].get("id"), str):
        what = ", ".join(wrong) or "machine.id"
        return f"is not a whole run: {what} absent or of the wrong type; measure the run again"
    for index, record in enumerate(document["records"]):
        problem = record_problem(record)
        if problem:
            return f"holds a broken record, number {index}: {problem}; measure the run again"
    return None
