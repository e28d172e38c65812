"""Going on with a run that was stopped: which one, whether it may be, and what of it is kept.

It goes on under its own id: there is then one run with every cell, and no half of it beside. What
a group needs whole, all its strategies in the same launches, is taken over whole or measured again
whole.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from benchmarks.scenarios import FRAMEWORKS
from benchmarks.scenarios.spec import part_of
from results.records import storage
from results.records.record import CELL_FIELDS, Record, Run, plain, sample_key

NEWEST = "newest"
# The code that a time depends on. How times become estimates does not count: estimates are made
# anew from the samples whenever a run is read.
MEASURING = (
    "benchmarks/harness/protocol",
    "benchmarks/harness/worker",
    "benchmarks/harness/launches",
    "benchmarks/harness/measurement",
    "benchmarks/scenarios",
    "impl_torch",
    "impl_jax",
)
HOW_ASKED = ("arguments",)  # of the settings, what says how the cells were named, not measured


class ResumeError(Exception):
    """A run that cannot be gone on with: one line for the person who asked for it."""


def find(asked: str, folder: Path, machine: str) -> Run:
    """The run of that path or id; for ``newest`` this machine's newest that is not whole.

    Raises `ResumeError` where there is none, `RecordError` where it cannot be read.
    """
    if asked != NEWEST:
        return storage.load_run(_path(asked, folder))
    for path in reversed(storage.find_runs(folder)):
        if path.parent.name == machine:
            run = storage.load_run(path)
            if run.finished is None or run.interrupted:
                return run
    raise ResumeError(
        f"--resume: no run under {folder / machine} was stopped before its end; "
        "name one, --resume=RUN, to measure again what failed in it, or leave --resume out"
    )


def _path(asked: str, folder: Path) -> Path:
    if Path(asked).is_file():
        return Path(asked)
    found = [path for path in storage.find_runs(folder) if path.stem == asked]
    if not found:
        raise ResumeError(
            f"--resume={asked}: neither a file nor the id of a run under {folder}; "
            "give one of these, or --resume alone, as the last argument, for the newest"
        )
    return found[0]


def check(
    run: Run, machine: Mapping[str, Any], settings: Mapping[str, Any], cells: Sequence[Cell]
) -> None:
    """Raises `ResumeError` where what is still to be measured would not be comparable."""
    why = (
        _other_machine(run, machine)
        or _other_code(run, settings["code"])
        or _other_settings(run, settings)
        or _other_cells(run, cells)
    )
    if why:
        raise ResumeError(f"--resume: cannot go on with run {run.id}: {why}")


def _other_machine(run: Run, machine: Mapping[str, Any]) -> str | None:
    if run.machine["id"] == machine["id"]:
        return None
    names = [name for name in environment.STABLE if run.machine.get(name) != machine[name]]
    differing = ", ".join(f"{n} {run.machine.get(n)!r} there, {machine[n]!r} here" for n in names)
    return (
        f"it is of another machine or other versions ({differing or run.machine['id']}), "
        "and times of two are never mixed; measure anew, without --resume"
    )


def _other_code(run: Run, code: str) -> str | None:
    if run.settings.get("code") == code:
        return None
    commit, changed = run.machine.get("commit"), run.machine.get("dirty")
    at = f" (commit {commit[:12]}{' and uncommitted changes' if changed else ''})" if commit else ""
    return f"it was measured by other code{at}; go back to that, or measure anew, without --resume"


def _other_settings(run: Run, settings: Mapping[str, Any]) -> str | None:
    for name, value in settings.items():
        there, here = run.settings.get(name), plain(value)
        if name not in HOW_ASKED and there != here:
            return f"{name} is {there} there, {here} here; repeat its command: {command(run)}"
    return None


def _other_cells(run: Run, cells: Sequence[Cell]) -> str | None:
    there, here = {cell_of(record) for record in run.records}, set(cells)
    if there == here:
        return None
    return (
        f"it lacks {len(here - there)} of the cells selected here and has {len(there - here)} "
        f"others; repeat its command: {command(run)}"
    )


def command(run: Run) -> str:
    """The command line that goes on with the run."""
    return again(run.settings.get("arguments", ["benchmarks", "--benchmark-only"]), run.id)


def again(arguments: Iterable[str], run: str | Path) -> str:
    """The arguments of a session as a command line that goes on with its run, an id or a file."""
    kept: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--resume" and words and not words[0].startswith("-"):
            words.pop(0)  # the run that was named then
        elif word != "--resume" and not word.startswith("--resume="):
            kept.append(word)
    return shlex.join(["pytest", *kept, f"--resume={run}"])


def kept(run: Run, cells: Iterable[Cell]) -> dict[Cell, Record]:
    """What the run knows of each cell; a cell it never came to is left out."""
    known = {cell_of(record): record for record in run.records}
    return {cell: known[cell] for cell in cells if known[cell]["outcome"] != "interrupted"}


def unfinished(
    cells: Iterable[Cell], records: Mapping[Cell, Record], samples: Mapping[str, Any]
) -> list[list[Cell]]:
    """The groups that are to be measured: all but those whose every cell went well."""

    def well(cell: Cell) -> bool:
        record = records.get(cell)
        return record is not None and record["outcome"] == "ok" and sample_key(record) in samples

    possible = (cell for cell in cells if not cell.unsupported())
    return [members for members in groups(possible).values() if not all(map(well, members))]


def cell_of(record: Mapping[str, Any]) -> Cell:
    return Cell(**{name: record[name] for name in CELL_FIELDS})


def code_digest(cells: Iterable[Cell]) -> str:
    """A hash of all the code that a time depends on, a user's own included.

    Not the commit: a work tree has changes that no commit knows, and a commit changes much on which
    no time depends.
    """
    files = sorted(path for part in MEASURING for path in (ROOT / part).rglob("*.py"))
    for spec in sorted({cell.spec.file for cell in cells if cell.spec.file}):
        files += [spec, *(part_of(spec, framework) for framework in FRAMEWORKS)]
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]
