"""The benchmark session: measures every selected group once, keeps the records, replays them."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import pool, signal_safe_wait
from benchmarks.harness.measurement import canaries, group
from benchmarks.harness.measurement.stopping import PrecisionGoal
from benchmarks.harness.protocol import memory_limit
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import recording, resume
from benchmarks.harness.session import summary as ending
from benchmarks.harness.session.lock import Lock
from benchmarks.harness.session.progress import Progress
from benchmarks.machine import environment
from benchmarks.paths import RUNS
from results.estimates.run_estimates import (
    Comparison,
    compare,
    estimate_run,
    fit_priors,
    margins_for,
)
from results.records import canary_status, failures, storage
from results.records import record as records
from results.records.record import Record, Run, sample_key
from results.statistics.moderation import NO_PRIOR
from results.statistics.verdict import ALPHA

CHECKPOINT_SECONDS = 5.0  # what may be lost to a power cut


class Replay:
    """A clock that tells the measured series: each call of `advance` takes its next sample."""

    def __init__(self, samples: list[float]) -> None:
        self.samples = samples
        self._told = 0.0
        self._next = 0

    def now(self) -> float:
        return self._told

    def advance(self) -> None:
        self._told += self.samples[self._next % len(self.samples)]
        self._next += 1


def replay(timed_cell: tuple[Record, Replay], benchmark: Any) -> None:
    """Feed a cell's samples, all launches in order, into pytest-benchmark's own fixture.

    A cell without a time fails, and leaves no entry in pytest-benchmark's tables and files.
    """
    record, series = timed_cell
    if record["outcome"] != "ok":
        reason, rerun = record["missing"]["seconds"], record["rerun"]
        pytest.fail(f"{record['outcome']}: {reason}\n{rerun}", pytrace=False)
    benchmark.extra_info.update(_brief(record))
    if benchmark.enabled:
        benchmark.pedantic(series.advance, rounds=len(series.samples), iterations=1)
    else:
        benchmark.pedantic(lambda: None)  # --benchmark-disable: checked, not timed


def _brief(record: Record) -> dict[str, Any]:
    """Without the error of every single parameter: pytest-benchmark's JSON stays short."""
    error = record["gradient_error"]
    kept = error and {name: part for name, part in error.items() if name != "parameters"}
    return {**record, "gradient_error": kept}


