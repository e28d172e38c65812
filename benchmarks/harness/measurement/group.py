"""Measure one group: check every cell, then time those that passed, launch by launch.

`measure_group` takes and returns plain JSON data, and is handed the pool of workers that it uses,
so that two threads of a process can measure at the same time with a pool each.
`measure_group_anywhere` can be submitted to any `concurrent.futures.Executor`, such as that of a
cluster engine: it uses the pool of the thread that it runs in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.harness.launches import own_code_notes
from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed, WorkerTimeout
from benchmarks.harness.launches.pool import Pool, pool_of_this_thread
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.unreliable import UnreliableReference
from benchmarks.harness.measurement import limits, peak_memory, rank_parts
from benchmarks.harness.measurement.cell_results import CellResults
from benchmarks.harness.measurement.group_workers import GroupWorkers
from benchmarks.harness.measurement.job import GroupJob, GroupReport, GroupResult
from benchmarks.harness.measurement.preparation import Preparation
from benchmarks.harness.measurement.stopping import PrecisionGoal
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.cells import reference_kind
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError

LEAST_BLOCKS = 4


def measure_group_anywhere(job: GroupJob) -> GroupResult:
    """Measure a group with the workers of this thread, whichever process it runs in."""
    return measure_group(job, pool_of_this_thread())


def measure_group(job: GroupJob, pool: Pool) -> GroupResult:
    """Check and time the strategies or recipes of one group in the workers of a pool.

    A failure of a worker or a reference, or a disk without room, becomes the outcome of cells and
    raises nothing. Any other exception, such as `KeyboardInterrupt`, ends the pool's workers before
    it is raised again: one of them may still owe an answer, which the next group would receive.
    """
    group = GroupMeasurement(job, pool)
    try:
        group.run()
    except (UnreliableReference, WorkerError) as error:
        group.results.fail_all(error.outcome, str(error))
    except SpecError as error:
        group.results.fail_all(error.outcome, str(error))
    except BaseException as error:
        pool.end_workers()
        if not (isinstance(error, OSError) and disk.is_of_storage(error)):
            raise
        group.results.fail_all("crashed", disk.message(error))
    group.note_switches()
    group.workers.free_memory()
    return {"about": group.report(), "cells": group.results.outcomes()}


class GroupMeasurement:
    """Measure one group, from starting its workers to closing its problem."""

    def __init__(self, job: GroupJob, pool: Pool) -> None:
        self.job = job
        self.workers = GroupWorkers(job, pool)
        self.results = CellResults(job["strategies"])
        self.stopped: str | None = None
        self._described: dict[str, Any] = {}
        self._flows: dict[str, Any] = {}
        self._notes: list[str] = []
        self._spent: dict[str, float] = {}
        self._paused: list[float] = []

    def report(self) -> GroupReport:
        """Return what belongs to the group and to none of its cells; see `GroupReport`.

        That is a worker's description, the wall seconds of each activity, the seconds in which a
        worker was busy since the last report, why no launch was added, the proven flows, notes, and
        the pauses of the machine.
        """
        return {
            "described": self._described,
            "spent": self._spent,
            "worker_seconds": self.workers.pool.worker_seconds(),
            "stopped": self.stopped,
            "flows": dict(self._flows),
            "notes": self._notes,
            "paused": self._paused,
        }

    def note_switches(self) -> None:
        """Note what a user's own code has switched in its workers; nothing for our scenarios.

        The other framework, which computes a reference, matters only where nothing was measured.
        """
        if self.workers.owner:
            everywhere, framework = not self.results.alive(), self.job["framework"]
            launches = [
                launch
                for launch in self.workers.pool.workers()
                if everywhere or launch.framework == framework
            ]
            self._notes = own_code_notes.notes(self.workers.owner, launches)

    def run(self) -> None:
        """Start, compute the reference, prepare, time, measure memory, and close the problem."""
        start = time.monotonic()
        self.begin()
        if self.job["seconds"] > 0:
            self._measure(start)
        self.end()

    def begin(self) -> None:
        """Start the workers, compute the reference, prepare every launch, and set limits."""
        self.files = self._find_files()
        self._flows = self.files.references.flows
        self._start_workers()
        with self._spending("references"):
            reference = self._reference()
        self.preparation = Preparation(self.job, self.workers, self.results, self.files, reference)
        with self._spending("preparing"):
            self.preparation.prepare_all()
        if self.job["seconds"] > 0:
            with self._spending("limits"):
                self._set_limits()
                self._time_alone()

    def end(self) -> None:
        """Close the problem in every worker."""
        if not self.preparation.exceeds_memory:  # otherwise each worker was ended after its turn
            for launch in self.workers.launches():
                self.workers.close_problem(launch)

    def _find_files(self) -> ProblemFiles | CaseFiles:
        """Return the files of the job's scenario, or of the user's own case."""
        job, pool = self.job, self.workers.pool
        if case := job.get("case"):
            return pool.case_files(case, job["framework"])
        file = job.get("file")
        loading.load([file] if file else [], job["limit"])  # this may be another process
        problem = job["scenario"], job["variant"], job["size"]
        return pool.files(*problem, limit=job["limit"])

    def _start_workers(self) -> None:
        """Wait until all workers have loaded their framework, and keep their description."""
        launches = self.workers.launches()
        with self._spending("starting"):
            for launch in (*self.workers.references().values(), *launches):
                self._described = launch.wait_until_ready()

    def _reference(self) -> str:
        """Return the file of the float64 reference that the cells are compared with."""
        try:
            files = self._references()
        except WorkerError as error:
            error.args = (f"the float64 reference: {error}",)
            raise
        framework = self.job["framework"]
        failures = self.files.references.failures
        if framework in failures:
            raise failures[framework]
        return files[framework]

    def _references(self) -> dict[str, str]:
        """Compute the references, once more with a new worker if one died: framework → file.

        One that took too long would take as long again.
        """
        compute, cells = (
            self.files.references.compute,
            (reference_kind(self.job["kind"]), self.job["phase"]),
        )
        try:
            return compute(self.workers.references(), *cells)
        except (WorkerFailed, WorkerTimeout):
            raise
        except WorkerError:
            return compute(self.workers.references(), *cells)

    def _set_limits(self) -> None:
        """Give each cell its limit, by what a worker measures that times no cell.

        A case of the user's own has none: its session has no such worker.
        """
        operations, job = self.results.operations, self.job
        counted = {name: operations[name] for name in self.results.alive() if name in operations}
        in_full = job.get("precision_mode", IEEE) == IEEE  # see `recording.LIMITED_IN_FLOAT32`
        if counted and in_full and not job.get("case"):
            launch = self.workers.calibrating()
            figures_by_cell = limits.of_cells(launch, job["dtype"], counted, job["limit"])
            for name, figures in figures_by_cell.items():
                self.results[name].figures |= figures

    def _time_alone(self) -> None:
        """Let the ranks of the first launch time what they compute and exchange, each alone."""
        if not (rank_parts.are_predicted(self.job) and self.results.alive()):
            return
        launch = self.workers.launch(0)
        self.preparation.ensure_prepared(launch)
        figures_by_cell = rank_parts.of_cells(launch, self.results.alive(), self.job["limit"])
        for name, figures in figures_by_cell.items():
            self.results[name].figures |= figures

    def _measure(self, start: float) -> None:
        """Time the cells, as many launches as the goal needs, then measure their peak memory.

        Args:
            start: when the group began, by ``time.monotonic``.
        """
        self._time_launches(range(self.job["launches"]))
        rule = self.job.get("precision")
        if rule:
            self._add_launches(PrecisionGoal.from_rule(rule), start)
        with self._spending("memory"):
            for name in self.results.alive():
                peak = peak_memory.measure(self.job, self.files, name, self.workers.pool)
                self.results[name].figures |= peak

    def _add_launches(self, goal: PrecisionGoal, start: float) -> None:
        """Add launches, in steps, until the ratios are precise enough or the time is up.

        Args:
            goal: the precision to reach.
            start: when the group began, by ``time.monotonic``.
        """
        for count in goal.steps(self.workers.count):
            samples = {name: self.results[name].samples for name in self.results.alive()}
            self.stopped = goal.stop(samples, count, time.monotonic() - start)
            if self.stopped or count is None:
                break
            timed, self.workers.count = self.workers.count, count
            if not self.preparation.exceeds_memory:
                with self._spending("preparing"):
                    self.preparation.prepare_more(self.workers.launches()[timed:])
            self._time_launches(range(timed, count))

    def _time_launches(self, indices: range) -> None:
        """Time the cells in each of these launches, after preparing those that are not prepared."""
        for index in indices:
            with self._spending("preparing"):
                self.preparation.ensure_prepared(self.workers.launch(index))
            with self._spending("timing"):
                self._time_launch(index)
            if self.preparation.exceeds_memory:
                # closing the problem is not enough: the C library would keep the memory
                self.workers.launch(index).kill()

    def _time_launch(self, index: int) -> None:
        """Time one launch; if it fails, fail its cell, and time the other cells in a new worker."""
        while self.results.alive():
            launch = self.workers.launch(index)
            try:
                self._time(launch, index)
                break
            except WorkerError as error:
                self.results.blame(error)
                self.preparation.replace_and_prepare(launch)

    def _time(self, launch: Launch, index: int) -> None:
        """Time all cells that are alive in one worker, and add its samples to their results.

        Args:
            launch: the prepared worker.
            index: its number, which seeds the order of the cells.
        """
        job, results, names = self.job, self.results, self.results.alive()
        with_peak = [name for name in names if results.has_matrix_peak(name)]
        residuals = {name: results[name].figures.get("residual_bytes") for name in names}
        timed = launch.ask(
            "time",
            job["limit"],
            calls=residuals,
            seconds=job["seconds"] * len(names),
            least=LEAST_BLOCKS,
            seed=[job["seed"], index],
            products=with_peak[0] if with_peak else None,
        )
        samples = timed["samples"]
        self._paused += timed.get("paused", [])
        best = {key: min(times) for key, times in samples.items() if key.startswith("product/")}
        for name in names:
            results[name].samples.append(samples[name])
            results[name].steady.append(timed["steady"][name])
            if name in with_peak:
                peak = results.peak_seconds(name, with_peak[0], best)
                results[name].peak_seconds.append(peak)

    @contextmanager
    def _spending(self, activity: str) -> Iterator[None]:
        """Add the wall time of a block of code to an activity."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = self._spent.get(activity, 0.0)
            self._spent[activity] = spent + time.perf_counter() - start
