"""Load every cell of all runs of a folder as a table of rows, through a cache beside the runs.

The cache, one Parquet file in the folder, has a row for each record of each run, and the size and
modification time of each run's file. New and changed runs are read, rows of deleted runs are
dropped, and a cache that cannot be read is built again: the runs themselves are the only truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from results.records import storage
from results.records.record import CELL_FIELDS, RecordError, Run, cell_fields, lower_precision
from results.regression import history_cache
from results.regression.history_cache import NUMBERS, TEXTS
from results.statistics.estimators import Array

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CACHE = ".history.parquet"
OWN_SCENARIO = "--scenario-path="  # in the command that measures a cell again
UNREADABLE = "unreadable"  # in place of size and time of a file


@dataclass(frozen=True)
class History:
    """Hold the records of all runs of a folder.

    Attributes:
        rows: one row for each record, oldest run first; columns as in `TEXTS` and `NUMBERS`.
        unread: files that are no runs, to the reason.
        runs_read: how many runs were not in the cache.
    """

    rows: pd.DataFrame
    unread: Mapping[str, str] = field(default_factory=dict)
    runs_read: int = 0


@dataclass(frozen=True)
class Series:
    """Hold the times of one cell over the runs of one machine that timed it, oldest first.

    Attributes:
        cell: the fields of the cell.
        machine: the id of the machine.
        runs: ids of the runs.
        started: when each run started.
        commits: the commit of each run, with a ``+`` where files differed from it.
        seconds: the cell's time in each run, in seconds per call.
        reference_seconds: the time of the machine reference of its framework, a program that never
            changes, in the same sessions, in seconds; nan where a run has none.
    """

    cell: Mapping[str, str]
    machine: str
    runs: Sequence[str]
    started: Sequence[str]
    commits: Sequence[str]
    seconds: Array
    reference_seconds: Array

    @property
    def name(self) -> str:
        """Return the cell's name in tables."""
        parts = ("scenario", "variant", "size", "framework", "mode", "phase", "strategy")
        named = [self.cell[part] for part in parts if self.cell[part] != "-"]
        return " ".join([*named, *lower_precision(self.cell)])


def load(folder: Path | str) -> History:
    """Load every record under a folder of runs, from the cache where it is up to date.

    Raises:
        RecordError: there is no run at all.
    """
    top = storage.runs_folder(folder)
    stamps = _stamps(top)
    if not stamps:
        raise RecordError(f"no run under {folder}; {storage.MEASURE}")
    table, cached_stamps = history_cache.read(top / CACHE)
    fresh: list[dict[str, list[Any]]] = []
    unread: dict[str, str] = {}
    for name, stamp in stamps.items():
        if stamp == UNREADABLE or cached_stamps.get(name) != stamp:
            try:
                fresh.append(_rows(storage.load_run(top / name, samples=False), name))
            except RecordError as error:
                unread[name] = str(error)
    stale = {name for name, stamp in cached_stamps.items() if stamp != stamps.get(name)}
    if table is not None and stale:
        table = _without(table, stale)
    whole = _joined(table, _table(fresh))
    if fresh or stale:
        history_cache.write(
            whole, {n: s for n, s in stamps.items() if n not in unread}, top / CACHE
        )
    return History(_sorted_rows(whole), unread, len(fresh))


def _joined(*tables: pa.Table | None) -> pa.Table:
    """Return these tables as one; a table without rows where all are None or empty."""
    import pyarrow as pa

    filled = [table for table in tables if table is not None and table.num_rows]
    return pa.concat_tables(filled, promote_options="permissive") if filled else _table([{}])


def _sorted_rows(table: pa.Table) -> pd.DataFrame:
    """Return the table as a data frame, sorted by run id.

    The ids are compared as strings: categories sort in the order in which the cache first met them.
    """
    rows = table.to_pandas(strings_to_categorical=True)
    rows = rows.sort_values("run", kind="stable", key=lambda ids: ids.astype(str))
    return rows.reset_index(drop=True)


def _stamps(top: Path) -> dict[str, str]:
    """Return for the file of each run a text that changes with the file.

    Returns:
        The path below ``top`` → size and modification time.
    """
    stamps = {}
    for path in storage.find_runs(top):
        try:
            status = path.stat()
            stamp = f"{status.st_size}-{status.st_mtime_ns}"
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError:  # such as a link that leads back to itself; reading it says which
            stamp = UNREADABLE
        stamps[str(path.relative_to(top))] = stamp
    return stamps


