"""Give a group its workers: those that are timed, and those that compute the references."""

from __future__ import annotations

from benchmarks.harness.launches.launch import WORKER, Launch, WorkerError
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import capacity
from benchmarks.harness.measurement.job import GroupJob
from benchmarks.harness.protocol.ranks import DISTRIBUTED

LEADER = "benchmarks.harness.ranks"  # a worker whose cells run in several ranks


class GroupWorkers:
    """Hold the workers of a pool that one group needs; ``count`` of them are timed."""

    def __init__(self, job: GroupJob, pool: Pool) -> None:
        self.pool = pool
        self.count = job["launches"]
        self.owner = job.get("file")
        self._where = job["framework"], job["device"], job["dtype"]
        self._references = job["references"]
        self._module = LEADER if job["kind"] == DISTRIBUTED else WORKER

    def launches(self) -> list[Launch]:
        """Return every launch that is timed, alive."""
        return self.pool.launches(*self._where, self.count, self.owner, self._module)

    def launch(self, index: int) -> Launch:
        """Return one of the timed launches, alive, without starting the others."""
        return self.pool.launch(*self._where, index, self.owner, self._module)

    def references(self) -> dict[str, Launch]:
        """Return framework → the worker that computes its float64 reference."""
        kinds = {name: (name, "cpu", "float64", 1, self.owner) for name in self._references}
        return {name: self.pool.launches(*kind)[0] for name, kind in kinds.items()}

    def calibrating(self) -> Launch:
        """Return a worker of the timed framework and device that times nothing.

        On a CPU it is the one that computes the framework's reference.
        """
        framework, device, _ = self._where
        return self.pool.launches(framework, device, "float64", 1, self.owner)[0]

    def replace(self, launch: Launch) -> Launch:
        """End a worker that failed and start a fresh one in its place."""
        launch.kill()
        return self.pool.replace(launch)

    def free_memory(self) -> None:
        """End idle workers that hold too much memory; who needs them next starts them anew."""
        idle = {launch.pid: launch for launch in self.pool.workers() if launch.idle}
        for pid in capacity.holding_too_much(list(idle)):
            idle[pid].kill()

    def close_problem(self, launch: Launch) -> None:
        """Drop the open problem in a worker that has been timed; replace it if that fails."""
        try:
            launch.ask("close")
        except WorkerError:
            self.replace(launch)
