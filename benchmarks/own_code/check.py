"""Observe the training step of a case, and say what is wrong with it."""

from __future__ import annotations

import time
from typing import Any, cast

from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.protocol.case_messages import CaseJob, CaseObservation, CaseSource
from benchmarks.own_code.request import sources
from benchmarks.own_code.session import Session
from results.own_code import check_document, document
from results.own_code.check_schema import CheckDocument, Checked, Observation
from results.own_code.findings import find


class CheckSession(Session):
    """Check a case: its frameworks one after the other, each in a fresh process.

    Arguments are those of `Session`.
    """

    checked: list[Checked]
    place: CaseObservation | None = None

    def _measure(self, pool: Pool) -> None:
        """Observe one framework after another, each with its share of the time."""
        self.checked = []
        waiting = list(sources(self.request).items())
        while waiting:
            framework, source = waiting.pop(0)
            share = max(1.0, (self.deadline - time.monotonic()) / (len(waiting) + 1))
            self._report_line(f"{framework}: taking {self.request.steps} training steps")
            try:
                self.checked.append(self._observe(pool, framework, source, share))
            except WorkerError as error:
                self.error = self.error or self._worker_mistake(error, framework)
            finally:
                pool.end_workers()

    def _observe(self, pool: Pool, framework: str, source: CaseSource, seconds: float) -> Checked:
        """Have a worker observe the case; return what is found.

        Raises:
            WorkerError: the case cannot be run.
        """
        case: CaseJob = {
            "source": source,
            "folder": self.request.folder,
            "seed": self.request.seed,
        }
        with pool.separate_worker(framework, "cpu", "float32", {}) as worker:
            version = str(dict(worker.wait_until_ready()).get(framework))
            arguments = {"case": case, "steps": self.request.steps}
            answer = cast(
                "CaseObservation", worker.ask("check_case", max(30.0, seconds), **arguments)
            )
        self.place = self.place or answer
        observation = cast("Observation", answer["observation"])
        return check_document.checked(framework, version, observation, find(observation))

    def _exit_code(self) -> int:
        """Return the exit code of a check that was not stopped."""
        if self.error:
            return document.ERROR
        has_findings = any(part["findings"] for part in self.checked)
        return document.WRONG if has_findings else document.RIGHT

    def document(self, code: int | None) -> Any:
        """Return the document of what is known so far."""
        parts: list[Checked] = getattr(self, "checked", [])
        place = self.place
        made: CheckDocument = {
            "schema": document.SCHEMA,
            "kind": check_document.KIND,
            "case": {
                "name": self.request.name,
                "file": place["step_file"] if place else self.request.file,
                "line": place["step_line"] if place else None,
            },
            "date": self._date,
            "seconds": round(time.monotonic() - self.started, 2),
            "answer": check_document.answer(parts, self.error),
            "exit_code": code,
            "error": self.error,
            "frameworks": parts,
        }
        return made
