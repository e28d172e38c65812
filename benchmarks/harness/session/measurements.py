"""Collect the results of a session: records, samples, proven flows, and the time spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.harness.measurement.job import GroupResult
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import recording, resume
from results.estimates.run_estimates import Comparison, compare, estimate_run, margins_for
from results.records.record import Record, Run, sample_key
from results.statistics.verdict import ALPHA

NOT_OF_THE_MACHINE = ("pid", "protocol")  # keys of a worker's hello that differ between workers
STOPPED = "the run was stopped before this cell was measured"


class Measurements:
    """Hold the record and the samples of every cell measured so far."""

    def __init__(self) -> None:
        self.records: dict[Cell, Record] = {}
        # sample key → for each launch the seconds per call, in the order taken
        self.samples: dict[str, list[np.ndarray]] = {}
        self.spent: dict[str, float] = {}  # wall seconds by activity
        self.worker_seconds = 0.0  # during which a worker was busy, see `busy_time`
        # "scenario/variant" → framework → loss → network → value, zero or absent
        self.flows: dict[str, dict[str, Any]] = {}
        self.stopped: dict[str, str] = {}  # name of a group → why it got no further launch
        # name of a group → seconds of each pause for which a block of its samples was set aside
        self.paused: dict[str, list[float]] = {}

    def restore(self, run: Run, cells: Iterable[Cell]) -> None:
        """Take over the results of a run that is being continued.

        Args:
            run: the stopped run.
            cells: of this session, all of which the run has a record of.
        """
        self.records = resume.measured_records(run, cells)
        keys = {sample_key(r) for r in self.records.values() if r["outcome"] == "ok"}
        self.samples = {key: series for key, series in run.samples.items() if key in keys}
        self.spent = dict(run.settings["spent_seconds"])
        self.worker_seconds = run.settings["worker_seconds"]
        self.flows = {name: dict(proven) for name, proven in run.settings["flows"].items()}
        self.stopped = dict(run.settings["stopped"])
        self.paused = dict(run.settings.get("paused", {}))

    def add_time(self, spent: Mapping[str, float], worker_seconds: float) -> None:
        """Add the seconds that a job spent on each activity, and those its workers were busy."""
        self.worker_seconds += worker_seconds
        for activity, seconds in spent.items():
            self.spent[activity] = self.spent.get(activity, 0.0) + seconds

    def add_group(self, members: list[Cell], result: GroupResult) -> dict[str, Any]:
        """Record every cell of a group, with its samples, the flows proven and the time spent.

        Args:
            members: the cells of the group.
            result: what measuring the group returned.

        Returns:
            Versions, threads and precision of the framework, as its worker describes them.
        """
        self.forget(members)  # an earlier session may have recorded them
        about, cells = result["about"], result["cells"]
        self.add_time(about["spent"], about["worker_seconds"])
        if about["flows"]:
            problem = f"{members[0].scenario}/{members[0].variant}"
            self.flows.setdefault(problem, {}).update(about["flows"])
        if about["stopped"]:
            self.stopped[" ".join(members[0].group)] = about["stopped"]
        if about["paused"]:
            self.paused[" ".join(members[0].group)] = list(about["paused"])
        notes = about.get("notes")  # none of a group that failed as a whole
        baseline = cells.get(members[0].baseline)
        baseline_flops = baseline["figures"].get("flops") if baseline else None
        baseline_limit = recording.sound_limit(baseline) if baseline else None
        alone = recording.alone_seconds(baseline) if baseline else None
        for cell in members:
            outcome = cells[cell.strategy]
            record = recording.record_measurement(
                cell, outcome, baseline_flops, baseline_limit, alone
            )
            self.records[cell] = {**record, "notes": notes} if notes else record
            if outcome["outcome"] == "ok" and outcome["samples"]:
                series = [np.asarray(launch) for launch in outcome["samples"]]
                self.samples[sample_key(self.records[cell])] = series
        described = about["described"].items()
        return {k: v for k, v in described if k not in NOT_OF_THE_MACHINE and v is not None}

    def fail(self, members: list[Cell], outcome: str, reason: str) -> None:
        """Record cells that could not be timed, all for the same reason.

        Args:
            members: the cells.
            outcome: of each cell, such as ``crashed``.
            reason: stands in the records in place of every figure.
        """
        self.forget(members)
        self.records |= {cell: recording.record_failure(cell, outcome, reason) for cell in members}

    def forget(self, members: Iterable[Cell]) -> None:
        """Drop the records and samples of cells, and what was noted of their group."""
        for cell in members:
            for noted in (self.paused, self.stopped):
                noted.pop(" ".join(cell.group), None)
            self.records.pop(cell, None)
            self.samples.pop(sample_key(asdict(cell)), None)

    def estimate(self) -> None:
        """Estimate the ratios of all timed cells anew.

        An estimate uses the spread of every other cell of its framework.
        """
        known = self._known()
        estimated = estimate_run([self.records[cell] for cell in known], self.samples)
        self.records |= dict(zip(known, estimated, strict=True))

    def settings(self) -> dict[str, Any]:
        """Return what a run records of measuring as a whole, beside the session's settings."""
        return {
            "spent_seconds": self.spent,
            "worker_seconds": self.worker_seconds,
            "flows": self.flows,
            "stopped": self.stopped,
            "paused": self.paused,
            "alpha": ALPHA,
            "margins": margins_for(self.comparisons()),
        }

    def comparisons(self) -> list[Comparison]:
        """Return the comparison of every timed cell with its baseline."""
        return compare([self.records[cell].copy() for cell in self._known()], self.samples)

    def record(self, cell: Cell) -> Record:
        """Return the cell's record; its outcome is ``interrupted`` if it was never measured."""
        return self.records.get(cell) or recording.record_failure(cell, "interrupted", STOPPED)

    def _known(self) -> list[Cell]:
        """Return the cells that have samples, and those that failed: a baseline may have."""
        return [
            cell
            for cell, record in self.records.items()
            if record["outcome"] != "ok" or sample_key(record) in self.samples
        ]
