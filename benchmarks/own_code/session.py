"""Carry out one request: measure every framework of a case within the budget, keep the document."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.launch import WorkerError, WorkerFailed, WorkerTimeout
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.protocol.case_messages import CaseSource
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.machine import environment, frameworks, releases
from benchmarks.own_code import description, pairing
from benchmarks.own_code.measure import FrameworkRun, Measured
from benchmarks.own_code.request import COMPARE, Request, RequestError, line_of, sources
from benchmarks.own_code.rounds import Rounds
from results.own_code import document
from results.own_code.pair_rows import pair_rows
from results.own_code.schema import Document, Mistake, Pair, PairRow
from results.records.installing import install_command
from results.records.record import RecordError, new_run_id, utc_now

WHOLE = "every package that it needs is installed: import it in a Python of yours, to see why"
RESERVE = 1.5  # seconds for starting and ending
EXAMINING = 0.4  # of the time left, for the examination of each of two frameworks


class Session:
    """Measure a case, and hold the document of what is known so far.

    Args:
        request: the user's.
        started: when the command began, by ``time.monotonic``.
    """

    def __init__(self, request: Request, started: float) -> None:
        self.request, self.started = request, started
        self.deadline = started + request.budget - RESERVE
        self.measured: list[Measured] = []
        self.error: Mistake | None = None
        self.pair: Pair | None = None
        self.absent: list[str] = []
        self._machine = environment.describe()
        self._date, self._id = utc_now(), new_run_id()
        self._not_kept = ""  # why nothing could be kept, told once

    def run(self) -> int:
        """Measure, write the document, and return the exit code; Ctrl-C keeps what there is."""
        lock, code = Lock(), document.STOPPED
        try:
            lock.take()
            if line := releases.untested(sources(self.request)):
                self._report_line(line)
            with Pool() as pool:
                self._measure(pool)
            code = self._exit_code()
        except KeyboardInterrupt:
            outcome = "what was measured is kept" if self.measured else "nothing was measured"
            self._report_line(f"interrupted: {outcome}")
        except Busy as busy:
            self.error = {"file": "", "line": None, "message": str(busy), "mend": ""}
            code = document.ERROR
        except RequestError as error:
            self.error = self._mistake(str(error), error.mend, error.file, error.line)
            code = document.ERROR
        finally:
            lock.release()
        self.save(code)
        return code

    def _measure(self, pool: Pool) -> None:
        """Measure one framework after another, each with its share of the time."""
        chosen = self._installed(sources(self.request))
        if len(chosen) > 1 and self.request.command == COMPARE:
            self._measure_both(pool, chosen)
            return
        waiting = list(chosen.items())
        while waiting:
            framework, source = waiting.pop(0)
            share = (self.deadline - time.monotonic()) / (len(waiting) + 1)
            until = time.monotonic() + share
            run = FrameworkRun(self.request, framework, source, pool, until, self._report_line)
            try:
                run.examine()
                self.measured.append(run.measured)
                if run.judge() and self.request.command == COMPARE:
                    Rounds([run], until, lambda: self.save(None)).measure()
            except WorkerError as error:
                self.error = self.error or self._worker_mistake(error, framework)
            finally:
                pool.end_workers()

    def _installed(self, chosen: dict[str, CaseSource]) -> dict[str, CaseSource]:
        """Return the sides of a file with two whose framework is installed; say which is not.

        Where neither is, both are returned: their workers say what to install.
        """
        absent = {name: frameworks.why_missing(name) for name in chosen}
        installed = {name: source for name, source in chosen.items() if not absent[name]}
        if self.request.command != COMPARE or not installed:
            return chosen
        self.absent = [line for line in absent.values() if line]
        for line in self.absent:
            self._report_line(f"left out: {line}")
        return installed

    def _measure_both(self, pool: Pool, chosen: dict[str, CaseSource]) -> None:
        """Hold two frameworks to each other, from the same weights, then time both in turns."""
        runs: list[FrameworkRun] = []
        timed = True
        try:
            for framework, source in chosen.items():
                start = runs[0].measured.files.start if runs else None
                until = time.monotonic() + EXAMINING * (self.deadline - time.monotonic())
                run = FrameworkRun(
                    self.request, framework, source, pool, until, self._report_line, start
                )
                run.examine(hand_over=not runs, start_all=False)
                self.measured.append(run.measured)
                runs.append(run)
                run.deadline = self.deadline  # its share was that of the examination
                timed = run.judge() and timed
                pool.end_workers()
            torch, jax = (run.measured.files for run in runs)
            self.pair = pairing.compare_sides(torch, jax)
            if timed and not self.pair["problem"]:
                self._time_both(runs)
        except WorkerError as error:
            self.error = self._worker_mistake(error, framework)
        finally:
            pool.end_workers()

    def _time_both(self, runs: list[FrameworkRun]) -> None:
        """Time both frameworks, process by process in turns: they see the machine alike."""
        self._report_line("torch and jax: the same losses and gradients from the same weights")
        started = []
        for run in runs:
            try:
                run.restart(self.deadline)
                started.append(run)
            except WorkerError as error:
                self.error = self.error or self._worker_mistake(error, run.framework)
        if started:
            Rounds(started, self.deadline, lambda: self.save(None)).measure()

    def _worker_mistake(self, error: WorkerError, framework: str) -> Mistake:
        """Return a failure of the worker that opened the case, as a mistake of the case."""
        mistake = self._mistake_of(error, framework)
        if mistake["line"] is None and not (isinstance(error, WorkerFailed) and not error.case):
            source = sources(self.request)[framework]
            mistake["line"] = line_of(source, self.request.folder)
        return mistake

    def _mistake_of(self, error: WorkerError, framework: str) -> Mistake:
        """Return what `_worker_mistake` does, without a line where the worker names none."""
        if isinstance(error, WorkerFailed) and error.case:
            return {**error.case}
        if isinstance(error, WorkerTimeout):
            return self._mistake(
                f"{error} while {framework} built and ran the case, in a budget of "
                f"{self.request.budget:g} s",
                "look for an endless loop, a download, or input(); or give a larger budget",
            )
        if isinstance(error, WorkerFailed):
            missing = frameworks.missing_packages(framework)
            mend = f"install it: {install_command(framework)}" if missing else WHOLE
            return self._mistake(f"{framework}: {error.message}", mend)
        hint = "look for what ends the process (os._exit, a crash in native code, lack of memory)"
        return self._mistake(f"{framework}: {error}", hint)

    def _mistake(self, message: str, mend: str, file: str = "", line: int | None = None) -> Mistake:
        """Return a mistake in the user's file."""
        return {"file": file or self.request.file, "line": line, "message": message, "mend": mend}

    def _exit_code(self) -> int:
        """Return the exit code of a comparison that was not stopped."""
        if self.error:
            return document.ERROR
        parts = [description.framework_part(one) for one in self.measured]
        wrong = any(r["outcome"] == "wrong_gradients" for p in parts for r in p["rows"])
        expected = any(part["flow_problem"] for part in parts)
        differ = self.pair is not None and self.pair["problem"] is not None
        return document.WRONG if wrong or expected or differ else document.RIGHT

    def document(self, code: int | None) -> Document:
        """Return the document of what is known so far."""
        parts = [description.framework_part(one) for one in self.measured]
        pair = self.pair and {**self.pair, "rows": self._pair_rows()}
        place: Mapping[str, Any] = self.measured[0].files.known_facts if self.measured else {}
        return {
            "schema": document.SCHEMA,
            "kind": document.KIND,
            "case": {
                "name": self.request.name,
                "file": place.get("file", self.request.file),
                "line": place.get("line"),
            },
            "date": self._date,
            "machine": self._machine,
            "seconds": round(time.monotonic() - self.started, 2),
            "answer": description.answer(parts, self.error, pair, self.absent),
            "exit_code": code,
            "error": self.error,
            "frameworks": parts,
            "pair": pair,
            "absent": self.absent,
        }

    def _pair_rows(self) -> list[PairRow]:
        """Return JAX's time over torch's, of every way that both have."""
        return pair_rows([group for one in self.measured for group in description.groups_of(one)])

    def save(self, code: int | None) -> None:
        """Write the document where the client waits for it, and into the folder of results."""
        made = self.document(code)
        document.write(made, [self.request.document])
        if self.request.results is None or (self.error and not self.measured):
            return
        try:
            document.write(made, [self.request.results / f"{self._id}.json"])
        except RecordError as error:
            if str(error) != self._not_kept:
                self._report_line(f"not kept among the results: {error}")
            self._not_kept = str(error)

    def _report_line(self, text: str) -> None:
        """Show a line of progress on stderr, with the seconds since the start."""
        print(f"{time.monotonic() - self.started:5.1f} s  {text}", file=sys.stderr, flush=True)


def refused(path: Path, error: RequestError) -> bool:
    """Write a document about a request that could not be read; return whether it names one."""
    try:
        target = Path(json.loads(path.read_text())["document"])
        name = str(path)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    mistake: Mistake = {
        "file": error.file,  # empty: an option is wrong, and no file
        "line": error.line,
        "message": str(error),
        "mend": error.mend,
    }
    made: Document = {
        "schema": document.SCHEMA,
        "kind": document.KIND,
        "case": {"name": Path(name).name, "file": name, "line": None},
        "date": utc_now(),
        "machine": {},
        "seconds": 0.0,
        "answer": f"Nothing was measured: {error}",
        "exit_code": document.ERROR,
        "error": mistake,
        "frameworks": [],
    }
    document.write(made, [target])
    return True
