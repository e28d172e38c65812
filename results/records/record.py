"""Make, check and name benchmark records, and define the run that holds them.

A record is a plain dictionary, since other programs read it; `results.records.schema.Record` has
its keys with their types and units. Its rule: a figure that could not be had is null, never 0, and
``missing`` says why, under the path of the null (``"flops"``, or ``"ratio.low"`` for a part of a
figure). Times are in seconds, memory in bytes. This module imports the standard library only, so
that tools start fast.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from results.records.schema import Record as Record  # most readers import it from here
from results.records.texts import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The version of the files of a run: of the run itself and of each record in it.
SCHEMA = 1

# The fields that name a cell.
CELL_FIELDS = (
    "kind",
    "scenario",
    "variant",
    "size",
    "framework",
    "mode",
    "strategy",
    "phase",
    "device",
    "dtype",
    "precision_mode",
)
# The precision mode that is not named: full float32. Files from before there were others lack it.
IEEE = "ieee"

OUTCOMES = (
    "ok",
    "wrong_gradients",
    "timeout",
    "crashed",
    "out_of_memory",
    "unsupported",
    "interrupted",
)

# As in `results.statistics.verdict`, which this package does not import.
VERDICTS = ("slower", "faster", "equal", "inconclusive")

# The keys of an `Estimate`.
ESTIMATE_KEYS = ("estimate", "low", "high", "confidence", "launches")

# Those of the limit that the machine sets to a cell; runs of older versions lack them.
LIMIT_FIGURES = ("limit_ratio", "limit_seconds", "limit_share", "bytes", "operations")

# What is measured or decided for a cell: each of these is null only with a reason.
FIGURES = (
    "seconds",
    "ratio",
    "verdict",
    "predicted_ratio",
    "flops",
    *LIMIT_FIGURES,
    "peak_share",
    "trace_seconds",
    "compile_seconds",
    "first_call_seconds",
    "steady",
    "residual_bytes",
    "peak_bytes",
    "optimizer_state_bytes",
    "gradient_error",
    "equivalence",
)

# The keys of a `Record`, in the order in which files hold them.
RECORD_KEYS = (
    "schema",
    *CELL_FIELDS,
    "family",
    "baseline",
    *FIGURES,
    "outcome",
    "rerun",
    "missing",
)

# The keys that only some records have: those about which there is something to say.
OPTIONAL_KEYS = ("notes", "node", "communication")

# A record that is only read, by keys that may be chosen at run time.
AnyRecord = Mapping[str, Any]


class RecordError(Exception):
    """Raised where a run cannot be read, written or found, with one line for the user.

    The line may quote a file, or the name of one, and is cleaned like any text of a file.
    """

    def __init__(self, message: object) -> None:
        super().__init__(clean(message, None))


@dataclass(frozen=True)
class Run:
    """Hold one session of measuring: its records, raw samples, machine and settings.

    Attributes:
        id: as `new_run_id` makes it; sorts by time.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC, or None while the run goes on.
        machine: the machine that was measured on; its ``"id"`` names the folder of its runs.
        settings: how it was measured (launches, rounds, seed, ...).
        interrupted: whether the run was stopped before its last cell.
        records: one for each cell, whatever its outcome.
        samples: ``sample_key(record)`` to one array [samples] a launch: seconds per call,
            in the order measured.
    """

    id: str
    started: str
    finished: str | None
    machine: dict[str, Any]
    settings: dict[str, Any]
    interrupted: bool = False
    records: list[Record] = field(default_factory=list)
    samples: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)


def utc_now() -> str:
    """Return the time now as ISO 8601 in UTC, to the second: ``2026-11-21T01:02:03+00:00``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_run_id() -> str:
    """Return a new name for a run, such as ``20261121T010203-ab12cd``.

    The time is in UTC, so that names sort by time; six random hexadecimal digits make two runs
    begun in one second differ.
    """
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def cell_id(record: AnyRecord) -> str:
    """Return the name of a cell as in a test's brackets, without the kind, which names the test.

    For example ``stacked_cascade-n4-large-torch-eager-summed-backward-cpu-float32``. A precision
    mode stands at the end, ``ieee`` does not.
    """
    usual = ("precision_mode",) if precision_mode(record) == IEEE else ()
    return "-".join(cell_fields(record, without=("kind", *usual)))


