"""Read and write the raw samples of a run: a compressed ``.npz`` beside its JSON.

The file holds one row of times for each launch (worker process), named
``<kind>/<cell id>/<launch index>``, in seconds per call and in the order measured. Objects are
neither written nor read: nothing is ever unpickled.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results.records.record import RecordError

# `sample_key` of a record to one array [samples] a launch.
Samples = dict[str, list[NDArray[np.float64]]]

# What reading a damaged archive may raise.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)


def samples_path(path: Path) -> Path:
    """Return the path of the samples of the run that is stored in that JSON file."""
    return path.with_name(f"{path.stem}.samples.npz")


def packed(samples: Samples) -> bytes:
    """Return the samples as the bytes of an ``.npz`` file.

    Raises:
        ValueError: the samples of a launch are not one row [samples].
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, launches in samples.items():
            for index, launch in enumerate(launches):
                row = np.asarray(launch, dtype=np.float64)
                if row.ndim != 1:
                    raise ValueError(f"{key}: launch {index} has shape {row.shape}; give one row")
                with archive.open(f"{key}/{index}.npy", "w") as entry:
                    np.lib.format.write_array(entry, row, allow_pickle=False)
    return buffer.getvalue()


def read_samples(path: Path) -> Samples:
    """Read the samples of the run that is stored in that JSON file, from the file beside it.

    Returns:
        `sample_key` of a record → one row [samples] a launch, in seconds per call; empty where
        there is no such file.

    Raises:
        RecordError: the file exists, but is damaged or no file of samples.
    """
    source = samples_path(path)
    if not source.exists():
        return {}
    try:
        with zipfile.ZipFile(source) as archive:
            return _unpacked(archive)
    except _UNREADABLE as error:
        raise RecordError(
            f"{source} cannot be read as the samples of a run ({error}); "
            "copy it again, or move it away to read the run without its samples"
        ) from error


def _unpacked(archive: zipfile.ZipFile) -> Samples:
    """Return the samples in an open ``.npz`` file: `sample_key` → one row [samples] a launch.

    Raises:
        ValueError: an entry is no row of times, or a launch is absent.
    """
    samples: dict[str, dict[int, NDArray[np.float64]]] = {}
    for name in archive.namelist():
        key, _, index = name.removesuffix(".npy").rpartition("/")
        with archive.open(name) as entry:
            row = np.lib.format.read_array(entry, allow_pickle=False)
        if row.ndim != 1 or row.dtype != np.float64:
            raise ValueError(f"{name} is not a row of times")
        samples.setdefault(key, {})[int(index)] = row
    return {key: _in_order(key, launches) for key, launches in samples.items()}


def _in_order(key: str, launches: dict[int, NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return the rows of a cell in the order of their launches.

    Args:
        key: the cell, for the message of the error.
        launches: index of the launch → its row.

    Raises:
        ValueError: a launch is absent.
    """
    # Cells are paired by launch: with one gone, the wrong ones would be paired.
    if sorted(launches) != list(range(len(launches))):
        raise ValueError(f"{key} lacks a launch; it has {sorted(launches)}")
    return [launches[index] for index in range(len(launches))]
