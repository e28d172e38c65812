"""Write and read named arrays as ``.npz`` files, the one form in which arrays leave a process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.protocol import disk


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays to the ``.npz`` file ``path``; a name may hold any character but NUL.

    Raises:
        DiskError: the folder has no room, or cannot be written; the message names it.
    """
    # np.savez takes names as keywords; passing them this way keeps '/' and '.' in them
    named = {name: np.asarray(array) for name, array in arrays.items()}
    with disk.writing(path):
        np.savez(path, **named)  # type: ignore[arg-type]


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read every array of an ``.npz`` file into memory, and return name → array.

    Nothing is unpickled, so no code in the file can run.
    """
    # opened here: NumPy leaves a file open in which it finds a damaged archive
    with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def select_prefix(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose name is ``<prefix>/<rest>``, as ``<rest>`` → array."""
    start = f"{prefix}/"
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}
