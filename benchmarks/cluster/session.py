"""Run a benchmark session on a cluster: the counterpart of `BenchmarkSession`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import node_environment
from benchmarks.cluster.class_runs import ClassRuns
from benchmarks.cluster.controller import Controller
from benchmarks.cluster.engines import Start, start_backend
from benchmarks.cluster.progress import ClusterProgress
from benchmarks.cluster.settings import ClusterSettings
from benchmarks.cluster.unit import UnitAnswer, UnitJob, by_unit, unit_job
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import jobs, resume, summary
from benchmarks.harness.session.checkpoint import CHECKPOINT_SECONDS
from benchmarks.harness.session.replay import Replay
from benchmarks.harness.session.session import interrupt_at_end_signals
from benchmarks.machine import environment
from benchmarks.paths import RUNS
from results.records import canary_status, failures, storage
from results.records.record import Record, new_run_id


class ClusterSession:
    """Measure all cells of one pytest session on the nodes of a cluster.

    Args:
        cells: the selected cells.
        config: pytest's, with the options of ``benchmarks/conftest.py``.
        settings: what the file of ``--cluster`` says.
        start: starts the engine.

    Raises:
        RecordError: the folder of runs cannot be written, or the run to resume cannot be read.
        ResumeError: there is no run to resume, or its times would not be comparable.
        ClusterError: the engine cannot be used.
    """

    def __init__(
        self,
        cells: list[Cell],
        config: pytest.Config,
        settings: ClusterSettings,
        start: Start = start_backend,
    ) -> None:
        self.cells, self.config = cells, config
        folder = Path(config.getoption("results") or RUNS)
        storage.check_writable(folder)
        self._machine = environment.describe()
        self._settings = jobs.settings_of(config, cells)
        about = {"session": new_run_id(), "backend": settings.backend, "refused": {}}
        self.runs = ClassRuns(cells, folder, self._settings, about)
        if config.getoption("resume"):
            self.runs.restore(config.getoption("resume"), self._machine["id"])
        self._units = by_unit(cells)
        self.backend = start(settings, new_run_id())
        self.controller = Controller(self.backend, self._took, self._failed)
        interrupt_at_end_signals()
        self.interrupted = self._complete = False
        self._saved = self._begin = time.monotonic()

    def result(self, cell: Cell) -> tuple[Record, Replay]:
        """Return the cell's record and its samples; the first call measures every cell."""
        if not self._complete:
            self._complete = True
            self._measure_all()
        record, launches = self.runs.record(cell)
        return record, Replay([float(sample) for launch in launches for sample in launch])

    def _measure_all(self) -> None:
        """Have every unit measured that is not yet, and take what comes, as it comes."""
        for cell in self.cells:
            reason = cell.unsupported_reason()
            if reason:
                self.runs.fail([cell], "unsupported", reason)
        units = self._jobs(self.runs.unfinished(self._units))
        self.progress = ClusterProgress(self.config, units)
        try:
            self.controller.run(units, lambda: self.progress.show(self.controller))
        except BaseException:
            self.interrupted = True
            raise
        finally:
            self.progress.clear()

    def _jobs(self, names: list[str]) -> list[UnitJob]:
        """Return the jobs of some units."""
        frameworks = list(dict.fromkeys(cell.framework for cell in self.cells))
        expected = node_environment.expected(self.cells, self._machine)
        limit = self.config.getoption("cell_limit")
        return [
            unit_job(name, self._units[name], frameworks, self._settings, limit, expected)
            for name in names
        ]

    def _took(self, answer: UnitAnswer) -> None:
        """Record a unit that was measured, and save now and then."""
        self.runs.take(answer, self._units[answer["unit"]])
        self.runs.about["refused"] = dict(self.controller.refused)
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS or len(self.runs) == 1:
            self.runs.save(interrupted=True)
            self._saved = time.monotonic()

    def _failed(self, unit: str, reason: str) -> None:
        """Record a unit that no node measured."""
        self.runs.fail(self._units[unit], "crashed", reason)

    def finish(self) -> None:
        """Save the runs and end the engine, however the session ended."""
        self.runs.about["refused"] = dict(self.controller.refused)
        try:
            if self._complete:
                self.runs.save(interrupted=self.interrupted, ended=True)
        finally:
            self.backend.close()

    @property
    def save_error(self) -> str | None:
        """Return why a run could not be saved, None if all were."""
        return next((run.checkpoint.error for run in self.runs if run.checkpoint.error), None)

    @property
    def canary_failed(self) -> bool:
        """Return whether a canary failed on a node whose times are kept, which none does."""
        return any(canary_status.failed(run.settings) for run in self.runs)

    def summary(self, terminal: pytest.TerminalReporter) -> None:
        """Print, for each class of machine, ratios and where its run was saved; then the rest."""
        for run in self.runs if self._complete else ():
            if len(self.runs) > 1:
                terminal.section(f"machine {run.machine['id']}: {', '.join(run.nodes)}")
            summary.print_ratios(run.run(ended=True), terminal)
        records = [self.runs.record(cell)[0] for cell in self.cells] if self._complete else []
        summary.print_failures(records, terminal)
        summary.print_notes(records, terminal)
        for node, reason in self.controller.refused.items():
            terminal.write_line(f"node {node}: {reason}: it got nothing more", yellow=True)
        for run in self.runs:
            self._print_saved(run.checkpoint, terminal)
        self._print_resuming_command(records, terminal)

    def _print_saved(self, checkpoint: Any, terminal: pytest.TerminalReporter) -> None:
        """Print where a run was saved, or why it was not."""
        if checkpoint.error:
            for line in summary.not_saved(checkpoint.error, checkpoint.path, checkpoint.rescued):
                terminal.write_line(line, red=True)
        elif checkpoint.path:
            terminal.write_line(f"run saved: {checkpoint.path}")
            terminal.write_line(summary.report_command(checkpoint.path))

    def _print_resuming_command(
        self, records: list[Record], terminal: pytest.TerminalReporter
    ) -> None:
        """Print the command that goes on, if something was saved and something is missing."""
        first = next(iter(self.runs), None)
        if first and first.checkpoint.path and (self.interrupted or failures.failed(records)):
            purpose = "to go on" if self.interrupted else "all that failed again, in the same run"
            command = resume.resuming_command(self._settings["arguments"], first.id)
            terminal.write_line(f"{purpose}: {command}")
