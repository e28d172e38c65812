"""Check a comparison that was read from a file, once, before anything else looks at it.

The table below says of each key of `results.regression.schema.Document` what it may hold, as
`results.records.validation` does for a run. Numbers are bounded so that drawing the conclusions
takes seconds and cannot overflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from results.records import storage
from results.records.record import CELL_FIELDS, IEEE, cell_fields
from results.records.rules import (
    Rule,
    also,
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
from results.records.validation import COUNT, MACHINE, RUN_RULES, SECONDS, SPENT, STARTED
from results.regression import counts
from results.regression.decision import WALL
from results.regression.document import KIND, SCHEMA, VERDICT_OF_STATE
from results.regression.schema import Document

METRICS = (WALL, "cpu")
SIDES = ("base", "head")
FEWEST_CONTROLS = 2  # launch pairs, for an interval
OF_A_PAIR = 3  # times of a cell in a launch pair: base, head, and base again
MOST_PAIRS, MOST_LOOKS = 200, 20  # a session plans 80 launch pairs and 6 looks at most


def _rising(value: Sequence[int], place: str) -> str | None:
    """Return that numbers of launch pairs do not ascend, or are too many; None if all is well."""
    if len(value) <= MOST_LOOKS and all(a < b for a, b in pairwise(value)):
        return None
    return f"{place} is {value!r:.60}; allowed: at most {MOST_LOOKS} numbers, each above the last"


def _both_sides(value: Mapping[str, Any], place: str) -> str | None:
    """Return that there are other sides than base and head; None if not."""
    other = [key for key in value if key not in SIDES]
    return f"{place} has {other[0]!r:.60}; allowed: {' and '.join(SIDES)}" if other else None


def _of_one_length(value: Mapping[str, Sequence[Any]], place: str) -> str | None:
    """Return that a cell has wall times and CPU times of different launch pairs; None if not."""
    counts = {metric: len(rows) for metric, rows in value.items()}
    if not counts or (WALL in counts and set(counts) <= set(METRICS) and _one(counts.values())):
        return None
    return f"{place} has {counts!r:.60}; allowed: {WALL}, and as many rows of {METRICS[1]}"


def _control_last(value: Mapping[str, Sequence[Any]], place: str) -> str | None:
    """Return that a time is null that must be there; None if not.

    Only base against base may be missing, and only in the last launch pairs.
    """
    for metric, rows in value.items():
        first = next((i for i, row in enumerate(rows) if row[-1] is None), len(rows))
        for index, row in enumerate(rows):
            if None in row[:-1] or (index > first and row[-1] is not None):
                return (
                    f"{place}.{metric}[{index}] is {row!r:.60}; allowed: null for base "
                    "again alone, from some launch pair to the last"
                )
        if rows and first < FEWEST_CONTROLS:
            return (
                (
                    f"{place}.{metric} has {first} launch pairs with base again; allowed: at least "
                    f"{FEWEST_CONTROLS}, or all"
                )
                if first < len(rows)
                else None
            )
    return None


def _shares(value: Sequence[float], place: str) -> str | None:
    """Return that shares of the session's time fall from look to look, or are too many."""
    if len(value) <= MOST_LOOKS and list(value) == sorted(value):
        return None
    return f"{place} is {value!r:.60}; allowed: at most {MOST_LOOKS} numbers, none below the last"


def _known_counts(value: Mapping[str, Any], place: str) -> str | None:
    """Return that something is counted that this suite has no name for; None if not."""
    other = [key for key in value if key not in counts.METRICS]
    return f"{place} has {other[0]!r:.60}; allowed: {', '.join(counts.METRICS)}" if other else None


def _one(values: Any) -> bool:
    """Return whether all values are the same, of which there is at least one."""
    return len(set(values)) == 1


