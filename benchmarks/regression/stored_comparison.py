"""Compare two saved runs of one machine, for ``cascade-bench regress --stored``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection.names import names_of_runs, split_names
from benchmarks.harness.selection.options import SelectionError
from benchmarks.regression import output
from results.records import storage
from results.records.record import AnyRecord, RecordError, Run
from results.regression import stored_runs
from results.regression.document import PACKAGES
from results.regression.notes import notes_of_sides

HOW = (
    "two saved sessions: what changes from session to session is in every interval, as measured "
    "on unchanged code; to be sure, measure both sides in one: cascade-bench regress BASE"
)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Compare the runs named by the options and show the result; return the exit code.

    Args:
        options: those of ``cascade-bench regress``.
        folder: where runs are saved.

    Raises:
        RecordError: a run does not exist, both are the same, or their machines differ.
        SelectionError: a run has no cell of the names that were given.
    """
    names = [name for name in (options.base, options.head) if name]
    if len(names) > 1:
        raise RecordError(
            f"--stored {options.stored} takes one more run, the newest by default, and these are "
            f"{len(names)}: {', '.join(names)}"
        )
    if options.base_python or options.head_python:
        raise RecordError(
            "--stored compares what was measured already, so there is no interpreter to choose; "
            "to compare two, leave it out: cascade-bench regress --base-python PATH"
        )
    base = storage.load_run(storage.find_run(options.stored, folder))
    if names:
        path = storage.find_run(names[0], folder)
    else:
        path = storage.latest_run(folder, base.machine["id"])
    head = storage.load_run(path)
    if (base.id, base.machine["id"]) == (head.id, head.machine["id"]):
        raise RecordError(f"run {base.id} is both sides; name two runs, or measure another first")
    base, head = (_selected(one, options) for one in (base, head))
    findings = stored_runs.compare(base, head)
    return output.show_analysis(document(base, head), findings, options)


def _selected(run: Run, options: argparse.Namespace) -> Run:
    """Return the run with only the records that the options select.

    Raises:
        SelectionError: the run has no such record.
    """
    given = {field: split_names(getattr(options, field)) for field in cells.OPTIONS}
    plain: Sequence[AnyRecord] = run.records
    there = {field: {record[field] for record in plain} for field in cells.OPTIONS}
    try:
        selected = names_of_runs(given, there)
    except SelectionError as error:
        raise SelectionError(f"run {run.id}: {error}") from None
    records = [record for record in run.records if _matches(record, selected)]
    if run.records and not records:
        named = {field: names for field, names in given.items() if names}
        arguments = " ".join(f"--{field}={','.join(names)}" for field, names in named.items())
        raise SelectionError(f"run {run.id} has no cell of {arguments}")
    return replace(run, records=records)


def _matches(record: AnyRecord, selected: Mapping[str, Sequence[str] | None]) -> bool:
    """Return whether a record is of a selected cell.

    Args:
        record: of a cell.
        selected: field of the cell → the names that it may have, None for any.
    """
    return all(names is None or record[field] in names for field, names in selected.items())


def document(base: Run, head: Run) -> dict[str, Any]:
    """Return the part of a comparison's document that tables need to describe the two runs."""
    return {
        "sides": {"base": _side(base), "head": _side(head)},
        "how": HOW,
        "arguments": ["--stored", base.id, head.id],
        "ids": [base.id, head.id],
        "notes": notes_of_sides({"base": _notes(base), "head": _notes(head)}),
    }


def _notes(run: Run) -> list[str]:
    """Return each note on a run's records once."""
    return list(dict.fromkeys(note for one in run.records for note in one.get("notes", ())))


def _side(run: Run) -> dict[str, Any]:
    """Return how the tables describe a run: its ``label`` and the ``versions`` of its packages."""
    commit = str(run.machine.get("commit") or "commit not told")[:9]
    changed = " with changes" if run.machine.get("dirty") else ""
    label = f"run {run.id} of {run.started} ({commit}{changed})"
    return {"label": label, "versions": {name: run.machine.get(name) for name in PACKAGES}}
