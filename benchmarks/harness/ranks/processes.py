"""Start the processes of all ranks, and ask all of them the same, at the same time."""

from __future__ import annotations

import importlib
import os
import tempfile
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.worker_errors import WorkerError, WorkerFailed
from benchmarks.harness.ranks.rank import CORES

MODULE = "benchmarks.harness.ranks.rank"
# Longer than any limit of the parent, which ends the leader, and so the ranks, at a cell's limit.
ANSWER_SECONDS = 24 * 3600.0
# Where a rank has failed, the others wait for it in vain, or fail as it is gone.
GRACE_SECONDS = 2.0


class RankFailed(RuntimeError):
    """Raised when every rank lives and one at least raised an exception.

    Args:
        message: of the exception, behind the number of its rank.
        outcome: of the cell, see `worker_errors.outcome_of`.
    """

    def __init__(self, message: str, outcome: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class RankLost(RuntimeError):
    """Raised when a rank is gone, or others wait for one in vain: none can be used any more."""


class Processes:
    """Hold the processes that make up the ranks, each of which has met all others.

    Args:
        framework: of the ranks.
        device: of each.
        dtype: of weights and data.
        ranks: how many there are.
    """

    def __init__(self, framework: str, device: str, dtype: str, ranks: int) -> None:
        module = importlib.import_module(f"impl_{framework}.distributed")
        self.ranks = ranks
        self._folder = tempfile.TemporaryDirectory(prefix="cascade-bench-ranks-")
        count = module.processes(ranks)
        self.launches = [
            Launch(
                framework,
                device=device,
                dtype=dtype,
                module=MODULE,
                environment=module.environment(ranks) | _cores(i, count),
            )
            for i in range(count)
        ]
        self._threads = ThreadPoolExecutor(count)
        meeting = str(Path(self._folder.name) / "meeting")
        self._each([self._threads.submit(one.wait_until_ready) for one in self.launches])
        self._send("join", [{"rank": i, "ranks": ranks, "meeting": meeting} for i in range(count)])
        self._answers()

    def ask(self, op: str, **arguments: Any) -> list[Any]:
        """Ask every process the same, and return the answer of each.

        Raises:
            RankFailed: one raised an exception, and every one answered.
            RankLost: one is gone, or does not answer after another has failed.
        """
        self._send(op, [arguments] * len(self.launches))
        return self._answers()

    def _send(self, op: str, arguments: list[dict[str, Any]]) -> None:
        """Send an operation to every process, with arguments for each."""
        try:
            for launch, own in zip(self.launches, arguments, strict=True):
                launch.send(op, **own)
        except WorkerError as error:
            raise RankLost(self._named(launch, error)) from None

    def _answers(self) -> list[Any]:
        """Wait for an answer of each process."""
        return self._each(
            [self._threads.submit(one.receive, ANSWER_SECONDS) for one in self.launches]
        )

    def _each(self, futures: list[Future[Any]]) -> list[Any]:
        """Return the result of each process; raise the error that explains the others'."""
        wait(futures, return_when=FIRST_EXCEPTION)
        _, late = wait(futures, GRACE_SECONDS, return_when=ALL_COMPLETED)
        failed = {
            launch: error
            for launch, future in zip(self.launches, futures, strict=True)
            if future.done() and isinstance(error := future.exception(), WorkerError)
        }
        # one that is gone explains why others lost the connection to it
        gone = [launch for launch, error in failed.items() if not isinstance(error, WorkerFailed)]
        for launch in [*gone, *failed]:
            message = self._named(launch, failed[launch])
            if gone or late:
                raise RankLost(message)
            raise RankFailed(message, failed[launch].outcome)
        return [future.result() for future in futures]

    def _named(self, launch: Launch, error: WorkerError) -> str:
        """Return an error's message behind the number of its rank."""
        if len(self.launches) == 1:
            return str(error)
        return f"rank {self.launches.index(launch)} of {self.ranks}: {error}"

    def end(self) -> None:
        """Kill every process."""
        for launch in self.launches:
            launch.kill_nowait()
        for launch in self.launches:
            launch.kill()
        self._folder.cleanup()


def _cores(index: int, count: int) -> dict[str, str]:
    """Return the variable that gives a process its share of the cores.

    Without a share of its own, where there are fewer cores than processes, all may use each.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < count or count == 1:
        return {}
    return {CORES: ",".join(map(str, cores[index::count]))}
