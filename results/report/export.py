"""Runs as one table, for pandas, R or a spreadsheet: a row a cell, the same columns for every run.

| column | what it is |
|---|---|
| ``run``, ``machine`` | ids of the run and of what it was measured on |
| ``started`` | of the run, ISO 8601, UTC |
| ``commit``, ``dirty`` | of the suite; whether it had uncommitted changes |
| ``cell`` | the fields of the cell in one name; then each field alone, ``kind`` to ``dtype`` |
| ``family``, ``baseline`` | of the scenario; the strategy that ratios refer to |
| ``seconds``, ``…_low``, ``…_high`` | of one call; its interval |
| ``ratio``, ``…_low``, ``…_high`` | seconds over the baseline's; its interval |
| ``confidence`` | of both intervals: 0.95 is 95 % |
| ``launches`` | how many the estimates are over |
| ``verdict`` | slower, faster, equal or inconclusive, against the baseline |
| ``predicted_ratio`` | FLOPs over the baseline's |
| ``flops`` | floating-point operations of one call |
| ``peak_share`` | share of the machine's peak in matrix products: 0.37 is 37 % |
| ``trace_seconds``, ``compile_seconds``, ``first_call_seconds`` | before the first time |
| ``steady`` | false where times still went up or down after warming up |
| ``residual_bytes`` | saved in the forward pass for the backward pass |
| ``peak_bytes`` | the most memory during a call |
| ``optimizer_state_bytes`` | of all parameters that have any |
| ``gradient_error``, ``…_tensor`` | relative, against float64, of the worst tensor; its name |
| ``equivalence`` | ``pass``, or what differs from the reference |
| ``outcome`` | ``ok``, or why there is no time, in a word |
| ``reason`` | the same in a sentence |
| ``rerun`` | the command that measures this cell again |

What could not be had is null: NaN in a number, ``<NA>`` in the others. Numbers are float64, counts
Int64, ``dirty`` and ``steady`` boolean, all else string, whether a run has any or not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.records.failures import outcome_reason
from results.records.record import CELL_FIELDS, Record, RecordError, Run, cell_id
from results.records.storage import write_whole

if TYPE_CHECKING:  # importing pandas takes a moment
    import pandas

NUMBER, COUNT, FLAG, TEXT = "float64", "Int64", "boolean", "string"
CSV, PARQUET = "cells.csv", "cells.parquet"
# A spreadsheet takes a text that begins so for a formula, and runs it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
QUOTE = "'"

Row = dict[str, Any]

COLUMNS: dict[str, str] = {
    **dict.fromkeys(("run", "machine", "started", "commit"), TEXT),
    "dirty": FLAG,
    **dict.fromkeys(("cell", *CELL_FIELDS, "family", "baseline"), TEXT),
    **dict.fromkeys(("seconds", "seconds_low", "seconds_high"), NUMBER),
    **dict.fromkeys(("ratio", "ratio_low", "ratio_high", "confidence"), NUMBER),
    "launches": COUNT,
    "verdict": TEXT,
    **dict.fromkeys(("predicted_ratio", "flops", "peak_share"), NUMBER),
    **dict.fromkeys(("trace_seconds", "compile_seconds", "first_call_seconds"), NUMBER),
    "steady": FLAG,
    **dict.fromkeys(("residual_bytes", "peak_bytes", "optimizer_state_bytes"), COUNT),
    "gradient_error": NUMBER,
    **dict.fromkeys(("gradient_error_tensor", "equivalence", "outcome", "reason"), TEXT),
    "rerun": TEXT,
}


def tidy(*runs: Run) -> pandas.DataFrame:
    """The cells of these runs in one table; the columns stand at the head of this module."""
    return _table(_rows(runs))


def write_tables(runs: Iterable[Run], folder: Path | str) -> list[Path]:
    """Writes the cells of these runs as ``cells.csv`` and ``cells.parquet``, each whole or not.

    In the CSV a text that a spreadsheet would take for a formula, or that begins with an
    apostrophe itself, has an apostrophe in front; `read_csv` takes it away again. ``-`` alone is
    none. Lines end as RFC 4180 has it.

    Returns:
        The paths of the two.

    Raises:
        RecordError: the folder cannot be written; or pyarrow is not installed: then the CSV is
            there, and no Parquet.
    """
    rows = _rows(runs)
    paths = [Path(folder) / CSV, Path(folder) / PARQUET]
    write_whole({paths[0]: _as_csv(rows)})
    write_whole({paths[1]: _as_parquet(_table(rows), paths[0])})
    return paths


def read_csv(path: Path | str) -> pandas.DataFrame:
    """The table of a ``cells.csv`` as `tidy` made it."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return _table(
        {name: _FROM_TEXT[kind](row[name]) if row[name] else None for name, kind in COLUMNS.items()}
        for row in rows
    )


