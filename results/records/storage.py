"""Store runs on disk and find them: ``<folder>/<machine id>/<run id>.json``, samples beside it.

The raw samples are in ``<run id>.samples.npz``, named ``<kind>/<cell id>/<launch index>``. Both
files are first written whole under another name in the same folder, then moved into place, the
JSON last: a JSON that exists is whole, also when the run is stopped at any moment. Nothing read
here is unpickled or evaluated.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from results.records.files import Unreadable, read_regular
from results.records.record import (
    IEEE,
    RECORD_KEYS,
    SCHEMA,
    AnyRecord,
    Record,
    RecordError,
    Run,
    completed,
    finite,
    plain,
    sample_key,
)
from results.records.samples import packed, read_samples, samples_path
from results.records.texts import TooDeep, cleaned
from results.records.validation import (
    FOLDER_NAME,
    RUN_ID,
    RUN_RULES,
    document_problem,
    fitting,
    record_problem,
)

MEASURE = (
    "a clone has some already: --results results/reference; "
    "measure one with: pytest benchmarks --benchmark-only"
)
# A run of 300 cells takes 600 kB and 30,000 values. Text that is no ASCII, which
# no run of ours has, takes four times its size once it is read.
MOST_BYTES, MOST_BYTES_OF_UNICODE = 32 * 2**20, 4 * 2**20
MOST_VALUES = 10**6
NEWEST = 3  # how many ids of runs the message about an unknown id names


def check_writable(folder: Path | str) -> None:
    """Create the folder if need be, and write and remove a small file in it.

    A session calls this before any measuring, so that hours of it are not lost at the end.

    Raises:
        RecordError: the folder cannot be created or written to.
    """
    probe = Path(folder) / f".probe-{secrets.token_hex(6)}.tmp"
    try:
        _write_all({probe: b"can this be written?"})
    finally:
        _remove(probe)


def save_run(run: Run, folder: Path | str) -> Path:
    """Write the run, or write it again: a long run calls this as its checkpoint.

    Figures that are not finite, or out of their range, are saved as null with a reason; those of
    the settings and the machine, if not finite, as null.

    Returns:
        The path of the JSON.

    Raises:
        RecordError: the folder cannot be written, or the disk is full; no half-written file is
            left, and files that were saved before stay as they were.
        ValueError: the run does not fit its schema (a mistake in the caller).
    """
    _check_run(run)
    target: Path = Path(folder) / run.machine["id"] / f"{run.id}.json"
    contents = {samples_path(target): packed(run.samples), target: _document(run)}
    write_whole(contents)
    return target


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write each file whole under another name in its folder, then move all into place, in order.

    Raises:
        RecordError: a folder cannot be written, or the disk is full; no half-written file is
            left, and files that were there before stay as they were.
    """
    mark = f".{secrets.token_hex(6)}.tmp"
    temporary = {path.with_name(f".{path.name}{mark}"): data for path, data in contents.items()}
    try:
        _write_all(temporary)
        for source, destination in zip(temporary, contents, strict=True):
            _move(source, destination)
    finally:
        for path in temporary:
            _remove(path)


def load_run(path: Path | str, *, samples: bool = True) -> Run:
    """Read a run from its JSON file, with its samples from the file beside it.

    This is the door by which runs enter: everything is checked here (`validation`), and every text
    is made harmless (`texts`), so that no reader has to.

    There are no samples where that file is gone. Samples of cells that the JSON does not hold are
    left out: a run that was stopped between the two moves of a checkpoint has some.

    Args:
        samples: whether to read the samples, which take most of the time.

    Raises:
        RecordError: no such file, no regular one, too large, not JSON or cut short, not a valid
            run of this suite, of a newer schema, or its samples cannot be read.
    """
    path = Path(path)
    advice = "a run of this suite; measure the run again"
    document = checked_document(path, read_json(path), document_problem, advice)
    for record in document["records"]:
        record.setdefault("precision_mode", IEEE)  # runs from before there were others
    known = {sample_key(record) for record in document["records"]}
    stored = read_samples(path) if samples else {}
    matching = {key: rows for key, rows in stored.items() if key in known}
    document["records"] = [completed(record) for record in document["records"]]
    return Run(**{key: document[key] for key in RUN_RULES}, samples=matching)


def runs_folder(folder: Path | str) -> Path:
    """Return the folder that holds a folder of runs for each machine.

    It is the folder named, or its folder ``runs`` where only that has runs: a report, such as
    ``results/reference``, keeps those that it is made of there.
    """
    below = Path(folder) / "runs"
    return below if not _runs_in(Path(folder)) and _runs_in(below) else Path(folder)


def find_runs(folder: Path | str) -> list[Path]:
    """Return the JSON files of all runs under the folder, of all machines, newest last (by id).

    Files and folders whose names a run would not have are none.

    Args:
        folder: as for `runs_folder`.
    """
    return sorted(_runs_in(runs_folder(folder)), key=lambda path: (path.stem, path.parent.name))


def _runs_in(folder: Path) -> list[Path]:
    """Return the JSON files of runs that the folders of machines in a folder hold."""
    return [
        path
        for path in folder.glob("*/*.json")
        if RUN_ID.fullmatch(path.stem) and FOLDER_NAME.fullmatch(path.parent.name)
    ]


