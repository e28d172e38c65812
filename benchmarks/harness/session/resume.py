"""Continue a run that was stopped: find it, check that it is comparable, and reuse its cells.

The run continues under its own id, so that one run has every cell and no half of it is left beside.
All strategies of a group must be timed in the same launches: a group is either reused as a whole or
measured again as a whole.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.harness.session import own_files
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from benchmarks.scenarios import FRAMEWORKS
from benchmarks.scenarios.spec import part_of
from results.records import storage
from results.records.record import CELL_FIELDS, Record, Run, plain, sample_key

NEWEST = "newest"
# The code that a time depends on. The code that turns times into estimates is not part of it:
# estimates are computed anew from the samples whenever a run is read.
MEASURING = (
    "benchmarks/harness/protocol",
    "benchmarks/harness/worker",
    "benchmarks/harness/launches",
    "benchmarks/harness/measurement",
    "benchmarks/harness/ranks",
    "benchmarks/scenarios",
    "impl_torch",
    "impl_jax",
)
# Settings that a session saves at its first checkpoint, and goes on from.
NEEDED = ("wall_seconds", "worker_seconds", "spent_seconds", "flows", "stopped")
NOT_COMPARED = ("arguments",)  # settings that say how cells were selected, not how measured


class ResumeError(Exception):
    """Raised when a run cannot be continued; the message is one line for the user."""


def find_run(name: str, folder: Path, machine: str) -> Run:
    """Load the run to continue.

    Args:
        name: path or id of a run, or ``newest`` for this machine's newest incomplete run.
        folder: of all runs.
        machine: id of this machine.

    Raises:
        ResumeError: there is no such run.
        RecordError: the run cannot be read.
    """
    if name != NEWEST:
        return storage.load_run(_path(name, folder))
    for path in reversed(storage.find_runs(folder)):
        if path.parent.name == machine:
            run = storage.load_run(path)
            if run.finished is None or run.interrupted:
                return run
    raise ResumeError(
        f"--resume: no run under {folder / machine} was stopped before its end; "
        "name one, --resume=RUN, to measure again what failed in it, or leave --resume out"
    )


def _path(name: str, folder: Path) -> Path:
    """Return the file of the run that ``--resume`` names, by its path or by its id.

    Args:
        name: path or id of a run.
        folder: of all runs.

    Raises:
        ResumeError: there is no such run.
    """
    if Path(name).is_file():
        return Path(name)
    paths = [path for path in storage.find_runs(folder) if path.stem == name]
    if not paths:
        raise ResumeError(
            f"--resume={name}: neither a file nor the id of a run under {folder}; "
            "give one of these, or --resume alone, as the last argument, for the newest"
        )
    return paths[0]


def check_comparable(
    run: Run, machine: Mapping[str, Any], settings: Mapping[str, Any], cells: Sequence[Cell]
) -> None:
    """Raise `ResumeError` unless new times would be comparable with those of the run.

    Args:
        run: the run to continue.
        machine: description of this machine.
        settings: of this session.
        cells: selected in this session.
    """
    reason = _other_machine(run, machine)
    if reason:
        raise ResumeError(f"--resume: cannot go on with run {run.id}: {reason}")
    check_code_and_settings(run, settings, cells)


def check_code_and_settings(
    run: Run, settings: Mapping[str, Any], cells: Sequence[Cell] | None = None
) -> None:
    """Raise `ResumeError` unless code and settings are those of the run; the machine may differ.

    Args:
        run: the run to continue.
        settings: of this session.
        cells: selected in this session, which must be those of the run; None: any.
    """
    reason = (
        _other_code(run, settings["code"])
        or _other_settings(run, settings)
        or (_other_cells(run, cells) if cells is not None else None)
        or _lacking(run)
    )
    if reason:
        raise ResumeError(f"--resume: cannot go on with run {run.id}: {reason}")


def _other_machine(run: Run, machine: Mapping[str, Any]) -> str | None:
    """Return why the run cannot be resumed: it is of another machine; None if it is of this one."""
    if run.machine["id"] == machine["id"]:
        return None
    names = [name for name in environment.STABLE if run.machine.get(name) != machine[name]]
    differing = ", ".join(f"{n} {run.machine.get(n)!r} there, {machine[n]!r} here" for n in names)
    return (
        f"it is of another machine or other versions ({differing or run.machine['id']}), "
        "and times of two are never mixed; measure anew, without --resume"
    )


def _other_code(run: Run, code: str) -> str | None:
    """Return why the run cannot be resumed: other code measured it; None if the code is the same.

    Args:
        run: the run to continue.
        code: hash of the code that would measure now, see `code_digest`.
    """
    if run.settings.get("code") == code:
        return None
    commit, changed = run.machine.get("commit"), run.machine.get("dirty")
    at = f" (commit {commit[:12]}{' and uncommitted changes' if changed else ''})" if commit else ""
    return f"it was measured by other code{at}; go back to that, or measure anew, without --resume"


def _other_settings(run: Run, settings: Mapping[str, Any]) -> str | None:
    """Return why the run cannot be resumed: its first setting that differs; None if none does."""
    for name, value in settings.items():
        there, here = run.settings.get(name), plain(value)
        if name not in NOT_COMPARED and there != here:
            repeat = f"repeat its command: {command_to_resume(run)}"
            return f"{name} is {there} there, {here} here; {repeat}"
    return None


def _other_cells(run: Run, cells: Sequence[Cell]) -> str | None:
    """Return why the run cannot be resumed: its cells are not those selected; None if they are."""
    there, here = {cell_of(record) for record in run.records}, set(cells)
    if there == here:
        return None
    return (
        f"it lacks {len(here - there)} of the cells selected here and has {len(there - here)} "
        f"others; repeat its command: {command_to_resume(run)}"
    )


def _lacking(run: Run) -> str | None:
    """Return why the run cannot be resumed: its file lacks a setting; None if it has them all."""
    absent = [name for name in NEEDED if run.settings.get(name) is None]
    if not absent:
        return None
    return f"its file lacks settings.{', settings.'.join(absent)}; measure anew, without --resume"


def command_to_resume(run: Run) -> str:
    """Return the command line that continues a run."""
    arguments = run.settings.get("arguments") or ["benchmarks", "--benchmark-only"]
    return resuming_command(arguments, run.id)


def resuming_command(arguments: Iterable[str], run: str | Path) -> str:
    """Return a command line that continues a session's run.

    Args:
        arguments: of the session, without ``pytest``.
        run: id or file of its run.
    """
    others: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--resume" and words and not words[0].startswith("-"):
            words.pop(0)  # the run that the session itself continued
        elif word != "--resume" and not word.startswith("--resume="):
            others.append(word)
    return shlex.join(["pytest", *others, f"--resume={run}"])


def measured_records(run: Run, cells: Iterable[Cell]) -> dict[Cell, Record]:
    """Return cell → record of the cells that the run has measured, with or without success."""
    records = {cell_of(record): record for record in run.records}
    return {cell: records[cell] for cell in cells if records[cell]["outcome"] != "interrupted"}


def unfinished_groups(
    cells: Iterable[Cell], records: Mapping[Cell, Record], samples: Mapping[str, Any]
) -> list[list[Cell]]:
    """Return the groups to measure: those in which a cell failed, or was not measured.

    Args:
        cells: the selected ones; those that cannot exist are left out.
        records: of the cells measured so far.
        samples: of the cells measured so far, by `sample_key`.
    """

    def complete(cell: Cell) -> bool:
        record = records.get(cell)
        return record is not None and record["outcome"] == "ok" and sample_key(record) in samples

    possible = (cell for cell in cells if not cell.unsupported_reason())
    return [members for members in groups(possible).values() if not all(map(complete, members))]


def cell_of(record: Mapping[str, Any]) -> Cell:
    """Return the cell that a record is about."""
    return Cell(**{name: record[name] for name in CELL_FIELDS})


def code_digest(cells: Iterable[Cell]) -> str:
    """Return a hash of all code that the times of these cells depend on, a user's own included.

    The commit would not do: a work tree may have uncommitted changes, and most commits change
    nothing that a time depends on.
    """
    return digest_of(cell.spec.file for cell in cells if cell.spec.file)


def digest_of(specs: Iterable[Path]) -> str:
    """Return a hash of all code that measures, and of these specs of a user's with their parts.

    What specs and parts import from their folder is among it.
    """
    files = sorted(path for part in MEASURING for path in (ROOT / part).rglob("*.py"))
    for spec in sorted(set(specs)):
        own = [spec, *(part_of(spec, framework) for framework in FRAMEWORKS)]
        files += [*own, *own_files.imported_beside(own)]
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        # with its folder: a file that moves to another package is another program
        place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
        digest.update(f"{place.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]