def _without(table: pa.Table, files: Iterable[str]) -> pa.Table:
    """Return the table without the rows of these files.

    Args:
        files: paths as in the column "file".
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    among = pc.is_in(table["file"].cast(pa.string()), pa.array(sorted(files), pa.string()))
    return table.filter(pc.invert(among))


def _rows(run: Run, file: str) -> dict[str, list[Any]]:
    """Return the records of a run as columns: name → a value for each record.

    Args:
        file: the path of the run's file below the folder, for the column "file".
    """
    # Older runs have "frozen_seconds", which includes the cost of a call: not comparable.
    references = run.settings.get("product_seconds") or {}
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
        seconds: Mapping[str, Any] = record["seconds"] or {}
        row: dict[str, Any] = about | dict(zip(CELL_FIELDS, cell_fields(record), strict=True))
        if OWN_SCENARIO in record["rerun"]:
            row["commit"] = ""  # it is of the suite, and says nothing of the user's file
        row["outcome"] = record["outcome"]
        row["seconds"] = seconds.get("estimate")
        row["low"], row["high"] = seconds.get("low"), seconds.get("high")
        reference = references.get(f"{row['framework']} {row['device']} {row['dtype']}", ())
        row["frozen"] = _median(reference)
        for name, values in columns.items():
            values.append(row[name])
    return columns


def _commit(machine: Mapping[str, Any]) -> str:
    """Return a run's commit, with a ``+`` where files differed from it; empty if it is unknown."""
    commit = str(machine.get("commit") or "")
    return f"{commit}+" if commit and machine.get("dirty") else commit


def _median(launches: Sequence[float]) -> float | None:
    """Return the median of some times, in seconds; None if there is none above 0."""
    times = [seconds for seconds in launches if seconds > 0]
    return float(np.median(times)) if times else None


def _table(parts: Sequence[Mapping[str, Sequence[Any]]]) -> pa.Table | None:
    """Return the columns of several runs, from `_rows`, as one table; None without any run."""
    import pyarrow as pa

    if not parts:
        return None
    texts = {name: [v for part in parts for v in part.get(name, ())] for name in ("file", *TEXTS)}
    numbers = {name: [v for part in parts for v in part.get(name, ())] for name in NUMBERS}
    arrays = {n: pa.array(v, pa.string()).dictionary_encode() for n, v in texts.items()}
    return pa.table(arrays | {n: pa.array(v, pa.float64()) for n, v in numbers.items()})


def series(history: History, machine: str, **selected: Sequence[str] | None) -> list[Series]:
    """Return the history of each cell of a machine that has times, those of its newest run first.

    Args:
        machine: the id of the machine.
        selected: by field of a cell, the names that are selected; None selects all.
    """
    rows = history.rows
    mask = (rows["machine"] == machine) & (rows["outcome"] == "ok") & rows["seconds"].notna()
    for name, names in selected.items():
        if names:
            mask &= rows[name].isin(list(names))
    cells = rows[mask].groupby(list(CELL_FIELDS), observed=True, sort=False)
    all_series = [
        Series(
            dict(zip(CELL_FIELDS, key, strict=True)),
            machine,
            members["run"].tolist(),
            members["started"].tolist(),
            members["commit"].tolist(),
            members["seconds"].to_numpy(float),
            members["frozen"].to_numpy(float),
        )
        for key, members in cells
    ]
    all_series.sort(key=lambda one: one.runs[-1], reverse=True)
    return all_series


def series_of_runs(runs: Sequence[Run]) -> list[Series]:
    """Return the history of each cell that has times in these runs.

    Args:
        runs: loaded runs of one machine, oldest first.
    """
    columns = ("run", "started", "commit", "seconds", "frozen", "outcome")
    points: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for run in runs:
        rows = _rows(run, "")
        keys = zip(*(rows[name] for name in CELL_FIELDS), strict=True)
        for key, point in zip(keys, zip(*(rows[n] for n in columns), strict=True), strict=True):
            _, _, _, seconds, _, outcome = point
            if outcome == "ok" and seconds is not None:
                points.setdefault(key, []).append(point)
    all_series = []
    for key, members in points.items():
        ids, started, commits, seconds, frozen, _ = zip(*members, strict=True)
        times = np.array(seconds, dtype=float), np.array(frozen, dtype=float)
        cell = dict(zip(CELL_FIELDS, key, strict=True))
        all_series.append(Series(cell, runs[0].machine["id"], ids, started, commits, *times))
    return all_series


def machines(history: History) -> dict[str, int]:
    """Return the number of runs of each machine, the machine of the newest run first."""
    rows = history.rows[["machine", "run"]].astype(str).drop_duplicates()
    counts = rows["machine"].value_counts()
    return {name: int(counts[name]) for name in dict.fromkeys(rows["machine"][::-1])}