_LOOKS: Rule = also(list_of(number(2, MOST_PAIRS, whole=True)), _rising)
_ROW: Rule = also(
    list_of(or_null(SECONDS)),
    lambda value, place: (
        None
        if len(value) == OF_A_PAIR
        else f"{place} has {len(value)} times; allowed: {OF_A_PAIR}, of base, head and base again"
    ),
)
_PAIR: Rule = also(
    list_of(number(0, 1e30)),
    lambda value, place: (
        None
        if len(value) == len(SIDES)
        else f"{place} has {len(value)} counts; allowed: 2, of {' and '.join(SIDES)}"
    ),
)
_VERSION = fields(
    {"label": text, "versions": mapping_of(or_null(text))},
    {
        "name": text,
        "commit": or_null(text),
        "changed": COUNT,
        "python": or_null(text),
    },
)
_DESIGN = fields(
    {
        "margin": number(0, 1e3, above=True),
        "alpha": number(0, 1, above=True),
        "looks": _LOOKS,
        "taken": _LOOKS,
    },
    {
        "shares": also(list_of(number(1e-12, 1)), _shares),
        "control_pairs": or_null(number(0, MOST_PAIRS, whole=True)),
        "quantile": number(0, 100),
        "dropped": COUNT,
        "turn": SPENT,
        "cell_seconds": SPENT,
    },
)
_NAMED: Rule = fields(
    dict.fromkeys([field for field in CELL_FIELDS if field != "precision_mode"], name()),
    {"precision_mode": name()},  # older comparisons lack it
)
CELL: Rule = fields(
    {
        "cell": _NAMED,
        "state": one_of(("ok", *VERDICT_OF_STATE)),
        "why": or_null(text),
        "seconds": also(also(mapping_of(list_of(_ROW)), _of_one_length), _control_last),
    },
    {
        "left_after": number(1, MOST_PAIRS, whole=True),
        "counts": also(mapping_of(_PAIR), _known_counts),
        "operations": mapping_of(_PAIR),
        "not_repeated": list_of(text),
    },
)
_PROMISE = fields(
    {
        "pairs": COUNT,
        "pairs_in_all": COUNT,
        "cells": COUNT,
        "power": number(0, 1),
        **dict.fromkeys(
            ("slowdown", "low", "high", "pairs_for_3_percent", "seconds_for_3_percent"),
            or_null(number(0, 1e12)),
        ),
    }
)
_CONFIRMING = fields({"cells": list_of(_NAMED), "frameworks": list_of(text), "pairs": COUNT})
OPTIONAL: dict[str, Rule] = {
    "broke_off": text,
    "unsaved": flag,
    "counts_only": flag,
    "uncounted": text,
    "notes": list_of(text),
    "confirm_seconds": SPENT,
    "confirming": _CONFIRMING,
    "promises": list_of(_PROMISE),
    "pair_seconds": list_of(SPENT),
    "seconds_by_part": mapping_of(SPENT),
    "how": scalar("absent: it is of stored runs", lambda value: False),
}
_COMPARISON = fields(
    {
        "schema": number(1, SCHEMA, whole=True),
        "kind": one_of((KIND,)),
        "id": RUN_RULES["id"],
        "started": STARTED,
        "finished": or_null(STARTED),
        "machine": MACHINE,
        "arguments": list_of(text),
        "seed": number(-1e300, 1e300, whole=True),
        "budget_seconds": SPENT,
        "sides": also(fields(dict.fromkeys(SIDES, _VERSION)), _both_sides),
        "design": _DESIGN,
        "pairs": number(0, MOST_PAIRS, whole=True),
        "stopped": or_null(text),
        "cells": list_of(CELL),
    },
    OPTIONAL,
)


def is_comparison(document: Any) -> bool:
    """Return whether a value from a JSON file is, or was meant as, a comparison of two versions.

    It is either a saved `Document`, or what ``cascade-bench regress --json`` writes.
    """
    if not isinstance(document, dict):
        return False
    meant = document.get("kind") == KIND or {"design", "sides"} <= document.keys()
    return meant or isinstance(document.get("comparison"), dict)


def document_problem(document: Any) -> str | None:
    """Return why a value is not a valid `Document`; None when it is one.

    The text is meant to follow the name of the file in a message.
    """
    if isinstance(document, dict) and "kind" not in document and "ids" in document:
        return (
            "holds conclusions about two stored runs, and not their times; draw them again with: "
            "cascade-bench regress --stored BASE HEAD"
        )
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        return (
            f"was written by a newer version (schema {schema:.6g}; this one reads up to {SCHEMA}); "
            "upgrade this suite to read it"
        )
    problem = _COMPARISON(document, "") or _not_together(document)
    return f"is no valid comparison: {problem}; compare the versions again" if problem else None


def _not_together(document: Mapping[str, Any]) -> str | None:
    """Return which parts of a document contradict each other; None if none do.

    Args:
        document: one that obeys the rule of each key.
    """
    cells = [cell_fields(entry["cell"]) for entry in document["cells"]]
    if len(set(cells)) < len(cells):
        return f"two entries are of one cell, {max(cells, key=cells.count)}"
    timed = [one for one in document["cells"] if one["state"] == "ok" and one["seconds"]]
    if not timed:
        return None
    counts = {len(one["seconds"][WALL]) for one in timed if "left_after" not in one}
    if len({tuple(one["seconds"]) for one in timed}) > 1 or len(counts) > 1:
        return f"its cells have times of different launch pairs: {sorted(counts)!r:.120}"
    pairs = max(len(one["seconds"][WALL]) for one in timed)
    if not min(len(one["seconds"][WALL]) for one in timed):
        return "cells[…].seconds has no launch pair"
    for one in timed:
        if one.get("left_after", (count := len(one["seconds"][WALL]))) != count:
            return f"a cell left after {one['left_after']} launch pairs and has times of {count}"
    return _not_together_in_design(document["design"], pairs)


def _not_together_in_design(design: Mapping[str, Any], pairs: int) -> str | None:
    """Return how the looks of a design contradict each other or the launch pairs, or None."""
    taken, shares = design["taken"], design.get("shares") or []
    if shares and len(shares) != len(taken):
        return f"design has {len(taken)} looks taken and {len(shares)} shares; allowed: as many"
    if taken and (not (shares or design["looks"]) or taken[-1] > pairs):
        return f"design.taken is {taken!r:.60}, and there are {pairs} launch pairs"
    return None


def load(path: Path | str) -> Document:
    """Read a comparison from the file that `cascade-bench regress` saved, or wrote as ``--json``.

    This is the door by which comparisons enter, as `storage.load_run` is that of runs.

    Raises:
        RecordError: the file cannot be read, is no JSON, or no valid comparison.
    """
    document = storage.read_json(Path(path))
    if isinstance(document, dict) and isinstance(document.get("comparison"), dict):
        document = document["comparison"]
    advice = "a comparison; compare the versions again"
    document = storage.checked_document(path, document, document_problem, advice)
    for entry in document["cells"]:
        entry["cell"].setdefault("precision_mode", IEEE)  # one from before there were others
    return cast(Document, document)