class BenchmarkSession:
    """All cells of this session; measuring starts when the first result is asked for."""

    def __init__(
        self, chosen: list[Cell], config: pytest.Config, executor: Executor | None = None
    ) -> None:
        self.cells = chosen
        self.config = config
        self.folder = Path(config.getoption("results") or RUNS)
        self.timing = not config.getoption("benchmark_disable")
        self.lock = Lock()
        if self.timing:
            storage.check_writable(self.folder)
            self.lock.take()
        self.executor = executor or ThreadPoolExecutor(1)
        self.records: dict[Cell, Record] = {}
        self.samples: dict[str, list[np.ndarray]] = {}
        self.machine = environment.describe()
        self.id, self.started = records.new_run_id(), records.utc_now()
        self.settings = {
            "launches": config.getoption("launches"),
            "cell_seconds": config.getoption("cell_seconds"),
            "seed": config.getoption("bench_seed"),
            "precision": config.getoption("precision"),
            "most_launches": config.getoption("most_launches"),
            "group_seconds": config.getoption("group_seconds"),
            "worker_memory": memory_limit.worker_memory(),
            "code": resume.code_digest(chosen),
            "memory": config.getoption("memory"),
            "arguments": list(config.invocation_params.args),
            "scenarios": recording.scenarios(chosen),
        }
        self.spent: dict[str, float] = {}
        self.worker_seconds = 0.0  # of all that was spent, see `effort`
        # "scenario/variant" → framework → loss → network → value, zero or absent
        self.flows: dict[str, dict[str, Any]] = {}
        self.stopped: dict[str, str] = {}  # a group's name to why it took no further launch
        self.interrupted = False
        self.path: Path | None = None
        self.rescued: Path | None = None
        self.trouble: str | None = None
        self._clock = self._saved = time.monotonic()
        if config.getoption("resume"):
            self._go_on(resume.find(config.getoption("resume"), self.folder, self.machine["id"]))
        for stop in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: saved, cleaned up
            if signal.getsignal(stop) == signal.SIG_DFL:  # nohup has it ignored: leave that
                signal.signal(stop, signal.default_int_handler)
        self._measured = False

    def _go_on(self, run: Run) -> None:
        resume.check(run, self.machine, self.settings, self.cells)
        self.id, self.started = run.id, run.started
        self.machine = run.machine | self.machine
        self.records = resume.kept(run, self.cells)
        keys = {sample_key(r) for r in self.records.values() if r["outcome"] == "ok"}
        self.samples = {key: series for key, series in run.samples.items() if key in keys}
        self.spent = dict(run.settings["spent_seconds"])
        self.worker_seconds = run.settings["worker_seconds"]
        self.flows = {name: dict(proven) for name, proven in run.settings["flows"].items()}
        self.stopped = dict(run.settings["stopped"])
        self._clock -= run.settings["wall_seconds"]
        self.settings["canaries"] = list(run.settings.get("canaries", []))
        self.settings["product_seconds"] = dict(run.settings.get("product_seconds", {}))
        self.settings["resumed"] = [*run.settings.get("resumed", []), records.utc_now()]

    def result(self, cell: Cell) -> tuple[Record, Replay]:
        """The cell's record and its samples; the first call measures everything."""
        if not self._measured:
            self._measured = True
            self._measure_all()
        record = self._record(cell)
        series = self.samples.get(sample_key(record), [])
        return record, Replay([float(s) for launch in series for s in launch])

    def _measure_all(self) -> None:
        waiting = resume.unfinished(self.cells, self.records, self.samples)
        for cell in self.cells:
            why = cell.unsupported()
            if why:
                self.records[cell] = recording.failed(cell, "unsupported", why)
        progress = Progress(self.config, len(waiting), enabled=self.timing)
        try:
            if self.timing and waiting:
                progress.begin("starting the workers and taking the canaries")
                self._take_canaries([members[0] for members in waiting])
            for members in waiting:
                progress.at(members)
                self._measure(members)
                self._checkpoint()
            self._estimate()
        except BaseException:
            self.interrupted = True
            raise
        finally:
            progress.done()

    def _take_canaries(self, cells: list[Cell]) -> None:
        """Before anything is measured: does the harness read right what is known?"""
        job = {
            "launches": self.settings["launches"],
            "limit": self.config.getoption("cell_limit"),
            "seed": self.settings["seed"],
        }
        taken = self.settings.setdefault("canaries", [])
        frozen = self.settings.setdefault("product_seconds", {})
        for found in canaries.take(self.executor, cells, job):
            taken += found["verdicts"]
            frozen |= found["frozen"]
            self._spend(found["spent"], found["worker_seconds"])

    def _spend(self, seconds: dict[str, float], worked: float) -> None:
        self.worker_seconds += worked
        for what, added in seconds.items():
            self.spent[what] = self.spent.get(what, 0.0) + added

    def _measure(self, members: list[Cell]) -> None:
        future = self.executor.submit(group.measure_group, self._job(members))
        try:
            self._take(members, signal_safe_wait.result(future))
        except Exception as error:  # a fault of the harness itself must not cost the other groups
            why = f"the harness failed: {type(error).__name__}: {error}"
            self._forget(members)
            self.records |= {cell: recording.failed(cell, "crashed", why) for cell in members}

    def _forget(self, members: list[Cell]) -> None:
        for cell in members:
            self.records.pop(cell, None)
            self.samples.pop(sample_key(asdict(cell)), None)

    def _take(self, members: list[Cell], found: dict[str, Any]) -> None:
        self._forget(members)  # what an earlier session had of them
        about = found.pop("")
        self.machine |= {
            k: v for k, v in about["described"].items() if k != "pid" and v is not None
        }
        self._spend(about["spent"], about["worker_seconds"])
        if about["flows"]:
            which = f"{members[0].scenario}/{members[0].variant}"
            self.flows.setdefault(which, {}).update(about["flows"])
        if about["stopped"]:
            self.stopped[" ".join(members[0].group)] = about["stopped"]
        baseline = found.get(members[0].baseline, {}).get("figures", {}).get("flops")
        for cell in members:
            result = found[cell.strategy]
            self.records[cell] = recording.measured(cell, result, baseline)
            if result["outcome"] == "ok" and result["samples"]:
                series = [np.asarray(launch) for launch in result["samples"]]
                self.samples[sample_key(self.records[cell])] = series

    def _estimate(self) -> None:
        """Ratios borrow strength from all cells of a framework, so all are estimated again."""
        timed = self._timed()
        estimated = estimate_run([self.records[cell] for cell in timed], self.samples)
        self.records |= dict(zip(timed, estimated, strict=True))

    def _timed(self) -> list[Cell]:
        return [cell for cell, record in self.records.items() if sample_key(record) in self.samples]

    def _compared(self) -> list[Comparison]:
        return compare([self.records[cell].copy() for cell in self._timed()], self.samples)

    def _precision(self, cell: Cell) -> dict[str, Any] | None:
        """How precise the group of this cell is to be, with what is known of the spread so far."""
        asked = self.settings["precision"]
        if asked is None:
            return None
        most, seconds = self.settings["most_launches"], self.settings["group_seconds"]
        prior = fit_priors(self._compared()).get(cell.framework, NO_PRIOR)
        return PrecisionGoal(asked, most, seconds, cell.baseline, prior).job()

    def _job(self, members: list[Cell]) -> dict[str, Any]:
        cell, frameworks = members[0], list(dict.fromkeys(c.framework for c in self.cells))
        file = cell.spec.file
        return {
            **{k: v for k, v in asdict(cell).items() if k != "strategy"},
            "strategies": [cell.strategy for cell in members],
            "references": [f for f in frameworks if cell.spec.lacks(f) is None],
            "file": str(file) if file else None,
            "launches": self.settings["launches"] if self.timing else 1,
            "seconds": self.settings["cell_seconds"] if self.timing else 0.0,
            "limit": self.config.getoption("cell_limit"),
            "seed": self.settings["seed"],
            "precision": self._precision(cell),
            "memory": self.settings["memory"],
        }

    def _record(self, cell: Cell) -> Record:
        stopped = "the run was stopped before this cell was measured"
        return self.records.get(cell) or recording.failed(cell, "interrupted", stopped)

    def run(self, *, ended: bool) -> Run:
        """The session so far: every selected cell with an outcome, in the order selected."""
        self._estimate()
        return Run(
            id=self.id,
            started=self.started,
            finished=records.utc_now() if ended else None,
            machine=self.machine,
            settings=self.settings
            | {
                "wall_seconds": time.monotonic() - self._clock,
                "spent_seconds": self.spent,
                "worker_seconds": self.worker_seconds,
                "flows": self.flows,
                "stopped": self.stopped,
                "alpha": ALPHA,
                "margins": margins_for(self._compared()),
            },
            interrupted=self.interrupted,
            records=[records.finish(self._record(cell)) for cell in self.cells],
            samples=self.samples,
        )

    def _checkpoint(self) -> None:
        """Save now and then: each time costs as much as a small group."""
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS or self.path is None:
            self._save()
            self._saved = time.monotonic()

    def _save(self, *, ended: bool = False) -> None:
        if not self.timing:
            return
        try:
            self.path = storage.save_run(self.run(ended=ended), self.folder)
            self.trouble = None
        except (records.RecordError, ValueError) as error:
            self.trouble = str(error)  # told at the end; measuring goes on

    def finish(self) -> None:
        """Save what there is, whatever ended the session, and let the workers go."""
        if self._measured:
            self._save(ended=True)
        if self.trouble:
            self.rescued = ending.rescue(self.run(ended=True))
        self.executor.shutdown(wait=False, cancel_futures=True)
        pool.POOL.close()
        self.lock.release()

    @property
    def distrusted(self) -> bool:
        """Whether a canary failed."""
        return bool(canary_status.failed(self.settings))

    def summary(self, terminal: pytest.TerminalReporter) -> None:
        """The ratios with their verdicts, what went wrong and its command, where the run was saved.

        Stands after pytest-benchmark's own tables.
        """
        if self.timing and self._measured:
            ending.tell_ratios(self.run(ended=True), terminal)
        failed = failures.failed(self.records.values())
        if failed:
            terminal.section("what failed")
        for line in failures.failures(failed):
            terminal.write_line(line)
        ending.tell_canaries(self.settings, terminal)
        if self.trouble:
            for line in ending.not_saved(self.trouble, self.path, self.rescued):
                terminal.write_line(line, red=True)
        elif self.path:
            wall = time.monotonic() - self._clock
            terminal.write_line(ending.told_time(self.spent, self.worker_seconds, wall))
            terminal.write_line(f"run saved: {self.path}")
            terminal.write_line(f"its report: cascade-bench report {self.path}")
        run = self.rescued or (self.path and self.id)
        if run and (failed or self.interrupted):
            what = "to go on" if self.interrupted else "all that failed again, in the same run"
            terminal.write_line(f"{what}: {resume.again(self.settings['arguments'], run)}")
