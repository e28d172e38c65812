"""The raw traces of a set of launches, and their file: float32, compressed, nothing pickled."""

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
    """Traces that are not there or cannot be read, and what to do."""


@dataclass
class Meta:
    """What a set of launches is. ``seconds`` went into start, prepare, turns, solo, long, total."""

    index: int
    condition: str
    half: str
    turn: float
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)  # in a sample, per subject


@dataclass
class LaunchSet:
    """Seconds per call. Rows stand under ``turns/<subject>/<worker>/<metric>`` with the samples of
    each turn counted under ``…/lengths``, ``solo/<subject>/<worker>``, ``long/<subject>``."""

    meta: Meta
    rows: dict[str, Row] = field(default_factory=dict)

    def turns(self, subject: str, worker: int, metric: str, drop: int = 0) -> Row:
        """All samples of a cell's turns, the first ``drop`` of each turn left out."""
        row = self.rows[f"turns/{subject}/{worker}/{metric}"]
        if not drop:
            return row
        lengths = self.rows[f"turns/{subject}/{worker}/lengths"].astype(int)
        places = np.concatenate([np.arange(n) - min(drop, n - 1) for n in lengths])
        return row[places >= 0]  # a turn always keeps its last


def save(found: LaunchSet, path: Path) -> None:
    """Write the set whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    text = np.array(json.dumps(asdict(found.meta)))
    arrays: dict[str, Any] = {n: np.asarray(r, dtype=np.float32) for n, r in found.rows.items()}
    with partial.open("wb") as file:
        np.savez_compressed(file, meta=text, **arrays)
    os.replace(partial, path)


def load(path: Path) -> LaunchSet:
    """Read one set.

    Raises:
        TraceError: the file is cut short or none of ours.
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
    """Every set recorded in a folder, in the order recorded."""
    return [load(path) for path in sorted(folder.glob("set-*.npz"))]
