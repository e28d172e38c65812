"""Check that what was read from a file is a run or a record: its keys, types and outcomes.

`results.records.schema` has the same as types.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from results.records.record import CELL_FIELDS, ESTIMATE_KEYS, OUTCOMES, RECORD_KEYS, SCHEMA

# The keys of a run's JSON beside its schema, and their types; see `schema.RunFile`.
RUN_KEYS: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "started": str,
    "finished": (str, type(None)),
    "interrupted": bool,
    "settings": dict,
    "machine": dict,
    "records": list,
}


def is_number(value: Any) -> bool:
    """Return whether a value is a number that a float holds: JSON's 1e400 is read as infinite."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number_or_null(value: Any) -> bool:
    return value is None or is_number(value)


def _is_estimate(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in value and _is_number_or_null(value[key]) for key in ESTIMATE_KEYS
    )


def _is_gradient_error(value: Any) -> bool:
    if not isinstance(value, dict) or not {"relative", "tensor"} <= value.keys():
        return False
    parameters = value.get("parameters", {})  # older runs lack it
    return (
        _is_number_or_null(value["relative"])
        and _is_text(value["tensor"])
        and isinstance(parameters, dict)
        and all(map(_is_number_or_null, parameters.values()))
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_reasons(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


# A check of a value, and its name in messages.
_Rule = tuple[Callable[[Any], bool], str]
_NUMBER: _Rule = (is_number, "a number")
_TEXT: _Rule = (_is_text, "a string")
_ESTIMATE: _Rule = (_is_estimate, f"an object with numbers for {', '.join(ESTIMATE_KEYS)}")
_REASONS: _Rule = (_are_reasons, "an object of reasons, all strings")

_NEVER_NULL: dict[str, _Rule] = {
    "schema": _NUMBER,
    **dict.fromkeys(CELL_FIELDS, _TEXT),
    "family": _TEXT,
    "outcome": (lambda value: value in OUTCOMES, f"one of {', '.join(OUTCOMES)}"),
    "rerun": _TEXT,
    "missing": _REASONS,
}

_OR_NULL: dict[str, _Rule] = {
    **dict.fromkeys(RECORD_KEYS, _NUMBER),  # all keys that are not named below or above
    **dict.fromkeys(("baseline", "verdict", "equivalence"), _TEXT),
    **dict.fromkeys(("seconds", "ratio"), _ESTIMATE),
    "steady": (lambda value: isinstance(value, bool), "true or false"),
    "gradient_error": (
        _is_gradient_error,
        "an object with a number 'relative', a name 'tensor' and numbers for 'parameters'",
    ),
}


def record_problem(record: Any) -> str | None:
    """Return in a few words why a value is not a valid record; None when it is one.

    Unknown keys are no problem: a later version may have added them.
    """
    if not isinstance(record, dict):
        return "it is not an object"
    absent = [key for key in RECORD_KEYS if key not in record]
    if absent:
        return f"it lacks {', '.join(absent)}"
    for key in RECORD_KEYS:
        fits, expected = _NEVER_NULL.get(key, _OR_NULL[key])
        nullable = key not in _NEVER_NULL
        if not fits(record[key]) and not (nullable and record[key] is None):
            return f"its {key!r} is not {expected}{' or null' if nullable else ''}"
    return None if _are_texts(record.get("notes", [])) else "its 'notes' is not a list of strings"


def document_problem(document: Any) -> str | None:
    """Return why the contents of a JSON file are not a valid run; None when they are one.

    The text is meant to follow the name of the file in a message.
    """
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
        names = ", ".join(wrong) or "machine.id"
        return f"is not a whole run: {names} absent or of the wrong type; measure the run again"
    for index, record in enumerate(document["records"]):
        problem = record_problem(record)
        if problem:
            return f"holds a broken record, number {index}: {problem}; measure the run again"
    return None
