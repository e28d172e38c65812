"""Export runs as one table for pandas, R or a spreadsheet: one row a cell.

Every run has the same columns:

| column | meaning |
|---|---|
| ``run``, ``machine`` | ids of the run and of its machine |
| ``started`` | when the run started: ISO 8601, UTC |
| ``commit``, ``dirty`` | commit of the suite; whether it had uncommitted changes |
| ``cell`` | all fields of the cell in one name; each follows, ``kind`` to ``precision_mode`` |
| ``family``, ``baseline`` | family of the scenario; the strategy that ratios refer to |
| ``seconds``, ``…_low``, ``…_high`` | time of one call; its interval |
| ``ratio``, ``…_low``, ``…_high`` | time over that of the baseline; its interval |
| ``confidence`` | confidence level of both intervals: 0.95 is 95 % |
| ``launches`` | number of launches that the estimates are made of |
| ``verdict`` | slower, faster, equal or inconclusive, against the baseline |
| ``predicted_ratio`` | FLOPs over those of the baseline |
| ``flops`` | floating-point operations of one call |
| ``limit_ratio`` | limit over that of the baseline |
| ``limit_seconds`` | seconds that the operations of a call must take at least |
| ``limit_share`` | share of the limit that was reached: 0.37 is 37 % |
| ``bytes`` | bytes that the operations of a call read and write |
| ``operations`` | the operation that takes the most of the limit, and its share |
| ``peak_share`` | share of the machine's peak rate in matrix products: 0.37 is 37 % |
| ``trace_seconds``, ``compile_seconds``, ``first_call_seconds`` | costs before the timed calls |
| ``steady`` | false where times still had a trend after warming up |
| ``residual_bytes`` | bytes that the forward pass saves for the backward pass |
| ``peak_bytes`` | highest memory use during a call |
| ``optimizer_state_bytes`` | bytes of the optimizer's state, over all parameters |
| ``gradient_error``, ``…_tensor`` | relative error of the worst gradient; its name |
| ``gradient_error_allowed`` | the largest error that the check lets pass; empty in old runs |
| ``equivalence`` | ``pass``, or the difference from the float64 gradients |
| ``outcome`` | ``ok``, or in a word why there is no time |
| ``reason`` | the same as a sentence |
| ``rerun`` | the command that measures this cell again |

A figure that does not exist is null: NaN in float64 columns, ``<NA>`` in the others. The types are
float64, Int64 for counts, boolean for ``dirty`` and ``steady``, and string for the rest; a column
keeps its type where all of it is null.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.records.failures import outcome_reason
from results.records.installing import install_command
from results.records.limits import told_operation
from results.records.record import CELL_FIELDS, AnyRecord, RecordError, Run, cell_id
from results.records.storage import write_whole

if TYPE_CHECKING:  # importing pandas takes a moment
    import pandas

NUMBER, COUNT, FLAG, TEXT = "float64", "Int64", "boolean", "string"
CSV, PARQUET = "cells.csv", "cells.parquet"
# A spreadsheet takes a text with such a beginning for a formula, and evaluates it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
QUOTE = "'"  # a spreadsheet shows the text behind it literally

Row = dict[str, Any]

# column → its type
COLUMNS: dict[str, str] = {
    **dict.fromkeys(("run", "machine", "started", "commit"), TEXT),
    "dirty": FLAG,
    **dict.fromkeys(("cell", *CELL_FIELDS, "family", "baseline"), TEXT),
    **dict.fromkeys(("seconds", "seconds_low", "seconds_high"), NUMBER),
    **dict.fromkeys(("ratio", "ratio_low", "ratio_high", "confidence"), NUMBER),
    "launches": COUNT,
    "verdict": TEXT,
    **dict.fromkeys(("predicted_ratio", "flops"), NUMBER),
    **dict.fromkeys(("limit_ratio", "limit_seconds", "limit_share"), NUMBER),
    "bytes": COUNT,
    "operations": TEXT,
    "peak_share": NUMBER,
    **dict.fromkeys(("trace_seconds", "compile_seconds", "first_call_seconds"), NUMBER),
    "steady": FLAG,
    **dict.fromkeys(("residual_bytes", "peak_bytes", "optimizer_state_bytes"), COUNT),
    "gradient_error": NUMBER,
    "gradient_error_allowed": NUMBER,
    **dict.fromkeys(("gradient_error_tensor", "equivalence", "outcome", "reason"), TEXT),
    "rerun": TEXT,
}


def tidy(*runs: Run) -> pandas.DataFrame:
    """Return the cells of these runs as one table; the module's docstring lists the columns."""
    return _table(_rows(runs))


