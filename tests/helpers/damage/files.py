"""Damage the files of a run: their JSON, their bytes, the samples, what kind of file they are."""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from results.records.samples import samples_path
from tests.helpers.damage.values import BYTES, VALUES

KEPT = 2  # records in which values are damaged: all are alike


class Damage(NamedTuple):
    """One change of a run's files.

    Attributes:
        kind: a key of `CHANGES` or of `FILE_CHANGES`.
        place: chooses where; any number.
        choice: chooses what is put there; any number.
    """

    kind: str
    place: int
    choice: int


def inflict(path: Path, damages: list[Damage]) -> None:
    """Change the files of a run in place; those of its JSON come first, so that it is still JSON.

    Args:
        path: the JSON file of a sound run.
        damages: the changes.
    """
    document = json.loads(path.read_bytes())
    for damage in damages:
        if damage.kind in CHANGES:
            document = _changed(document, damage)
    path.write_bytes(_encoded(document))
    for damage in damages:
        if damage.kind in FILE_CHANGES:
            FILE_CHANGES[damage.kind](path, damage)


def _encoded(document: Any) -> bytes:
    """Return a value as JSON, NaN and infinity among it, with halves of surrogate pairs."""
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value inside a document, but of its first records alone."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, item in items[:KEPT] if isinstance(value, list) else items:
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _changed(document: Any, damage: Damage) -> Any:
    """Return a document with one value of it changed."""
    places = list(_places(document)) if isinstance(document, dict | list) else []
    if not places:
        return VALUES[damage.choice % len(VALUES)]
    container, key = places[damage.place % len(places)]
    CHANGES[damage.kind](container, key, damage)
    return document


def _replace(container: Any, key: Any, damage: Damage) -> None:
    container[key] = copy.deepcopy(VALUES[damage.choice % len(VALUES)])


def _delete(container: Any, key: Any, damage: Damage) -> None:
    del container[key]


def _repeat(container: Any, key: Any, damage: Damage) -> None:
    """Put a value a second time into its list, or under another key into its object."""
    twin = copy.deepcopy(container[key])
    if isinstance(container, list):
        container.append(twin)
    else:
        container[str(VALUES[damage.choice % len(VALUES)])] = twin


def _scale(container: Any, key: Any, damage: Damage) -> None:
    """Multiply a number, keeping its type, or turn another value into a text of itself."""
    value = container[key]
    factors = (-1, 0, 2, 10**6, 10**18, 1e-9, 1e-18)
    if isinstance(value, int | float) and not isinstance(value, bool):
        container[key] = type(value)(value * factors[damage.choice % len(factors)])
    else:
        container[key] = str(value)


def _swap(container: Any, key: Any, damage: Damage) -> None:
    """Put another value of the same container in this one's place."""
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    container[key] = copy.deepcopy(container[keys[damage.choice % len(keys)]])


# of the values in the JSON
CHANGES = {
    "replace": _replace,
    "delete": _delete,
    "repeat": _repeat,
    "scale": _scale,
    "swap": _swap,
}


def _flip(path: Path, damage: Damage) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[damage.place * 7919 % len(data)] ^= 1 << damage.choice % 8
    path.write_bytes(data)


def _insert(path: Path, damage: Damage) -> None:
    data = path.read_bytes()
    at = damage.place * 7919 % (len(data) + 1)
    path.write_bytes(data[:at] + BYTES[damage.choice % len(BYTES)] + data[at:])


def _cut(path: Path, damage: Damage) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: damage.place * 7919 % (len(data) + 1)])


def _of_samples(change: Any) -> Any:
    return lambda path, damage: change(samples_path(path), damage)


def _become(path: Path, damage: Damage) -> None:
    """Put something that is no regular file, or another file, in the file's place."""
    path.unlink()
    ways = (
        lambda: os.symlink(path.name, path),  # leads back to itself
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: os.symlink("/dev/zero", path),
        lambda: os.symlink("/dev/null", path),
        lambda: os.symlink(path.with_name("gone"), path),
        lambda: path.write_bytes(b""),
        lambda: None,
    )
    ways[damage.choice % len(ways)]()


def _row(path: Path, damage: Damage) -> None:
    """Put another array, or other numbers, in the place of one row of samples."""
    entries = _entries(path)
    names = list(entries)
    name = names[damage.place % len(names)] if names else "x/0.npy"
    arrays: tuple[Any, ...] = (
        np.zeros(3), -np.ones(3), np.full(3, np.nan), np.full(3, np.inf), np.full(3, 1e308),
        np.full(3, 5e-324), np.empty(0), np.ones((2, 2)), np.ones(3, np.float32), np.array(1.0),
        np.array(["a"]), np.ones(3, ">f8"), np.ones(3) * 1e-3, np.ones(10**6),
    )  # fmt: skip
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, arrays[damage.choice % len(arrays)], allow_pickle=False)
    _pack(path, list((entries | {name: buffer.getvalue()}).items()))


def _rename(path: Path, damage: Damage) -> None:
    """Give a row of samples another name, among them that of another row."""
    entries = list(_entries(path).items())
    names = ["x", "../../outside/0.npy", "a/b/-1.npy", "x/²", "\x1b[31m/0.npy", entries[0][0]]
    at = damage.place % len(entries)
    entries[at] = (names[damage.choice % len(names)], entries[at][1])
    _pack(path, entries)


def _entries(path: Path) -> dict[str, bytes]:
    """Return the entries of an archive by name; empty where it cannot be read any more."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return {"x/0.npy": b""}


def _pack(path: Path, entries: list[tuple[str, bytes]]) -> None:
    if path.is_symlink() or path.exists():
        path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with (
        warnings.catch_warnings(action="ignore"),  # that two entries have one name
        zipfile.ZipFile(path, "w", methods[len(entries) % 2]) as archive,
    ):
        for name, data in entries:
            archive.writestr(name, data)


def _only_regular(change: Any) -> Any:
    """Return a change that leaves alone what another damage has made no regular file."""

    def changed(path: Path, damage: Damage) -> None:
        if path.is_file() and not path.is_symlink():
            change(path, damage)

    return changed


# of the files: the JSON, and the samples
FILE_CHANGES = {
    "flip": _only_regular(_flip),
    "insert": _only_regular(_insert),
    "cut": _only_regular(_cut),
    "become": _only_regular(_become),
    "flip samples": _of_samples(_only_regular(_flip)),
    "insert samples": _of_samples(_only_regular(_insert)),
    "cut samples": _of_samples(_only_regular(_cut)),
    "samples become": _of_samples(_only_regular(_become)),
    "row": _of_samples(_only_regular(_row)),
    "rename": _of_samples(_only_regular(_rename)),
}
