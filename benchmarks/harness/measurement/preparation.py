"""Prepare the cells of a group in its launches: build, compile, and check their gradients."""

from __future__ import annotations

from benchmarks.harness.launches import requests
from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.measurement import capacity
from benchmarks.harness.measurement.cell_results import CellResults
from benchmarks.harness.measurement.group_workers import GroupWorkers
from benchmarks.harness.measurement.job import OWN, GroupJob
from benchmarks.harness.protocol.cells import EAGER
from benchmarks.harness.protocol.messages import PrepareRequest
from benchmarks.harness.protocol.ranks import DISTRIBUTED

# sizes at which no call has a matrix peak, and that of a case of the user's own
UNCOUNTED_SIZES = ("seed", "small", OWN)


class Preparation:
    """Prepare launches, replace those that fail, and remember which are ready to be timed."""

    def __init__(
        self,
        job: GroupJob,
        workers: GroupWorkers,
        results: CellResults,
        files: ProblemFiles | CaseFiles,
        reference: str,
    ) -> None:
        self.job, self.workers, self.results = job, workers, results
        self.files, self.reference = files, reference
        # whether the problem would not fit into memory in all launches at once
        self.exceeds_memory = False
        self._prepared: set[Launch] = set()

    def prepare_all(self) -> None:
        """Prepare every launch: the first one compiles, the others find its work in the cache.

        Where the launches would not fit into memory beside each other, only the first is prepared
        here, and each of the others when its turn to be timed comes.
        """
        launches = self.workers.launches()
        self.prepare(launches[:1])
        if self.job["device"] == "cpu" and self.job["seconds"] > 0:
            first = self.workers.launch(0)
            self.exceeds_memory = capacity.exceeds_memory(first.pid, len(launches) - 1)
        if not self.exceeds_memory:
            self.prepare_more(launches[1:])

    def prepare_more(self, launches: list[Launch]) -> None:
        """Prepare launches after the first one, which has filled the cache of compiled programs.

        In compiled modes all are prepared at once; in eager mode one after another, as eager work
        uses every core, and so do several ranks.
        """
        if self.job["mode"] != EAGER and self.job["kind"] != DISTRIBUTED:
            self.prepare(launches)  # tracing takes one core each: all at once
        else:
            for launch in launches:  # eager work uses every core: two at once would slow each other
                self.prepare([launch])

    def ensure_prepared(self, launch: Launch) -> None:
        """Prepare a launch unless it is prepared.

        Where memory is short, a launch is prepared just before it is timed. One that died after it
        was prepared has been replaced by a new process, which is not prepared either.
        """
        if launch not in self._prepared:
            self.prepare([launch])

    def is_prepared(self, launch: Launch) -> bool:
        """Return whether the launch has prepared this group's cells."""
        return launch in self._prepared

    def prepare(self, launches: list[Launch]) -> None:
        """Prepare these launches at once; one that fails is replaced, and its successor prepared.

        This ends: each failure fails at least one cell, or uses up the one excuse of
        `CellResults.blame`, and without a cell that has not failed nothing is prepared.
        """
        waiting = launches
        while waiting and self.results.alive():
            waiting = [self.workers.replace(failed) for failed in self._prepare_once(waiting)]

    def replace_and_prepare(self, launch: Launch) -> None:
        """Replace a worker that failed by one that is prepared for what is left of the group."""
        self.prepare([self.workers.replace(launch)])

    def _prepare_once(self, launches: list[Launch]) -> list[Launch]:
        """Ask all launches to prepare, then wait for each; return those that failed."""
        preparing, failed = [], []
        for launch in launches:
            if not self.results.alive():  # opening it in one launch has failed the whole group
                break
            try:
                launch.wait_until_ready()
                self.files.open_in(launch)
                launch.send("prepare", **self._request())
                preparing.append(launch)
            except WorkerError as error:
                self.results.blame(error)
                failed.append(launch)
        for launch in preparing:
            try:
                self.results.add_prepared(launch.receive(self.job["limit"]))
                self._prepared.add(launch)
            except WorkerError as error:
                self.results.blame(error)
                failed.append(launch)
        return failed

    def _request(self) -> PrepareRequest:
        """Return the request to prepare all cells that are alive.

        It asks for counts of FLOPs and bytes only while these are unknown.
        """
        names = self.results.alive()
        return requests.prepare_request(
            self.job,
            self.files,
            self.reference,
            names,
            count=not any(self.results[name].figures for name in names),
            products=self.job["size"] not in UNCOUNTED_SIZES and self.job["kind"] != DISTRIBUTED,
        )
