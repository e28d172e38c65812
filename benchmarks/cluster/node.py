"""Measure units on this node: ``python -m benchmarks.cluster.node``, a unit and an answer a line.

The process keeps its workers from unit to unit. It takes its canaries once, before its first unit,
and holds the lock of the machine while it measures. It ends with its stdin, also in the middle of
a unit: nobody waits for the answer then. It ends too when nothing was asked for `IDLE_SECONDS`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any, TextIO

from benchmarks.cluster import node_comparison, node_environment
from benchmarks.cluster.unit import FailedGroup, UnitAnswer, UnitJob
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement.canaries import measure_canaries
from benchmarks.harness.measurement.group import measure_group
from benchmarks.harness.measurement.job import CanaryJob, CanaryResult, GroupJob, GroupResult
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.machine import environment
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError

IDLE_SECONDS = 300.0
STOPPED = 130


class Node:
    """Measure units one after another, with one pool of workers.

    Args:
        name: of this node, which stands in every answer.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pool = Pool()
        self._lock = Lock()
        self._taken: set[str] = set()  # the kinds of workers whose canaries passed

    def measure(self, job: UnitJob) -> UnitAnswer:
        """Check this node, take its canaries, and measure every group of a unit.

        A node that must not measure, or whose canaries fail, says why and measures nothing.
        """
        answer: UnitAnswer = {
            "unit": job["unit"],
            "node": {"name": self.name, "machine": environment.describe()},
            "refused": None,
            "canaries": [],
            "groups": [],
        }
        try:
            self._lock.take()
        except Busy as error:
            return {**answer, "refused": str(error)}
        try:
            self._fill(answer, job)
        finally:
            self._lock.release()
        if "regress" in job and answer["refused"] is None:  # which takes the lock itself
            answer["document"], answer["message"] = node_comparison.compare(job["regress"])
        return answer

    def _fill(self, answer: UnitAnswer, job: UnitJob) -> None:
        """Put into the answer why nothing is measured, or else canaries and groups."""
        answer["refused"] = self._unfit(answer, job)
        if answer["refused"] is None:
            answer["canaries"] = self._canaries(job["canaries"])
            answer["refused"] = failed_canaries(answer["canaries"])
        if answer["refused"] is None:
            answer["groups"] = [self._group(group) for group in job["groups"]]

    def _unfit(self, answer: UnitAnswer, job: UnitJob) -> str | None:
        """Return why this node must not measure the unit, from what can be seen beforehand."""
        try:
            loading.load(job["specs"], job["groups"][0]["limit"] if job["groups"] else 0.0)
        except SpecError as error:
            return str(error)
        return node_environment.difference(job, answer["node"]["machine"])

    def _canaries(self, wanted: list[CanaryJob]) -> list[CanaryResult]:
        """Take the canaries of the workers that have none yet; failed ones are taken each time."""
        results = []
        for job in wanted:
            key = " ".join((job["framework"], job["device"], job["dtype"]))
            if key not in self._taken:
                results.append(measure_canaries(job, self.pool))
                if not failed_canaries(results[-1:]):
                    self._taken.add(key)
        return results

    def _group(self, job: GroupJob) -> GroupResult | FailedGroup:
        """Measure a group; a bug of the harness costs this group alone."""
        try:
            return measure_group(job, self.pool)
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {error}"}

    def close(self) -> None:
        """End the workers and release the machine."""
        self.pool.close()
        self._lock.release()


def failed_canaries(results: list[CanaryResult]) -> str | None:
    """Return in a line which canaries failed, and what they measured; None where none did."""
    failed = [
        f"{verdict['framework']}: {verdict['canary']}: {verdict['said']}"
        for result in results
        for verdict in result["verdicts"]
        if verdict["passed"] is False
    ]
    return f"canaries failed: {'; '.join(failed)}" if failed else None


def main(arguments: list[str] | None = None) -> int:
    """Answer the units that come on stdin until it ends; return the exit code."""
    name = (sys.argv[1:] if arguments is None else arguments)[0]
    answers = _own_stdout()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = Node(name)
    requests: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    try:
        threading.Thread(target=_read, args=(requests,), daemon=True).start()
        while line := _next(requests):
            answers.write(json.dumps(node.measure(json.loads(line))) + "\n")
            answers.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        return STOPPED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing must interrupt the ending
        node.close()
    return 0


def _own_stdout() -> TextIO:
    """Return the stdout of this process; whatever a library prints goes to stderr from now on."""
    answers: Any = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _next(requests: queue.SimpleQueue[str | None]) -> str | None:
    """Return the next line; None at the end, or after `IDLE_SECONDS` without one."""
    with contextlib.suppress(queue.Empty):
        return requests.get(timeout=IDLE_SECONDS)
    return None


def _read(requests: queue.SimpleQueue[str | None]) -> None:
    """Pass on each line of stdin; when it ends, interrupt the main thread in whatever it does."""
    for line in sys.stdin:
        requests.put(line)
    requests.put(None)
    main_thread = threading.main_thread().ident
    if main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
