"""The benchmark session: measures every selected group once, keeps the records, replays them."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import canaries, environment, measure, pool, recording
from benchmarks.harness.cells import Cell, groups
from benchmarks.harness.paths import RUNS
from benchmarks.harness.progress import Progress
from results import records, storage, trust
from results.estimation import estimate_run
from results.records import Record, Run, sample_key


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
    benchmark.extra_info.update(record)
    if benchmark.enabled:
        benchmark.pedantic(series.advance, rounds=len(series.samples), iterations=1)
    else:
        benchmark.pedantic(lambda: None)  # --benchmark-disable: checked, not timed


class Bench:
    """All cells of this session; measuring starts when the first result is asked for."""

    def __init__(
        self, chosen: list[Cell], config: pytest.Config, executor: Executor | None = None
    ) -> None:
        self.cells = chosen
        self.config = config
        self.folder = Path(config.getoption("results") or RUNS)
        self.timing = not config.getoption("benchmark_disable")
        if self.timing:
            storage.check_writable(self.folder)
        self.executor = executor or ThreadPoolExecutor(1)
        self.records: dict[Cell, Record] = {}
        self.samples: dict[str, list[np.ndarray]] = {}
        self.machine = environment.describe()
        self.id, self.started = records.new_run_id(), records.utc_now()
        self.settings = {
            "launches": config.getoption("launches"),
            "cell_seconds": config.getoption("cell_seconds"),
            "seed": config.getoption("bench_seed"),
            "arguments": list(config.invocation_params.args),
        }
        self.spent: dict[str, float] = {}
        self.interrupted = False
        self.path: Path | None = None
        self.trouble: str | None = None
        self._clock = time.monotonic()
        for ending in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: saved, cleaned up
            if signal.getsignal(ending) == signal.SIG_DFL:  # nohup has it ignored: leave that
                signal.signal(ending, signal.default_int_handler)
        self._measured = False

    def result(self, cell: Cell) -> tuple[Record, Replay]:
        """The cell's record and its samples; the first call measures everything."""
        if not self._measured:
            self._measured = True
            self._measure_all()
        record = self.records[cell]
        series = self.samples.get(sample_key(record), [])
        return record, Replay([float(s) for launch in series for s in launch])

    def _measure_all(self) -> None:
        waiting = groups(cell for cell in self.cells if not cell.unsupported())
        for cell in self.cells:
            why = cell.unsupported()
            if why:
                self.records[cell] = recording.failed(cell, "unsupported", why)
        progress = Progress(self.config, len(waiting), enabled=self.timing)
        try:
            if self.timing and waiting:
                progress.begin("starting the workers and taking the canaries")
                self._take_canaries([members[0] for members in waiting.values()])
            for members in waiting.values():
                progress.at(members)
                self._measure(members)
                self._save()
        except KeyboardInterrupt:
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
        taken = self.settings["canaries"] = []
        for verdicts, spent in canaries.take(self.executor, cells, job):
            taken += verdicts
            self._spend(spent)

    def _spend(self, seconds: dict[str, float]) -> None:
        for what, added in seconds.items():
            self.spent[what] = self.spent.get(what, 0.0) + added

    def _measure(self, members: list[Cell]) -> None:
        future = self.executor.submit(measure.measure_group, self._job(members))
        try:
            found = future.result()
        except Exception as error:  # a fault of the harness itself must not cost the other groups
            why = f"the harness failed: {type(error).__name__}: {error}"
            self.records |= {cell: recording.failed(cell, "crashed", why) for cell in members}
            return
        about = found.pop("")
        self.machine |= {
            k: v for k, v in about["described"].items() if k != "pid" and v is not None
        }
        self._spend(about["spent"])
        baseline = found.get(members[0].baseline, {}).get("figures", {}).get("flops")
        for cell in members:
            result = found[cell.strategy]
            self.records[cell] = recording.measured(cell, result, baseline)
            if result["outcome"] == "ok" and result["samples"]:
                series = [np.asarray(launch) for launch in result["samples"]]
                self.samples[sample_key(self.records[cell])] = series
        self._estimate()

    def _estimate(self) -> None:
        """Ratios borrow strength from all cells of a framework, so all are estimated again."""
        timed = [cell for cell, r in self.records.items() if sample_key(r) in self.samples]
        estimated = estimate_run([self.records[cell] for cell in timed], self.samples)
        self.records |= dict(zip(timed, estimated, strict=True))

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
        }

    def run(self) -> Run:
        """The session so far: every selected cell with an outcome, in the order selected."""
        stopped = "the run was stopped before this cell was measured"
        done = [
            records.finish(self.records.get(cell) or recording.failed(cell, "interrupted", stopped))
            for cell in self.cells
        ]
        return Run(
            id=self.id,
            started=self.started,
            finished=records.utc_now(),
            machine=self.machine,
            settings=self.settings
            | {"wall_seconds": time.monotonic() - self._clock, "spent_seconds": self.spent},
            interrupted=self.interrupted,
            records=done,
            samples=self.samples,
        )

    def _save(self) -> None:
        if not self.timing:
            return
        try:
            self.path = storage.save_run(self.run(), self.folder)
            self.trouble = None
        except records.RecordError as error:
            self.trouble = str(error)  # told at the end; measuring goes on

    def finish(self) -> None:
        """Save what there is, whatever ended the session, and let the workers go."""
        if self._measured:
            self._save()
        self.executor.shutdown(wait=False, cancel_futures=True)
        pool.POOL.close()

    @property
    def distrusted(self) -> bool:
        """Whether a canary failed."""
        return bool(trust.failed(self.settings))

    def summary(self, terminal: pytest.TerminalReporter) -> None:
        """What went wrong with its command, and where the run was saved."""
        failed = [r for r in self.records.values() if r["outcome"] not in ("ok", "unsupported")]
        for record in failed:
            terminal.write_line(
                f"{record['outcome']}: {records.cell_id(record)}: {record['missing']['seconds']}"
            )
            terminal.write_line(f"    {record['rerun']}")
        told = trust.summary(self.settings)
        if told:
            terminal.write_line(f"canaries: {told}", red=self.distrusted)
        for line in trust.failed(self.settings):
            terminal.write_line(f"CANARY FAILED: {line}", red=True)
        if self.distrusted:
            terminal.write_line(trust.DISTRUST, red=True)
        if self.trouble:
            terminal.write_line(f"NOT SAVED: {self.trouble}", red=True)
        elif self.path:
            spent = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in self.spent.items())
            terminal.write_line(f"time went to: {spent}")
            terminal.write_line(f"run saved: {self.path}")
            terminal.write_line(f"its report: cascade-bench report {self.path}")
        sys.stdout.flush()
