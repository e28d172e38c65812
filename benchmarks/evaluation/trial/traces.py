"""Save and load the raw traces of a set of launches: float32, compressed, nothing pickled."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]


class TraceError(Exception):
    """Traces are missing or cannot be read; the message says what to do."""


@dataclass
class Meta:
    """Describe a set of launches.

    Attributes:
        index: the number of the set in its recording.
        condition: ``quiet`` or ``bursty``.
        half: ``tuning`` or ``report``.
        turn: the length of a turn in seconds.
        seconds: activity (start, prepare, turns, solo, long, and total) → its time in seconds.
        calls: cell → calls in a sample.
    """

    index: int
    condition: str
    half: str
    turn: float
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


@dataclass
class LaunchSet:
    """Hold the samples of a set of launches, in seconds per call.

    ``rows`` has ``turns/<cell>/<worker>/<metric>`` with the samples of all turns,
    ``turns/<cell>/<worker>/lengths`` with the number of samples in each turn,
    ``solo/<cell>/<worker>`` for a worker that measures alone, and ``long/<cell>`` for the one that
    measures alone for long.
    """

    meta: Meta
    rows: dict[str, Row] = field(default_factory=dict)

    def turns(self, subject: str, worker: int, metric: str, drop: int = 0) -> Row:
        """Return a worker's samples of all turns of a cell, in seconds per call.

        The first ``drop`` samples of each turn are left out, but never the last one.
        """
        row = self.rows[f"turns/{subject}/{worker}/{metric}"]
        if not drop:
            return row
        lengths = self.rows[f"turns/{subject}/{worker}/lengths"].astype(int)
        places = np.concatenate([np.arange(n) - min(drop, n - 1) for n in lengths])
        return row[places >= 0]


def save(launch_set: LaunchSet, path: Path) -> None:
    """Write the set to a file, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    text = np.array(json.dumps(asdict(launch_set.meta)))
    arrays: dict[str, Any] = {
        n: np.asarray(r, dtype=np.float32) for n, r in launch_set.rows.items()
    }
    with partial.open("wb") as file:
        np.savez_compressed(file, meta=text, **arrays)
    os.replace(partial, path)


def load(path: Path) -> LaunchSet:
    """Read one set of launches from a file.

    Raises:
        TraceError: the file is cut short or not a file of traces.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            rows = {name: file[name] for name in file.files if name != "meta"}
            return LaunchSet(Meta(**json.loads(str(file["meta"]))), rows)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TraceError(
            f"{path} cannot be read as traces ({error}); remove it and record again"
        ) from error


def load_all(folder: Path) -> list[LaunchSet]:
    """Read every set in a folder, in the order recorded."""
    return [load(path) for path in sorted(folder.glob("set-*.npz"))]
