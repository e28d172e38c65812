"""Keep the records of all runs of a folder as one table in a Parquet file, and read it back.

The table is a copy that is built again whenever it is not fit: a file of another version, one that
is no regular file or too large, and one whose values no run could have.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.records import storage
from results.records.files import Unreadable, read_regular
from results.records.record import CELL_FIELDS, RecordError
from results.records.texts import clean
from results.records.validation import LEAST_SECONDS, MOST_SECONDS

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = "cascade-bench"  # the key of the cache's own data in the Parquet file
LAYOUT = 5  # the version of the cache's columns; a cache of another version is built again
# The columns, beside "file"; "frozen" has the seconds of the machine reference.
TEXTS = ("machine", "run", "started", "commit", "code", "outcome", *CELL_FIELDS)
NUMBERS = ("seconds", "low", "high", "frozen")
# 2,000 runs of 300 cells take 20 MB; the table takes ten times that in memory.
MOST_BYTES, MOST_ROWS, MOST_UNPACKED = 32 * 2**20, 10**6, 128 * 2**20


def read(path: Path) -> tuple[pa.Table | None, dict[str, str]]:
    """Return the cached rows, and the stamp of each file that they come from.

    None and an empty mapping where the cache cannot be read, is of another version, or holds what
    no run holds.
    """
    import pyarrow as pa

    try:
        return _read(read_regular(path, MOST_BYTES))
    except (Unreadable, OSError, pa.ArrowException, LookupError, TypeError, ValueError):
        return None, {}


def _read(data: bytes) -> tuple[pa.Table, dict[str, str]]:
    """Return the rows and stamps in the bytes of a cache; raise ValueError where it is not fit."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data))
    about = file.metadata
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    if about.num_rows > MOST_ROWS or unpacked > MOST_UNPACKED:
        raise ValueError("too large")
    stored = json.loads((file.schema_arrow.metadata or {})[METADATA.encode()])
    stamps = stored["stamps"]
    if stored["layout"] != LAYOUT or {*file.schema_arrow.names} != {*TEXTS, *NUMBERS, "file"}:
        raise ValueError("another layout")
    texts = isinstance(stamps, dict) and all(isinstance(one, str) for one in stamps.values())
    if not texts:
        raise ValueError("stamps of another type")
    table = file.read()
    for name in ("file", *TEXTS):
        _demand_texts(table[name])
    for name in NUMBERS:
        _demand_times(table[name])
    return table, dict(stamps)


def _demand_texts(column: Any) -> None:
    """Raise ValueError unless a column holds clean texts, none of them null."""
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_dictionary(kind) or not pa.types.is_string(kind.value_type):
        raise ValueError("a column of another type")
    if column.null_count or any(clean(text) != text for text in column.unique().to_pylist()):
        raise ValueError("a text that no run holds")


def _demand_times(column: Any) -> None:
    """Raise ValueError unless a column holds possible times in seconds, or null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_float64(column.type):
        raise ValueError("a column of another type")
    ends = pc.min_max(column).as_py()
    if ends["min"] is None:
        return
    finite = not pc.any(pc.is_nan(column)).as_py()
    if not finite or ends["min"] < LEAST_SECONDS or ends["max"] > MOST_SECONDS:
        raise ValueError("a time that no run holds")


def write(table: pa.Table, stamps: Mapping[str, str], path: Path) -> None:
    """Write the cache; where that is impossible, the next load reads the runs again."""
    import pyarrow.parquet as pq

    metadata = json.dumps({"layout": LAYOUT, "stamps": dict(stamps)})
    whole = table.unify_dictionaries().replace_schema_metadata({METADATA: metadata})
    buffer = io.BytesIO()
    pq.write_table(whole, buffer, compression="zstd")
    with contextlib.suppress(RecordError):
        storage.write_whole({path: buffer.getvalue()})
