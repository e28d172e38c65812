"""Every cell over all runs of a folder: one table of rows, kept beside the runs as a cache.

The runs stay what counts. The cache, one Parquet file in the folder, holds a row for each record of
each run and knows each run's file by its size and time of change: what is new is read, what is gone
is dropped, and a cache that cannot be read is made anew.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from results.records import storage
from results.records.record import CELL_FIELDS, RecordError, Run
from results.statistics.estimators import Array

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CACHE = ".history.parquet"
LAYOUT = 2  # of the cache; another one's is made anew
TEXTS = ("machine", "run", "started", "commit", "code", "outcome", *CELL_FIELDS)
NUMBERS = ("seconds", "low", "high", "frozen")
RUN = ("machine", "run")


@dataclass(frozen=True)
class History:
    """``rows`` of every record, oldest first; ``unread`` are files that are no runs, and why."""

    rows: pd.DataFrame
    unread: Mapping[str, str] = field(default_factory=dict)
    runs_read: int = 0  # how many were not in the cache


@dataclass(frozen=True)
class Series:
    """A cell over the runs of one machine that have a time of it, oldest first.

    ``seconds`` are as measured; ``frozen`` is the frozen reference of its framework in the same
    sessions, seconds, nan where a run has none. ``code`` is the digest of what measured it.
    """

    cell: Mapping[str, str]
    machine: str
    runs: Sequence[str]
    started: Sequence[str]
    commits: Sequence[str]
    seconds: Array
    frozen: Array

    @property
    def name(self) -> str:
        """As a line of a table names it."""
        parts = ("scenario", "variant", "size", "framework", "mode", "phase", "strategy")
        return " ".join(self.cell[part] for part in parts if self.cell[part] != "-")


def load(folder: Path | str) -> History:
    """Every record under a folder of runs, from the cache where that is up to date.

    Raises:
        RecordError: there is no run at all.
    """
    import pyarrow as pa

    top = Path(folder)
    stamps = _stamps(top)
    if not stamps:
        raise RecordError(f"no run under {top}; {storage.MEASURE}")
    table, known = _cached(top / CACHE)
    unread: dict[str, str] = {}
    fresh, parts = [], []
    for name, stamp in stamps.items():
        if known.get(name) != stamp:
            try:
                parts.append(_rows(storage.load_run(top / name, samples=False), name))
                fresh.append(name)
            except RecordError as error:
                unread[name] = str(error)
    stale = {name for name in known if known[name] != stamps.get(name)}
    if table is not None and stale:
        table = _without(table, stale)
    tables = [part for part in (table, _table(parts)) if part is not None and part.num_rows]
    whole: Any = pa.concat_tables(tables, promote_options="permissive") if tables else _table([{}])
    if fresh or stale:
        _keep(whole, {n: s for n, s in stamps.items() if n not in unread}, top / CACHE)
    rows = whole.to_pandas(strings_to_categorical=True)
    # by the ids' own order: a category's is that in which it was first met, by the cache maybe
    rows = rows.sort_values("run", kind="stable", key=lambda ids: ids.astype(str))
    return History(rows.reset_index(drop=True), unread, len(fresh))


def _stamps(top: Path) -> dict[str, str]:
    """Run file → what changes when it does."""
    found = {}
    for path in storage.find_runs(top):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            told = path.stat()
            found[str(path.relative_to(top))] = f"{told.st_size}-{told.st_mtime_ns}"
    return found


def _cached(path: Path) -> tuple[pa.Table | None, dict[str, str]]:
    """The rows kept, and the stamps of their files; nothing where that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, memory_map=False)
        told = json.loads((table.schema.metadata or {})[b"cascade-bench"])
        if told["layout"] != LAYOUT or not {*TEXTS, *NUMBERS, "file"} <= set(table.column_names):
            return None, {}
        return table, dict(told["stamps"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None, {}


def _without(table: pa.Table, files: Iterable[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    among = pc.is_in(table["file"].cast(pa.string()), pa.array(sorted(files), pa.string()))
    return table.filter(pc.invert(among))


def _rows(run: Run, file: str) -> dict[str, list[Any]]:
    """A column each, of all its records."""
    # runs of before have "frozen_seconds", in which the cost of a call is too: not comparable
    frozen = run.settings.get("product_seconds")
    kept = frozen if isinstance(frozen, Mapping) else {}
    columns: dict[str, list[Any]] = {name: [] for name in ("file", *TEXTS, *NUMBERS)}
    about = {
        "file": file,
        "machine": run.machine["id"],
        "run": run.id,
        "started": run.started,
        "commit": _commit(run.machine),
        "code": str(run.settings.get("code") or ""),
    }
    for record in run.records:
        seconds = record["seconds"] or {}
        row = about | {name: record[name] for name in (*CELL_FIELDS, "outcome")}
        row["seconds"] = seconds.get("estimate")
        row["low"], row["high"] = seconds.get("low"), seconds.get("high")
        row["frozen"] = _frozen(kept.get(f"{row['framework']} {row['device']} {row['dtype']}"))
        for name, values in columns.items():
            values.append(row[name])
    return columns


def _commit(machine: Mapping[str, Any]) -> str:
    commit = str(machine.get("commit") or "")
    return f"{commit}+" if commit and machine.get("dirty") else commit


def _frozen(launches: Any) -> float | None:
    times = [t for t in launches if isinstance(t, int | float) and t > 0] if (
        isinstance(launches, list)
    ) else []  # fmt: skip
    return float(np.median(times)) if times else None


def _table(parts: Sequence[Mapping[str, Sequence[Any]]]) -> pa.Table | None:
    import pyarrow as pa

    if not parts:
        return None
    texts = {name: [v for part in parts for v in part.get(name, ())] for name in ("file", *TEXTS)}
    numbers = {name: [v for part in parts for v in part.get(name, ())] for name in NUMBERS}
    arrays = {n: pa.array(v, pa.string()).dictionary_encode() for n, v in texts.items()}
    return pa.table(arrays | {n: pa.array(v, pa.float64()) for n, v in numbers.items()})


def _keep(table: pa.Table, stamps: Mapping[str, str], path: Path) -> None:
    """Write the cache; where that cannot be done, the next load reads the runs again."""
    import pyarrow.parquet as pq

    told = json.dumps({"layout": LAYOUT, "stamps": dict(stamps)})
    whole = table.unify_dictionaries().replace_schema_metadata({"cascade-bench": told})
    buffer = io.BytesIO()
    pq.write_table(whole, buffer, compression="zstd")
    with contextlib.suppress(RecordError):
        storage.write_whole({path: buffer.getvalue()})


def series(history: History, machine: str, **wanted: Sequence[str] | None) -> list[Series]:
    """The cells of a machine that have times, in the order of its newest run.

    Args:
        wanted: by field of a cell, the names to keep; None keeps all.
    """
    rows = history.rows
    kept = (rows["machine"] == machine) & (rows["outcome"] == "ok") & rows["seconds"].notna()
    for name, names in wanted.items():
        if names:
            kept &= rows[name].isin(list(names))
    chosen = rows[kept]
    found = [
        Series(
            dict(zip(CELL_FIELDS, key, strict=True)),
            machine,
            members["run"].tolist(),
            members["started"].tolist(),
            members["commit"].tolist(),
            members["seconds"].to_numpy(float),
            members["frozen"].to_numpy(float),
        )
        for key, members in chosen.groupby(list(CELL_FIELDS), observed=True, sort=False)
    ]
    found.sort(key=lambda one: one.runs[-1], reverse=True)
    return found


def of_runs(runs: Sequence[Run]) -> list[Series]:
    """The same of runs of one machine that are loaded already, oldest first."""
    columns = [_rows(run, "") for run in runs]
    points: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for part in columns:
        named = zip(*(part[name] for name in CELL_FIELDS), strict=True)
        kept = ("run", "started", "commit", "seconds", "frozen", "outcome")
        for key, point in zip(named, zip(*(part[n] for n in kept), strict=True), strict=True):
            if point[-1] == "ok" and point[3] is not None:
                points.setdefault(key, []).append(point)
    found = []
    for key, members in points.items():
        ids, started, commits, seconds, frozen, _ = zip(*members, strict=True)
        times = np.array(seconds, dtype=float), np.array(frozen, dtype=float)
        cell = dict(zip(CELL_FIELDS, key, strict=True))
        found.append(Series(cell, runs[0].machine["id"], ids, started, commits, *times))
    return found


def machines(history: History) -> dict[str, int]:
    """Machine → how many runs of it there are, the newest first."""
    rows = history.rows[list(RUN)].astype(str).drop_duplicates()
    counts = rows["machine"].value_counts()
    return {name: int(counts[name]) for name in dict.fromkeys(rows["machine"][::-1])}