def cell_fields(record: AnyRecord, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the values of `CELL_FIELDS`, in that order, but for those named in ``without``."""
    return tuple(
        precision_mode(record) if name == "precision_mode" else record[name]
        for name in CELL_FIELDS
        if name not in without
    )


def precision_mode(record: AnyRecord) -> str:
    """Return in what the networks of a cell compute; ``ieee`` where the record does not say it."""
    return str(record.get("precision_mode", IEEE))


def lower_precision(record: AnyRecord) -> list[str]:
    """Return the precision mode as a list of one word for a name; of none where it is ``ieee``."""
    mode = precision_mode(record)
    return [] if mode == IEEE else [mode]


def named_fields(record: AnyRecord, without: Collection[str] = ()) -> list[str]:
    """Return the fields that name a cell in a text: those of `cell_fields` that say something.

    A variant ``-`` says nothing, nor does the precision mode ``ieee``.
    """
    fields = cell_fields(record, without=("precision_mode", *without))
    return [*(value for value in fields if value != "-"), *lower_precision(record)]


def sample_key(record: AnyRecord) -> str:
    """Return the name of a cell's samples, ``<kind>/<cell id>``.

    Two kinds may time cells of one name, and their samples must not be mixed up.
    """
    return f"{record['kind']}/{cell_id(record)}"


def new_record(
    cell: Mapping[str, str], *, family: str, baseline: str | None, rerun: str, **known: Any
) -> Record:
    """Return a record of the cell with every key present, null where no value is passed.

    Args:
        cell: the `CELL_FIELDS`; without ``precision_mode`` it is ``ieee``.
        family: the family of the scenario.
        baseline: the strategy that the ratio refers to, or None.
        rerun: the exact command that measures this cell again.
        known: any of `FIGURES`, ``outcome`` and ``missing``.

    Raises:
        ValueError: a field of the cell is absent, empty or holds a ``-`` beside other characters
            (it separates the fields in `cell_id`), or a key is unknown.
    """
    cell = {"precision_mode": IEEE, **cell}
    for name in CELL_FIELDS:
        value = cell.get(name)
        if not isinstance(value, str) or not value or ("-" in value and value != "-"):
            raise ValueError(
                f"cell field {name!r} is {value!r}; it must be a string, not empty and without "
                "'-', which separates the fields of a cell's name; use '_' instead"
            )
    unknown = sorted({*cell, *known} - {*CELL_FIELDS, *FIGURES, "outcome", "missing"})
    if unknown:
        allowed = ", ".join(RECORD_KEYS)
        raise ValueError(f"unknown keys {', '.join(unknown)}; a record has {allowed}")
    record: Any = dict.fromkeys(RECORD_KEYS)
    record |= {"schema": SCHEMA, **cell, "family": family, "baseline": baseline, "rerun": rerun}
    missing = {path: clean(reason) for path, reason in known.get("missing", {}).items()}
    return record | known | {"missing": missing}


def explain(record: Record, reason: str) -> Record:
    """Return a copy in which every null figure without a reason has this one."""
    missing = dict.fromkeys(null_paths(record), clean(reason)) | record["missing"]
    return {**record, "missing": missing}


def completed(record: AnyRecord) -> Record:
    """Return a copy of a record with the figures that an older version did not write: null."""
    absent = [key for key in LIMIT_FIGURES if key not in record]
    reasons = dict.fromkeys(absent, "measured by a version that set no limits")
    copy: Any = {**record, **dict.fromkeys(absent)}
    return copy | {"missing": {**record["missing"], **reasons}}


def finish(record: AnyRecord) -> Record:
    """Check a record and return a copy that is ready to be saved.

    Figures that are not finite become null with a reason; reasons of figures that have a value
    after all are dropped. `baseline` and `missing` are no figures: a null baseline means that the
    cell is compared with none, and needs no reason.

    Raises:
        ValueError: the outcome is not one of `OUTCOMES`, or a null figure has no reason.
    """
    if record["outcome"] not in OUTCOMES:
        raise ValueError(f"outcome is {record['outcome']!r}; allowed: {', '.join(OUTCOMES)}")
    finished = finite(record)
    nulls = list(null_paths(finished))
    silent = [path for path in nulls if not finished["missing"].get(path)]
    if silent:
        raise ValueError(
            f"{cell_id(record)}: null without a reason: {', '.join(silent)}; "
            "say why in record['missing'], or for all at once with explain(record, reason)"
        )
    return {**finished, "missing": {path: finished["missing"][path] for path in nulls}}


def null_paths(record: AnyRecord) -> Iterator[str]:
    """Yield the paths of all null figures and null parts of figures, such as ``"ratio.low"``."""
    for key in (*FIGURES, *(("communication",) if "communication" in record else ())):
        if record[key] is None:
            yield key
        elif isinstance(record[key], Mapping):
            yield from (f"{key}.{part}" for part, value in record[key].items() if value is None)


def finite(record: AnyRecord) -> Record:
    """Return a copy in types that JSON has: NaN and infinity become null.

    The reason of each stands in ``missing``, under the path of the value, such as ``ratio.low``.
    """
    reasons: dict[str, str] = {}
    cleaned: Record = plain(record, reasons=reasons)
    return {**cleaned, "missing": {**cleaned["missing"], **reasons}}


def plain(value: Any, path: str = "", reasons: dict[str, str] | None = None) -> Any:
    """Return a value in types that JSON has: mappings, lists, strings, finite numbers, null.

    NumPy scalars become Python's; NaN and infinity become None.

    Args:
        path: where the value stands in a record, such as ``"ratio.low"``.
        reasons: filled with path and reason of each number that became None.
    """
    if isinstance(value, Mapping):
        prefix = f"{path}." if path else ""
        return {str(key): plain(item, f"{prefix}{key}", reasons) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, path, reasons) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        if reasons is not None:
            reasons[path] = f"not a finite number: {value}"
        return None
    return value
