"""Submit jobs of measuring to an executor: a thread of this process, or the caller's own."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import canaries, group
from benchmarks.harness.measurement.job import CanaryJob, CanaryResult, GroupJob, GroupResult


class Measurer:
    """Run the jobs of one session, by default one after another on a thread of its own.

    That thread uses a pool of workers that belongs to this object, so that two sessions of one
    process share no worker. With an ``executor`` of the caller, which may run jobs on another
    machine, each job uses the pool of the thread that it runs in.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self.pool = Pool() if executor is None else None
        self._executor = executor or ThreadPoolExecutor(1)

    def measure_group(self, job: GroupJob) -> Future[GroupResult]:
        """Begin to measure one group."""
        if self.pool:
            return self._executor.submit(group.measure_group, job, self.pool)
        return self._executor.submit(group.measure_group_anywhere, job)

    def measure_canaries(self, job: CanaryJob) -> Future[CanaryResult]:
        """Begin to measure the canaries of one framework."""
        if self.pool:
            return self._executor.submit(canaries.measure_canaries, job, self.pool)
        return self._executor.submit(canaries.measure_canaries_anywhere, job)

    def close(self) -> None:
        """Begin no further job, and end the workers at once."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self.pool:
            self.pool.close()