def latest_run(folder: Path | str, machine_id: str | None = None) -> Path:
    """Return the JSON file of the newest run, of that machine if one is given.

    Raises:
        RecordError: there is none.
    """
    runs = [path for path in find_runs(folder) if machine_id in (None, path.parent.name)]
    if not runs:
        whose = "" if machine_id is None else f" of machine {machine_id}"
        raise RecordError(f"no run{whose} under {folder}; {_way_to_a_run(Path(folder))}")
    return runs[-1]


def _way_to_a_run(folder: Path) -> str:
    """Return what to do where a folder has no run: which one to name, or how to measure one."""
    if not folder.is_dir():
        return f"there is no such folder; {MEASURE}"
    if any(RUN_ID.fullmatch(path.stem) for path in folder.glob("*.json")):
        return f"it is the folder of one machine: name the one above, {folder.resolve().parent}"
    return MEASURE


def find_run(name: str | None, folder: Path | str) -> Path:
    """Return the JSON file of a run.

    Args:
        name: a file, the id of a run under the folder, or None for the newest run there.

    Raises:
        RecordError: there is no such run, or there are several of that id.
    """
    if name is None:
        return latest_run(folder)
    if os.path.isdir(name) and find_runs(name):
        raise RecordError(
            f"{name} is a folder of runs; for the newest one in it: --results {shlex.quote(name)}"
        )
    if os.path.exists(name):
        return Path(name)
    runs = find_runs(folder)
    matches = [path for path in runs if path.stem == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        files = ", ".join(map(str, matches))
        raise RecordError(
            f"{len(matches)} runs under {folder} are {name}; name one's file: {files}"
        )
    newest = ", ".join(path.stem for path in runs[: -NEWEST - 1 : -1])
    there = f"the newest there: {newest}" if newest else f"there is none; {MEASURE}"
    raise RecordError(f"{name!r} is neither a file nor the id of a run under {folder}; {there}")


def _check_run(run: Run) -> None:
    """Raise ValueError unless the run has valid ids and records, and no samples of other cells."""
    if not RUN_ID.fullmatch(run.id):
        raise ValueError(f"run id {run.id!r} is not like 20261121T010203-ab12cd; use new_run_id()")
    machine_id = run.machine.get("id")
    if not isinstance(machine_id, str) or not FOLDER_NAME.fullmatch(machine_id):
        raise ValueError(
            f"machine id {machine_id!r} names a folder; use letters, digits, '.', '_' and '-'"
        )
    for record in run.records:
        whole = record.keys() >= set(RECORD_KEYS)
        problem = record_problem(_saved(record) if whole else plain(record))
        if problem:
            raise ValueError(f"record {record!r:.200}: {problem}; make records with new_record()")
    counts = Counter(sample_key(record) for record in run.records)
    repeated = [key for key, count in counts.items() if count > 1]
    unknown = sorted(run.samples.keys() - counts.keys())
    if repeated or unknown:
        raise ValueError(
            f"cells recorded twice: {repeated}; samples of no record: {unknown}; "
            "give one record a cell, and samples under sample_key(record)"
        )


def _document(run: Run) -> bytes:
    """Return a run, without its samples, as the bytes of its JSON file."""
    document = {"schema": SCHEMA} | {key: plain(getattr(run, key)) for key in RUN_RULES}
    document["records"] = [_saved(record) for record in run.records]
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def _saved(record: AnyRecord) -> Record:
    """Return a record as it is saved: in plain types, each figure in its range or null."""
    return fitting(finite(record))


def _write_all(contents: dict[Path, bytes]) -> None:
    """Write each file through to the disk: a full disk must show here, before any move."""
    for path, data in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _cannot_write(path.parent, error)


def _move(source: Path, destination: Path) -> None:
    """Rename a file; raise `RecordError` where that is impossible."""
    try:
        os.replace(source, destination)
    except OSError as error:
        _cannot_write(destination, error)


def _cannot_write(path: Path, error: OSError) -> NoReturn:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free some space there, or name" if full else "name"
    raise RecordError(
        f"cannot write results to {path}: {error.strerror or error}; "
        f"{advice} a folder that can be written"
    ) from error


def _remove(path: Path) -> None:
    # Where even this fails, the error that matters is being raised already.
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def checked_document(
    path: Path | str, document: Any, problem_of: Callable[[Any], str | None], advice: str
) -> Any:
    """Return what a file holds with every text cleaned, once it is known to be valid.

    Args:
        path: of the file.
        document: what it holds.
        problem_of: returns what is wrong with a document; None if nothing is.
        advice: what it should be, and what to do, for the message on a file nested too deeply.

    Raises:
        RecordError: the document is not valid.
    """
    try:
        problem = problem_of(document)
        document = cleaned(document)
    except (TooDeep, RecursionError):
        problem = f"is nested too deeply for {advice}"
    if problem:
        raise RecordError(f"{path} {problem}")
    return document


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise `RecordError` where it cannot be read.

    The file's size, and its number of values, are bounded before it is parsed.
    """
    try:
        data = read_regular(path, MOST_BYTES)
    except Unreadable as error:
        _unreadable(path, str(error))
    if len(data) > MOST_BYTES_OF_UNICODE and not data.isascii():
        _unreadable(
            path, f"is larger than {MOST_BYTES_OF_UNICODE // 2**20} MiB, and no plain ASCII"
        )
    if sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES:
        _unreadable(path, f"holds more than {MOST_VALUES} values")
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        _unreadable(path, "is not JSON, or was cut short")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unreadable(path: Path, problem: str) -> NoReturn:
    raise RecordError(
        f"{path} {problem}; give the JSON file of a run: <folder>/<machine id>/<run id>.json"
    )
