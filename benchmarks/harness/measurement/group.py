"""Measure one group: gate every cell, then time what passed, launch by launch, interleaved.

`measure_group` takes and returns plain JSON data and keeps its workers in a pool of its own
process, so that it can be submitted to any `concurrent.futures.Executor`: a thread here, or a
cluster engine's process elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness.launches import pool, requests
from benchmarks.harness.launches.launch import (
    Launch,
    WorkerCrashed,
    WorkerError,
    WorkerFailed,
    outcome_of,
    told,
)
from benchmarks.harness.launches.problems import Untrusted
from benchmarks.harness.measurement import capacity, peak_memory
from benchmarks.harness.measurement.stopping import PrecisionGoal
from benchmarks.harness.protocol.cells import EAGER
from benchmarks.harness.worker import gate
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError

# under this many FLOPs a call's time is dispatch, and its share of the GEMM peak says nothing
PEAK_FLOPS = 1e8
LEAST_BLOCKS = 4


@dataclass
class CellResult:
    """What measuring a cell came to; ``samples`` is one list of seconds per call a launch.

    ``steady`` says of each of these launches whether its times had no trend left.
    """

    outcome: str = "ok"
    why: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    samples: list[list[float]] = field(default_factory=list)
    steady: list[bool | None] = field(default_factory=list)
    peak_seconds: list[float] = field(default_factory=list)

    def fail(self, outcome: str, why: str) -> None:
        self.outcome, self.why = outcome, why
        self.samples, self.steady, self.peak_seconds = [], [], []


def measure_group(job: Mapping[str, Any]) -> dict[str, Any]:
    """Gate and time the strategies of one group.

    ``job`` holds the cells' fields but for ``strategy``, and ``strategies`` (or recipes; what
    stands before an ``@`` is what is built, so ``summed@again`` is a copy of ``summed``),
    ``references`` (frameworks), ``file`` (where a user's own spec stands), ``launches``,
    ``seconds`` (per launch), ``limit`` (seconds a cell may take to answer), ``seed``, ``memory``
    (whether a process of its own measures each cell's) and, where more launches may follow,
    ``precision`` (`Precision.job`). Returns a dict for each strategy: the fields of `CellResult`;
    and under ``""`` the worker's description, the seconds spent on starting, references, preparing,
    timing and memory, for how long of them workers worked (`effort`), why no further launch was
    taken, and by framework the flow of this variant as it was proven (`flow.matrix`).
    """
    group = _Group(job)
    try:
        group.run()
    except (Untrusted, WorkerError, SpecError) as error:
        outcome = "crashed" if isinstance(error, SpecError) else error.outcome
        for strategy in group.alive():
            group.results[strategy].fail(outcome, str(error))
    except BaseException:  # a worker may still owe an answer, which the next group would get
        pool.POOL.end_workers()
        raise
    about = {
        "described": group.described,
        "spent": group.spent,
        "worker_seconds": pool.POOL.worker_seconds(),
        "stopped": group.stopped,
        "flows": dict(group.flows),
    }
    return {"": about} | {name: vars(one) for name, one in group.results.items()}


class _Group:
    def __init__(self, job: Mapping[str, Any]) -> None:
        self.job = job
        self.results = {strategy: CellResult() for strategy in job["strategies"]}
        self.flows: Mapping[str, Any] = {}
        self.described: dict[str, Any] = {}
        self.products: dict[str, list[list[float]]] = {}
        self.spent: dict[str, float] = {}
        self.count: int = job["launches"]  # launches so far
        self.stopped: str | None = None
        self._excused = False
        self._prepared: set[Launch] = set()
        self._exceeds_memory = (
            False  # whether memory is too short for the problem in all launches at once
        )

    def alive(self) -> list[str]:
        return [name for name, result in self.results.items() if result.outcome == "ok"]

    def run(self) -> None:
        job, start = self.job, time.monotonic()
        loading.load([job["file"]] if job.get("file") else [])  # this may be another process
        self.files = pool.POOL.files(job["scenario"], job["variant"], job["size"])
        self.flows = self.files.flows
        workers = self._workers()
        with self._spending("starting"):
            for one in (*self._reference_launches().values(), *workers):
                self.described = one.ready()
        with self._spending("references"):
            self.reference = self._reference()
        with self._spending("preparing"):
            self._prepare_all(workers)
        if job["seconds"] > 0:
            self._time_all(range(job["launches"]))
            if job.get("precision"):
                self._go_on(PrecisionGoal.of(job["precision"]), start)
            with self._spending("memory"):
                for name in self.alive():
                    self.results[name].figures |= peak_memory.peak(job, self.files, name)
        for launch in self._workers() if not self._exceeds_memory else ():  # else they are gone
            self._close(launch)

    def _time_all(self, indices: range) -> None:
        for index in indices:
            with self._spending("preparing"):
                self._assure(self._worker(index))
            with self._spending("timing"):
                self._attempt(index, self._time)
            if self._exceeds_memory:  # closing alone gives nothing back: the C library keeps it
                self._worker(index).kill()

    def _assure(self, launch: Launch) -> None:
        """Prepare it if it is not: where memory is short its turn comes only now, and one that died
        since it was prepared has been replaced by a fresh one."""
        if launch not in self._prepared and self.alive():
            self._prepare([launch])

    def _go_on(self, precision: PrecisionGoal, start: float) -> None:
        """More launches, step by step, until the ratios are precise enough or the time is up."""
        for count in precision.steps(self.count):
            samples = {name: self.results[name].samples for name in self.alive()}
            self.stopped = precision.stop(samples, count, time.monotonic() - start)
            if self.stopped or count is None:
                break
            done, self.count = self.count, count
            if not self._exceeds_memory:
                with self._spending("preparing"):
                    self._prepare_more(self._workers()[done:])
            self._time_all(range(done, count))

    def _reference_launches(self) -> dict[str, Launch]:
        return {f: pool.POOL.launches(f, "cpu", "float64", 1)[0] for f in self.job["references"]}

    def _reference(self) -> str:
        """The file to hold this group to; a reference worker that died is tried once more."""
        wanted = self.job["kind"], self.job["phase"]
        try:
            try:
                files = self.files.reference(self._reference_launches(), *wanted)
            except WorkerFailed:
                raise
            except WorkerError:
                files = self.files.reference(self._reference_launches(), *wanted)
        except WorkerError as error:
            error.args = (f"the float64 reference: {error}",)
            raise
        mine: str = self.job["framework"]
        if mine in self.files.unsound:
            raise self.files.unsound[mine]
        return files[mine]

    def _prepare_all(self, workers: list[Launch]) -> None:
        """The first launch compiles, the others find its work in the cache.

        Where they would not fit into memory beside each other, each is prepared when it is timed.
        """
        self._prepare(workers[:1])
        if self.job["device"] == "cpu" and self.job["seconds"] > 0:
            self._exceeds_memory = capacity.exceeds_memory(self._workers()[0].pid, len(workers) - 1)
        if not self._exceeds_memory:
            self._prepare_more(workers[1:])

    def _prepare_more(self, workers: list[Launch]) -> None:
        if self.job["mode"] != EAGER:
            self._prepare(workers)  # tracing takes one core each: all at once
        else:
            for one in workers:  # eager work takes every core: side by side they only spin
                self._prepare([one])

    def _workers(self) -> list[Launch]:
        job = self.job
        return pool.POOL.launches(job["framework"], job["device"], job["dtype"], self.count)

    def _worker(self, index: int) -> Launch:
        """That launch alone: where memory is short, those whose turn is over are not replaced."""
        job = self.job
        return pool.POOL.launch(job["framework"], job["device"], job["dtype"], index)

    @contextmanager
    def _spending(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[what] = self.spent.get(what, 0.0) + time.perf_counter() - start

    def _prepare(self, workers: list[Launch]) -> None:
        """Prepare on all of these at once; a worker that fails is replaced and tried again."""
        sent = []
        for launch in workers:
            try:
                launch.ready()
                self.files.open_in(launch)
                launch.send("prepare", **self._preparation())
                sent.append(launch)
            except WorkerError as error:
                self._blame(error)
                self._again(launch)
        for launch in sent:
            try:
                self._gated(launch.receive(self.job["limit"]))
                self._prepared.add(launch)
            except WorkerError as error:
                self._blame(error)
                self._again(launch)

    def _again(self, launch: Launch) -> None:
        """A fresh worker for what is left of the group."""
        launch.kill()
        fresh = pool.POOL.replace(launch)
        if self.alive():
            self._prepare([fresh])

    def _preparation(self) -> dict[str, Any]:
        names = self.alive()
        return requests.request(
            self.job,
            self.files,
            self.reference,
            names,
            count=not any(self.results[name].figures for name in names),
            products=self.job["size"] not in ("seed", "small"),
        )

    def _gated(self, prepared: Mapping[str, Any]) -> None:
        for name, found in prepared.items():
            result = self.results[name]
            if "error" in found:
                error = found["error"]
                result.fail(outcome_of(error), told(error))
            elif result.outcome == "ok":
                self._note(name, result, found)

    def _note(self, name: str, result: CellResult, found: Mapping[str, Any]) -> None:
        """Figures are the first launch's; the gradient errors are the worst of all launches."""
        if not result.figures:
            result.figures = {k: v for k, v in found.items() if k != "products"}
            if found.get("products"):
                self.products[name] = found["products"]
        error, worst = found["gradient_error"], result.figures["gradient_error"]
        if error and worst:
            result.figures["gradient_error"] = gate.worst(error, worst)
        if found["equivalence"] != "pass":
            result.figures["equivalence"] = found["equivalence"]
            result.fail("wrong_gradients", found["equivalence"])

    def _time(self, launch: Launch, index: int) -> None:
        job, names = self.job, self.alive()
        peaked = [name for name in names if self._peak_meant(name)]
        residuals = {name: self.results[name].figures.get("residual_bytes") for name in names}
        found = launch.ask(
            "time",
            job["limit"],
            calls=residuals,
            seconds=job["seconds"] * len(names),
            least=LEAST_BLOCKS,
            seed=[job["seed"], index],
            products=peaked[0] if peaked else None,
        )
        samples = found["samples"]
        best = {key: min(times) for key, times in samples.items() if key.startswith("product/")}
        for name in names:
            self.results[name].samples.append(samples[name])
            self.results[name].steady.append(found["steady"][name])
            if peaked and name in peaked:
                self.results[name].peak_seconds.append(self._peak_seconds(name, peaked[0], best))

    def _peak_meant(self, name: str) -> bool:
        """Whether this cell's work is matrix products, and large enough to speak of a peak."""
        products, flops = self.products.get(name), self.results[name].figures.get("flops")
        total = sum(each * count for each, count in products or [])
        return bool(flops and total >= PEAK_FLOPS and abs(total / flops - 1) < 0.05)

    def _peak_seconds(self, name: str, timed: str, best: Mapping[str, float]) -> float:
        """The best times of each of the cell's products, summed: each of the same FLOPs is alike.

        Only the first cell's products are timed; the others of the group compute the same ones in
        other numbers, so their sum goes by FLOPs.
        """
        per_flop = sum(
            best[f"product/{i}"] * count for i, (_, count) in enumerate(self.products[timed])
        ) / sum(each * count for each, count in self.products[timed])
        return per_flop * sum(each * count for each, count in self.products[name])

    def _attempt(self, index: int, step: Callable[[Launch, int], None]) -> None:
        """Time one launch; if it fails, blame its cell, replace it and time what is left."""
        while self.alive():
            launch = self._worker(index)
            try:
                step(launch, index)
                break
            except WorkerError as error:
                self._blame(error)
                self._again(launch)

    def _blame(self, error: WorkerError) -> None:
        """The cell the worker was at.

        Where it was at none, the whole group; but one worker that dies so is only replaced, as it
        may have been killed from outside.
        """
        if error.cell in self.results:
            self.results[error.cell].fail(error.outcome, str(error))
        elif isinstance(error, WorkerCrashed) and not self._excused:
            self._excused = True
        else:
            for name in self.alive():
                self.results[name].fail(error.outcome, str(error))

    @staticmethod
    def _close(launch: Launch) -> None:
        """Let the problem go; a worker that cannot is replaced, its times are taken already."""
        try:
            launch.ask("close")
        except WorkerError:
            launch.kill()
            pool.POOL.replace(launch)
