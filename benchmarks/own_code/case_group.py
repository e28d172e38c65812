"""Time the ways of a case launch by launch; two frameworks take turns, so both see one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement.group import GroupMeasurement
from benchmarks.harness.measurement.job import GroupJob
from benchmarks.own_code import plan


class CaseGroup(GroupMeasurement):
    """Measure the ways of one framework, kind and phase, one launch at a time.

    A failure of a worker becomes the outcome of the ways, and is never raised: the other framework
    goes on.

    Args:
        job: of the group; its launches are those that are prepared before the first is timed.
        pool: the workers.
        launches: how many to time if the time suffices.
        overhead: seconds for each way and launch beside sampling.
    """

    def __init__(self, job: GroupJob, pool: Pool, launches: int, overhead: float) -> None:
        super().__init__(job, pool)
        self.launches, self.overhead = launches, overhead
        self.timed = 0
        self._preparing_seconds = 0.0
        self._is_ready = False

    @property
    def cells_left(self) -> int:
        """Return the ways × launches that are still to be timed."""
        return (self.launches - self.timed) * max(1, len(self.results.alive()))

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to be timed."""
        return self.timed >= self.launches or not self.results.alive()

    def begin(self) -> None:
        """Do as `GroupMeasurement.begin`."""
        self._is_ready = self._unless_worker_fails(super().begin)

    def end(self) -> None:
        """Do as `GroupMeasurement.end`, where the group has begun."""
        if self._is_ready:
            super().end()

    def prepare_next(self) -> None:
        """Prepare the launch that is timed next, unless it is."""
        start, self.workers.count = time.monotonic(), self.timed + 1
        self._unless_worker_fails(
            lambda: self.preparation.ensure_prepared(self.workers.launch(self.timed))
        )
        self._preparing_seconds = time.monotonic() - start

    def time_next(self, seconds: float) -> None:
        """Time the launch that has been prepared, and drop its problem: its memory is freed.

        Args:
            seconds: of sampling, for each way.
        """
        index, start = self.timed, time.monotonic()
        self.job = {**self.job, "seconds": seconds}
        self._unless_worker_fails(lambda: self._time_launches(range(index, index + 1)))
        self.timed += 1
        self._learn(self._preparing_seconds + time.monotonic() - start)
        self._unless_worker_fails(lambda: self.workers.close_problem(self.workers.launch(index)))

    def _learn(self, seconds: float) -> None:
        """Take over what a launch took beside sampling; the first one was prepared before."""
        alive = len(self.results.alive())
        if self.timed > 1 and alive:
            self.overhead = max(0.0, seconds / alive - self.job["seconds"])

    def _unless_worker_fails(self, act: Callable[[], None]) -> bool:
        """Do a part of the work, and return whether it could be done.

        Where a worker fails in it, all ways of this group have failed.
        """
        try:
            act()
        except WorkerError as error:
            self.results.fail_all(error.outcome, str(error))
            return False
        return True


def take_turns(groups: Sequence[CaseGroup], until: float, allowed_late: float) -> None:
    """Time one launch of each group, then the next of each, as long as there is time.

    All are prepared before the first of them is timed, so that the times of one round are of the
    same moment. The order is turned round from launch to launch: a machine that becomes slower or
    faster meanwhile does so for both alike. A late round is left out if there are enough before it.

    Args:
        groups: of one framework, or one of each.
        until: when they should be done, by ``time.monotonic``.
        allowed_late: seconds by which the fewest launches may exceed that.
    """
    index = 0
    while waiting := [group for group in groups if not group.is_done]:
        late = time.monotonic() - until
        if index and late > (0.0 if index >= plan.FEWEST else allowed_late):
            for group in waiting:
                group.stopped = "time"
            return
        for group in waiting:
            group.prepare_next()
        for group in waiting[:: -1 if index % 2 else 1]:
            group.time_next(_sampling_seconds(waiting, until))
        index += 1


def _sampling_seconds(groups: Sequence[CaseGroup], until: float) -> float:
    """Return the seconds of sampling of each way: the time left, shared by all launches left."""
    cells = sum(group.cells_left for group in groups)
    overhead = sum(group.overhead * group.cells_left for group in groups) / max(1, cells)
    return plan.sampling_seconds(until - time.monotonic(), cells, overhead)
