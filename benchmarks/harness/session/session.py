"""Run a benchmark session: measure every selected group once, save and print the results."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Executor
from pathlib import Path

import pytest

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.measurement import canaries
from benchmarks.harness.measurement.job import GroupJob, StoppingRule
from benchmarks.harness.measurement.measurer import Measurer
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import jobs, recording, resume, summary
from benchmarks.harness.session.checkpoint import Checkpoint
from benchmarks.harness.session.lock import Lock
from benchmarks.harness.session.open_run import OpenRun
from benchmarks.harness.session.progress import Progress
from benchmarks.harness.session.replay import Replay
from benchmarks.machine import environment
from benchmarks.paths import RUNS
from results.estimates.run_estimates import fit_priors
from results.records import canary_status, failures, storage
from results.records.record import Record, Run, sample_key
from results.statistics.moderation import NO_PRIOR


class BenchmarkSession(OpenRun):
    """Measure all cells of one pytest session, when the first result is needed.

    Args:
        cells: the selected cells.
        config: pytest's, with the options of ``benchmarks/conftest.py``.
        executor: runs the jobs of measuring; None: a thread of this process does.

    Raises:
        RecordError: the folder of runs cannot be written, or the run to resume cannot be read.
        ResumeError: there is no run to resume, or its times would not be comparable.
        Busy: another session is measuring on this machine.
    """

    def __init__(
        self, cells: list[Cell], config: pytest.Config, executor: Executor | None = None
    ) -> None:
        self.cells = cells
        self.config = config
        folder = Path(config.getoption("results") or RUNS)
        self.timing = not config.getoption("benchmark_disable")
        self._lock = Lock()
        if self.timing:
            storage.check_writable(folder)
            self._lock.take()
        self.checkpoint = Checkpoint(folder, enabled=self.timing)
        self.measurer = Measurer(executor)
        super().__init__(environment.describe(), jobs.settings_of(config, cells))
        if config.getoption("resume"):
            self._resume(resume.find_run(config.getoption("resume"), folder, self.machine["id"]))
        interrupt_at_end_signals()
        self._complete = False

    def _resume(self, run: Run) -> None:
        """Continue a stopped run under its own id."""
        resume.check_comparable(run, self.machine, self.settings, self.cells)
        self.machine = run.machine | self.machine
        self.go_on_with(run, self.cells)

    def result(self, cell: Cell) -> tuple[Record, Replay]:
        """Return the cell's record and its samples; the first call measures every cell."""
        if not self._complete:
            self._complete = True
            self._measure_all()
        record = self.measurements.record(cell)
        launches = self.measurements.samples.get(sample_key(record), [])
        return record, Replay([float(sample) for launch in launches for sample in launch])

    def _measure_all(self) -> None:
        """Measure the canaries, then every group that is not measured yet; save now and then."""
        measurements = self.measurements
        groups = resume.unfinished_groups(self.cells, measurements.records, measurements.samples)
        # a user's file has workers of its own, which end when the next file's start: one by one
        groups.sort(key=lambda members: str(members[0].spec.file or ""))
        for cell in self.cells:
            reason = cell.unsupported_reason()
            if reason:
                measurements.records[cell] = recording.record_failure(cell, "unsupported", reason)
        progress = Progress(self.config, len(groups), enabled=self.timing)
        try:
            if self.timing and groups:
                progress.begin("starting the workers and taking the canaries")
                self._measure_canaries([members[0] for members in groups])
            for members in groups:
                progress.begin_group(members)
                self._measure_group(members)
                self.checkpoint.save_now_and_then(self.run)
            measurements.estimate()
        except BaseException:
            self.interrupted = True
            raise
        finally:
            progress.clear()

    def _measure_canaries(self, cells: list[Cell]) -> None:
        """Check, before any cell is timed, that the harness measures known programs correctly.

        Args:
            cells: one of each group that will be timed.
        """
        settings = {
            "launches": self.settings["launches"],
            "limit": self.config.getoption("cell_limit"),
            "seed": self.settings["seed"],
        }
        verdicts = self.settings.setdefault("canaries", [])
        product_seconds = self.settings.setdefault("product_seconds", {})
        for result in canaries.take(self.measurer.measure_canaries, cells, settings):
            verdicts += result["verdicts"]
            product_seconds |= result["product_seconds"]
            self.measurements.add_time(result["spent"], result["worker_seconds"])

    def _measure_group(self, members: list[Cell]) -> None:
        """Measure the cells of a group and record them; record a bug of the harness as a crash."""
        future = self.measurer.measure_group(self._job(members))
        try:
            self.machine |= self.measurements.add_group(members, signal_safe_wait.result(future))
        except Exception as error:  # a bug of the harness must not cost the other groups
            reason = f"the harness failed: {type(error).__name__}: {error}"
            self.measurements.fail(members, "crashed", reason)

    def _job(self, members: list[Cell]) -> GroupJob:
        """Return the description of a group's measurement, which an executor may run elsewhere."""
        frameworks = list(dict.fromkeys(cell.framework for cell in self.cells))
        job = jobs.group_job(
            members, frameworks, self.settings, self.config.getoption("cell_limit")
        )
        job["precision"] = self._stopping_rule(members[0])
        if not self.timing:
            job |= {"launches": 1, "seconds": 0.0}
        return job

    def _stopping_rule(self, cell: Cell) -> StoppingRule | None:
        """Return how precise the group of this cell must be, or None without ``--precision``.

        The rule includes the spread of the framework's ratios so far.
        """
        if self.settings["precision"] is None:
            return None
        prior = fit_priors(self.measurements.comparisons()).get(cell.framework, NO_PRIOR)
        return jobs.stopping_rule(cell, self.settings, prior)

    def run(self, *, ended: bool = False) -> Run:
        """Return the run so far: a record of every selected cell, in the order of selection.

        Args:
            ended: whether the session is over, so that the run gets the time of its end.
        """
        self.measurements.estimate()
        return self.run_of(map(self.measurements.record, self.cells), ended=ended)

    def _whole_run(self) -> Run:
        """Return the run as it is at the end of the session, with the time of its end."""
        return self.run(ended=True)

    def finish(self) -> None:
        """Save the run, end the workers and release the lock, however the session ended."""
        if self._complete:
            self.checkpoint.save(self._whole_run)
        self.checkpoint.rescue(self._whole_run)
        self.measurer.close()
        self._lock.release()

    @property
    def save_error(self) -> str | None:
        """Return why the run could not be saved, None if it was."""
        return self.checkpoint.error

    @property
    def canary_failed(self) -> bool:
        """Return whether a canary failed."""
        return bool(canary_status.failed(self.settings))

    def summary(self, terminal: pytest.TerminalReporter) -> None:
        """Print ratios with verdicts, failures with their commands, and where the run was saved.

        The lines come after pytest-benchmark's own tables.
        """
        if self.timing and self._complete:
            summary.print_ratios(self._whole_run(), terminal)
        summary.print_failures(self.measurements.records.values(), terminal)
        summary.print_notes(self.measurements.records.values(), terminal)
        summary.print_canaries(self.settings, terminal)
        checkpoint, measurements = self.checkpoint, self.measurements
        if checkpoint.error:
            lines = summary.not_saved(checkpoint.error, checkpoint.path, checkpoint.rescued)
            for line in lines:
                terminal.write_line(line, red=True)
        elif checkpoint.path:
            wall = time.monotonic() - self._begin
            spent, busy = measurements.spent, measurements.worker_seconds
            terminal.write_line(summary.time_text(spent, busy, wall))
            for line in summary.pause_lines(measurements.paused):
                terminal.write_line(line)
            terminal.write_line(f"run saved: {checkpoint.path}")
            terminal.write_line(summary.report_command(checkpoint.path))
        self._print_resuming_command(terminal)
        if checkpoint.path and (hint := summary.activation_hint()):
            terminal.write_line(hint)

    def _print_resuming_command(self, terminal: pytest.TerminalReporter) -> None:
        """Print the command that continues the run, if it was saved and is not whole."""
        run = self.checkpoint.rescued or (self.checkpoint.path and self.id)
        if run and (self.interrupted or failures.failed(self.measurements.records.values())):
            purpose = "to go on" if self.interrupted else "all that failed again, in the same run"
            command = resume.resuming_command(self.settings["arguments"], run)
            terminal.write_line(f"{purpose}: {command}")


def interrupt_at_end_signals() -> None:
    """Make SIGTERM and SIGHUP raise `KeyboardInterrupt`, unless they are handled or ignored.

    The run is then saved and the workers are ended. A process started by ``nohup`` goes on ignoring
    SIGHUP.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
