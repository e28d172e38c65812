"""``cascade-bench regress --stored``: two saved runs of one machine against each other."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from benchmarks.regression import output
from results.records import storage
from results.records.record import AnyRecord, RecordError, Run
from results.regression import stored_runs
from results.regression.document import PACKAGES

HOW = (
    "two saved sessions: what changes from session to session is in every interval, as measured "
    "on unchanged code; to be sure, measure both sides in one: cascade-bench regress BASE"
)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Compare; returns the exit code.

    Raises:
        RecordError: a run is not there, both are one, or they are of different machines.
    """
    wanted = [name for name in (options.base, options.head) if name]
    if len(wanted) > 1:
        raise RecordError(
            f"--stored {options.stored} takes one more run, the newest by default, and these are "
            f"{len(wanted)}: {', '.join(wanted)}"
        )
    if options.base_python or options.head_python:
        raise RecordError(
            "--stored compares what was measured already, so there is no interpreter to choose; "
            "to compare two, leave it out: cascade-bench regress --base-python PATH"
        )
    base = storage.load_run(storage.find_run(options.stored, folder))
    path = (
        storage.find_run(wanted[0], folder) if wanted
        else storage.latest_run(folder, base.machine["id"])
    )  # fmt: skip
    head = storage.load_run(path)
    if (base.id, base.machine["id"]) == (head.id, head.machine["id"]):
        raise RecordError(f"run {base.id} is both sides; name two runs, or measure another first")
    base, head = (_chosen(run, options) for run in (base, head))
    return output.show_found(document(base, head), stored_runs.compared(base, head), options)


def _chosen(run: Run, options: argparse.Namespace) -> Run:
    """The run with those cells that are asked for."""
    wanted = {name: getattr(options, name) for name in cells.OPTIONS}
    named = {name: ",".join(given).split(",") for name, given in wanted.items() if given}
    kept = [record for record in run.records if _matches(record, named)]
    if named and not kept:
        told = " ".join(f"--{name}={','.join(names)}" for name, names in named.items())
        raise RecordError(f"run {run.id} has no cell of {told}")
    return replace(run, records=kept)


def _matches(record: AnyRecord, named: Mapping[str, Sequence[str]]) -> bool:
    return all(record[name] in names or "all" in names for name, names in named.items())


def document(base: Run, head: Run) -> dict[str, Any]:
    """What the tables say of the two runs."""
    return {
        "sides": {"base": _side(base), "head": _side(head)},
        "how": HOW,
        "arguments": ["--stored", base.id, head.id],
        "ids": [base.id, head.id],
    }


def _side(run: Run) -> dict[str, Any]:
    commit = str(run.machine.get("commit") or "commit not told")[:9]
    changed = " with changes" if run.machine.get("dirty") else ""
    label = f"run {run.id} of {run.started} ({commit}{changed})"
    return {"label": label, "versions": {n: run.machine.get(n) for n in PACKAGES}}