def write_tables(runs: Iterable[Run], folder: Path | str) -> list[Path]:
    """Write the cells of these runs as ``cells.csv`` and ``cells.parquet``.

    Each file is replaced as a whole, or not at all. In the CSV a text that a spreadsheet would take
    for a formula, or that begins with an apostrophe, gets an apostrophe in front, which `read_csv`
    removes again; a ``-`` alone is no formula. Lines end in CRLF (RFC 4180).

    Returns:
        The paths of the two files.

    Raises:
        RecordError: the folder cannot be written; or pyarrow is not installed, and only the CSV
            was written.
    """
    rows = _rows(runs)
    paths = [Path(folder) / CSV, Path(folder) / PARQUET]
    write_whole({paths[0]: _as_csv(rows)})
    write_whole({paths[1]: _as_parquet(_table(rows), paths[0])})
    return paths


def read_csv(path: Path | str) -> pandas.DataFrame:
    """Read a ``cells.csv`` into the table that `tidy` made."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return _table(
        {name: _FROM_TEXT[kind](row[name]) if row[name] else None for name, kind in COLUMNS.items()}
        for row in rows
    )


def _rows(runs: Iterable[Run]) -> list[Row]:
    """Return a row for each cell: column → value of the type in `COLUMNS`, None for null."""
    cells = (_flat(run, record) for run in runs for record in run.records)
    return [{name: _CONVERT[kind](cell[name]) for name, kind in COLUMNS.items()} for cell in cells]


def _table(rows: Iterable[Row]) -> pandas.DataFrame:
    """Return these rows as a data frame with the columns of `COLUMNS` and their types."""
    import pandas

    rows = list(rows)
    columns = {
        name: pandas.array([row[name] for row in rows], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    return pandas.DataFrame(columns)


def _flat(run: Run, record: AnyRecord) -> dict[str, Any]:
    """Return a record and what is stored of its run as one dictionary without nested mappings."""
    seconds, ratio = record["seconds"] or {}, record["ratio"] or {}
    error = record["gradient_error"] or {}
    run_columns = {
        "run": run.id,
        "machine": run.machine["id"],
        "started": run.started,
        "commit": run.machine.get("commit"),
        "dirty": run.machine.get("dirty"),
    }
    return {
        **record,
        **run_columns,
        **_estimate("seconds", seconds),
        **_estimate("ratio", ratio),
        "cell": cell_id(record),
        "confidence": (seconds or ratio).get("confidence"),
        "launches": (seconds or ratio).get("launches"),
        "operations": told_operation(record),
        "gradient_error": error.get("relative"),
        "gradient_error_tensor": error.get("tensor"),
        "gradient_error_allowed": error.get("allowed"),
        "reason": outcome_reason(record),
    }


def _estimate(name: str, figure: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an estimate: ``<name>``, ``<name>_low`` and ``<name>_high``.

    Args:
        figure: the estimate, as a record has it; may be empty.
    """
    ends = {f"{name}_{end}": figure.get(end) for end in ("low", "high")}
    return {name: figure.get("estimate")} | ends


def _number(value: Any) -> float | None:
    """Return a stored value as a float; None for null."""
    return None if value is None else float(value)


def _count(value: Any) -> int | None:
    """Return the count as an integer; None where 64 bits cannot hold it, as of a damaged file."""
    whole = None if value is None else round(value)
    return whole if whole is not None and abs(whole) < 2**63 else None


def _text(value: Any) -> str | None:
    """Return a value as text that every format can hold; None for null and for an empty text."""
    return None if value is None else _clean(str(value))


@lru_cache(maxsize=2**16)  # every row holds the same few names
def _clean(text: str) -> str | None:
    """Return the text with ``?`` for lone surrogates and NUL; None for an empty text."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?") or None


_CONVERT: dict[str, Callable[[Any], Any]] = {
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
    """Return the rows as the bytes of a CSV file, its header included."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    texts = [name for name, kind in COLUMNS.items() if kind == TEXT]
    writer.writerows({**row, **{n: _quoted(row[n]) for n in texts}}.values() for row in rows)
    return file.getvalue().encode()


@lru_cache(maxsize=2**16)
def _quoted(value: str | None) -> str | None:
    """Return the text, with an apostrophe in front if a spreadsheet would read it as a formula."""
    if value is not None and value != "-" and value.startswith((*FORMULA, QUOTE)):
        return QUOTE + value
    return value


def _as_parquet(table: pandas.DataFrame, beside: Path) -> bytes:
    """Return the table as the bytes of a Parquet file.

    Args:
        beside: the CSV file that is already written, for the message of the error.

    Raises:
        RecordError: pyarrow is not installed or too old.
    """
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError as error:
        raise RecordError(
            f"{PARQUET} needs pyarrow, which is not installed or too old ({beside} is written "
            f"all the same); install it with: {install_command('report')}"
        ) from error
    return buffer.getvalue()
