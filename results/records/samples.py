"""Read and write the raw samples of a run: a compressed ``.npz`` beside its JSON.

The file holds one row of times for each launch (worker process), named
``<kind>/<cell id>/<launch index>``, in seconds per call and in the order measured. Objects are
neither written nor read: nothing is ever unpickled. How much an archive unpacks to is known from
its directory, and refused before it is unpacked where that is too much.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from results.records.files import Unreadable, read_regular
from results.records.record import RecordError
from results.records.validation import samples_problem

# `sample_key` of a record to one array [samples] a launch.
Samples = dict[str, list[NDArray[np.float64]]]

# A run of 300 cells and 6 launches takes 0.7 MB, and 1,800 rows of 4 MB in all.
MOST_BYTES, MOST_UNPACKED, MOST_ROWS = 64 * 2**20, 128 * 2**20, 100_000
_ENTRY = b"PK\x01\x02"  # what each entry of an archive's directory begins with
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

# What reading a damaged archive may raise.
_UNREADABLE = (
    OSError,
    ArithmeticError,
    LookupError,
    ValueError,
    EOFError,
    MemoryError,
    RuntimeError,
    TypeError,
    SyntaxError,
    zlib.error,
    zipfile.BadZipFile,
)


def samples_path(path: Path) -> Path:
    """Return the path of the samples of the run that is stored in that JSON file."""
    return path.with_name(f"{path.stem}.samples.npz")


def packed(samples: Samples) -> bytes:
    """Return the samples as the bytes of an ``.npz`` file.

    The samples of a cell with an impossible time, such as 0, are left out: its record says why it
    has no estimate.

    Raises:
        ValueError: the samples of a launch are not one row [samples].
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, launches in samples.items():
            rows = [_row(key, index, launch) for index, launch in enumerate(launches)]
            for index, row in enumerate([] if any(map(samples_problem, rows)) else rows):
                with archive.open(f"{key}/{index}.npy", "w") as entry:
                    np.lib.format.write_array(entry, row, allow_pickle=False)
    return buffer.getvalue()


def _row(key: str, index: int, launch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the samples of a launch as a row [samples]; raise ValueError if they are none."""
    row = np.asarray(launch, dtype=np.float64)
    if row.ndim != 1:
        raise ValueError(f"{key}: launch {index} has shape {row.shape}; give one row")
    return row


def read_samples(path: Path) -> Samples:
    """Read the samples of the run that is stored in that JSON file, from the file beside it.

    Returns:
        `sample_key` of a record → one row [samples] a launch, in seconds per call; empty where
        there is no such file.

    Raises:
        RecordError: the file exists, but is damaged, too large, or no file of samples.
    """
    source = samples_path(path)
    if not source.exists() and not source.is_symlink():
        return {}
    try:
        data = read_regular(source, MOST_BYTES)
        if data.count(_ENTRY) > MOST_ROWS:
            raise ValueError(f"it has more than {MOST_ROWS} entries")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive)
    except (Unreadable, *_UNREADABLE) as error:
        raise RecordError(
            f"{source} cannot be read as the samples of a run ({error}); "
            "copy it again, or move it away to read the run without its samples"
        ) from error


def _unpacked(archive: zipfile.ZipFile) -> Samples:
    """Return the samples in an open ``.npz`` file: `sample_key` → one row [samples] a launch.

    Raises:
        ValueError: the entries unpack to too much, one is no row of times, or a launch is absent.
    """
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ValueError(f"it unpacks to more than {MOST_UNPACKED // 2**20} MiB")
    samples: dict[str, dict[int, NDArray[np.float64]]] = {}
    for entry in entries:
        key, _, index = entry.filename.removesuffix(".npy").rpartition("/")
        if entry.compress_type not in _METHODS or not (index.isascii() and index.isdecimal()):
            raise ValueError(f"{entry.filename:.200} is not a row of times")
        launches = samples.setdefault(key, {})
        if int(index) in launches:
            raise ValueError(f"{entry.filename:.200} stands there twice")
        with archive.open(entry) as packed_row:
            launches[int(index)] = _read_row(packed_row, entry)
    return {key: _in_order(key, launches) for key, launches in samples.items()}


def _read_row(file: IO[bytes], entry: zipfile.ZipInfo) -> NDArray[np.float64]:
    """Return the row of times in an entry, whose header must agree with the entry's size.

    Args:
        file: the entry, open.
        entry: what the archive's directory says of it.

    Raises:
        ValueError: it is no row [samples] of times in seconds.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{entry.filename:.200} is not a row of times")
    shape, _, dtype = _HEADERS[version](file)
    size = math.prod(shape) * dtype.itemsize
    if len(shape) != 1 or dtype != np.float64 or file.tell() + size != entry.file_size:
        raise ValueError(f"{entry.filename:.200} is not a row of times")
    row = np.frombuffer(file.read(), dtype=np.float64)
    problem = samples_problem(row)
    if problem:
        raise ValueError(f"{entry.filename:.200} has {problem}")
    return row


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
        raise ValueError(f"{key:.200} lacks a launch; it has {sorted(launches)!s:.200}")
    return [launches[index] for index in range(len(launches))]
