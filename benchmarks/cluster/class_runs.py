"""Hold the runs of a session on a cluster: one for each class of machine that answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster.class_run import ClassRun
from benchmarks.cluster.unit import UnitAnswer
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import recording, resume
from benchmarks.harness.session.measurements import STOPPED
from results.records import storage
from results.records.record import Record, RecordError, Run, sample_key


class ClassRuns:
    """Find the run that a node's answer belongs to, and the record of a cell.

    Args:
        cells: all that the session measures.
        folder: of all runs.
        settings: of the session, see `jobs.settings_of`.
        about: ``session``, ``backend`` and ``refused``, which every run holds.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        folder: Path,
        settings: Mapping[str, Any],
        about: dict[str, Any],
    ) -> None:
        self._cells, self._folder = cells, folder
        self._settings, self.about = settings, about
        self._runs: dict[str, ClassRun] = {}  # id of a class of machine → its run
        self._unmeasured: dict[Cell, Record] = {}

    def __iter__(self) -> Iterator[ClassRun]:
        return iter(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    def restore(self, name: str, machine: str) -> None:
        """Go on with the runs of an earlier session.

        Args:
            name: of one of its runs, as ``--resume`` takes it.
            machine: id of the machine that submits.

        Raises:
            ResumeError: there is no such run, or its times would not be comparable.
            RecordError: it cannot be read.
        """
        runs = _siblings(self._find(name, machine), self._folder)
        known = {resume.cell_of(record) for run in runs for record in run.records}
        for run in runs:
            resume.check_code_and_settings(run, self._settings)
        if known != set(self._cells):
            raise resume.ResumeError(
                f"--resume: cannot go on with run {runs[0].id}: its session lacks "
                f"{len(set(self._cells) - known)} of the cells selected here and has "
                f"{len(known - set(self._cells))} others; repeat its command: "
                f"{resume.command_to_resume(runs[0])}"
            )
        self.about["session"] = _session_of(runs[0])
        for run in runs:
            restored = ClassRun.resumed(run, self._folder, self._settings, self.about)
            self._runs[run.machine["id"]] = restored

    def _find(self, name: str, machine: str) -> Run:
        """Return the run that ``--resume`` names, or the newest of a cluster that was stopped."""
        if name != resume.NEWEST:
            return resume.find_run(name, self._folder, machine)
        paths = sorted(storage.find_runs(self._folder), key=lambda path: path.stem)
        for path in reversed(paths):
            run = storage.load_run(path, samples=False)
            if run.settings.get("cluster") and (run.finished is None or run.interrupted):
                return run
        raise resume.ResumeError(
            f"--resume: no run of a cluster under {self._folder} was stopped before its end; "
            "name one, --resume=RUN, to measure again what failed in it, or leave --resume out"
        )

    def take(self, answer: UnitAnswer, cells: Sequence[Cell]) -> None:
        """Record a unit in the run of the class of machine that measured it, and in no other."""
        machine = answer["node"]["machine"]
        if machine["id"] not in self._runs:
            new = ClassRun(machine, self._folder, self._settings, self.about)
            self._runs[machine["id"]] = new
        for other in self:
            other.measurements.forget(cells)
        for cell in cells:
            self._unmeasured.pop(cell, None)
        self._runs[machine["id"]].take(answer, cells)

    def fail(self, cells: Sequence[Cell], outcome: str, reason: str) -> None:
        """Note why cells have no result; what an earlier session measured of them stays."""
        measured = self._measured()
        for cell in cells:
            if cell not in measured:
                self._unmeasured[cell] = recording.record_failure(cell, outcome, reason)

    def _measured(self) -> dict[Cell, ClassRun]:
        """Return the run that has measured each cell."""
        return {cell: run for run in self for cell in run.measurements.records}

    def unfinished(self, units: Mapping[str, Sequence[Cell]]) -> list[str]:
        """Return the units that have to be measured: those of which a cell has no good result."""
        measured = self._measured()

        def complete(cell: Cell) -> bool:
            run = measured.get(cell)
            record = run.measurements.records[cell] if run else None
            return bool(
                run
                and record
                and record["outcome"] == "ok"
                and sample_key(record) in run.measurements.samples
            )

        return [name for name, cells in units.items() if not all(map(complete, cells))]

    def record(self, cell: Cell) -> tuple[Record, list[Any]]:
        """Return a cell's record and its samples, for each launch."""
        run = self._measured().get(cell)
        if run is None:
            missing = recording.record_failure(cell, "interrupted", STOPPED)
            return self._unmeasured.get(cell, missing), []
        record = run.measurements.record(cell)
        return record, run.measurements.samples.get(sample_key(record), [])

    def save(self, *, interrupted: bool = False, ended: bool = False) -> None:
        """Save every run. Cells that nobody has measured stand in the first one.

        Args:
            interrupted: whether the session was stopped before its last unit.
            ended: whether the session is over.
        """
        measured = self._measured()
        missing = {cell: self.record(cell)[0] for cell in self._cells if cell not in measured}
        for index, run in enumerate(self):
            run.unmeasured = {} if index else missing
            run.interrupted = interrupted
            run.save(ended=ended)


def _siblings(run: Run, folder: Path) -> list[Run]:
    """Return a run and the others of its session, the one with unmeasured cells first."""
    session, runs = _session_of(run), []
    for path in storage.find_runs(folder):
        try:
            other = storage.load_run(path)
        except RecordError:
            continue  # of another session: that of this one was read before
        if other.settings.get("cluster") and _session_of(other) == session:
            runs.append(other)
    return sorted(runs, key=lambda one: one.id) or [run]


def _session_of(run: Run) -> str:
    """Return the session that a run is of."""
    return str((run.settings.get("cluster") or {}).get("session") or run.id)
