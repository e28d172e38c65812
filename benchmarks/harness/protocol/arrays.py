"""Named arrays on disk, as ``.npz``: the one form in which arrays leave a process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write every array under its name. Names may hold any character but NUL."""
    # np.savez takes names as keywords; passing them this way keeps '/' and '.' in them
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read them all into memory; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Those whose name starts with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {n[len(start) :]: array for n, array in arrays.items() if n.startswith(start)}