def _rows(runs: Iterable[Run]) -> list[Row]:
    """The cells as Python's own numbers and texts, None where there is none."""
    cells = (_flat(run, record) for run in runs for record in run.records)
    return [{name: _AS[kind](cell[name]) for name, kind in COLUMNS.items()} for cell in cells]


def _table(rows: Iterable[Row]) -> pandas.DataFrame:
    import pandas

    rows = list(rows)
    columns = {
        name: pandas.array([row[name] for row in rows], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    return pandas.DataFrame(columns)


def _flat(run: Run, record: Record) -> dict[str, Any]:
    seconds, ratio = record["seconds"] or {}, record["ratio"] or {}
    error = record["gradient_error"] or {}
    of_the_run = {
        "run": run.id,
        "machine": run.machine["id"],
        "started": run.started,
        "commit": run.machine.get("commit"),
        "dirty": run.machine.get("dirty"),
    }
    return {
        **record,
        **of_the_run,
        **_estimate("seconds", seconds),
        **_estimate("ratio", ratio),
        "cell": cell_id(record),
        "confidence": (seconds or ratio).get("confidence"),
        "launches": (seconds or ratio).get("launches"),
        "gradient_error": error.get("relative"),
        "gradient_error_tensor": error.get("tensor"),
        "reason": outcome_reason(record),
    }


def _estimate(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    ends = {f"{name}_{end}": figure.get(end) for end in ("low", "high")}
    return {name: figure.get("estimate")} | ends


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _count(value: Any) -> int | None:
    """Null too where no 64 bits hold it: nothing of ours is so many."""
    whole = None if value is None else round(value)
    return whole if whole is not None and abs(whole) < 2**63 else None


def _text(value: Any) -> str | None:
    """What no file can hold, half a surrogate pair or a NUL, is a question mark; "" is null."""
    return None if value is None else _clean(str(value))


@lru_cache(maxsize=2**16)  # the same few names stand in every row
def _clean(text: str) -> str | None:
    return text.encode("utf-8", "replace").decode().replace("\0", "?") or None


_AS: dict[str, Callable[[Any], Any]] = {
    NUMBER: _number,
    COUNT: _count,
    FLAG: lambda value: value if isinstance(value, bool) else None,
    TEXT: _text,
}


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    NUMBER: float,
    COUNT: int,
    FLAG: lambda text: text == str(True),
    TEXT: lambda text: text.removeprefix(QUOTE),
}


def _as_csv(rows: Iterable[Row]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    texts = [name for name, kind in COLUMNS.items() if kind == TEXT]
    writer.writerows({**row, **{n: _harmless(row[n]) for n in texts}}.values() for row in rows)
    return file.getvalue().encode()


@lru_cache(maxsize=2**16)
def _harmless(value: str | None) -> str | None:
    if value is not None and value != "-" and value.startswith((*FORMULA, QUOTE)):
        return QUOTE + value
    return value


def _as_parquet(table: pandas.DataFrame, beside: Path) -> bytes:
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError as error:
        raise RecordError(
            f"{PARQUET} needs pyarrow, which is not installed or too old ({beside} is written "
            "all the same); install it with: pip install -c constraints.txt -e '.[report]'"
        ) from error
    return buffer.getvalue()
