"""Measure units in exclusive Slurm jobs, which submitit submits, a unit a job, all at once.

What waits or runs is asked of ``squeue``, in one call for all jobs; submitit would ask ``sacct``,
which needs accounting. With ``submitit_cluster: local`` the jobs are processes of this machine, one
after another, to try a cluster file out.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster import remote
from benchmarks.cluster.backend import Event, Finished, Lost, Started
from benchmarks.cluster.backends.unit_queue import UnitQueue
from benchmarks.cluster.errors import ClusterError
from benchmarks.cluster.settings import SLURM, ClusterSettings
from benchmarks.cluster.unit import UnitJob
from benchmarks.paths import OUTPUT
from results.formatting import one_line
from results.records.installing import install_command

LOOK_SECONDS = 2.0  # between two calls of squeue
FILE_SECONDS = 15.0  # until the answer of a job that has ended is to be seen on a shared disk
CALL_SECONDS = 60.0
MOST_IN_ARRAY = 1000  # Slurm's own default limit is 1001
HERE = "this machine"


class SubmititBackend:
    """Give units to Slurm jobs; see `benchmarks.cluster.backend.Backend`.

    Args:
        settings: what the cluster file says.
        session: names the jobs.

    Raises:
        ClusterError: submitit or Slurm is not there, or submitit knows a ``slurm_`` key not.
    """

    def __init__(self, settings: ClusterSettings, session: str) -> None:
        try:
            import cloudpickle
            import submitit
        except ImportError as error:
            raise ClusterError(
                f"backend submitit needs {error.name}, not installed here: "
                f"{install_command('cluster')}"
            ) from None
        cloudpickle.register_pickle_by_value(remote)  # a job need not find this project
        self._cluster = settings.values.get("submitit_cluster", "slurm")
        if self._cluster == "slurm" and not shutil.which("sbatch"):
            raise ClusterError(
                "backend submitit: no sbatch here; run this where Slurm's commands are, or try the "
                "file out with `submitit_cluster: local`"
            )
        self._place, self._name = settings.place, f"cascade-bench-{session}"
        given = settings.values.get("submitit_folder", OUTPUT / "cluster")
        self._folder = (Path(given).expanduser() / session).resolve()
        self._executor = self._make_executor(submitit, settings)
        self._queue = UnitQueue()  # of the local jobs: Slurm queues its own
        self._jobs: dict[str, Any] = {}  # unit → its job
        self._running: dict[str, str] = {}  # unit → node
        self._ended: dict[str, float] = {}  # unit → when its job was not in the queue any more
        self._events: list[Event] = []
        self._excluded: set[str] = set()
        self._seen: set[str] = set()
        self._looked, self._any_lost = 0.0, False

    def _make_executor(self, submitit: Any, settings: ClusterSettings) -> Any:
        """Return the executor of submitit, with the parameters of the cluster file."""
        parameters = {k: v for k, v in settings.values.items() if k.startswith(SLURM)}
        try:
            executor = submitit.AutoExecutor(folder=self._folder / "%j", cluster=self._cluster)
            if self._cluster == "slurm":
                executor.update_parameters(
                    name=self._name, nodes=1, tasks_per_node=1, slurm_exclusive=True, **parameters
                )
            else:
                executor.update_parameters(timeout_min=7 * 24 * 60)
        except (ValueError, TypeError, NameError, RuntimeError, OSError) as error:
            raise ClusterError(f"backend submitit: {one_line(error)}") from None
        return executor

    def submit(self, units: Sequence[UnitJob], avoiding: Collection[str] = ()) -> None:
        """Take units: into arrays of Slurm jobs, or into the queue of local ones."""
        if self._cluster == "local":
            self._queue.add(units, avoiding)
            return
        for start in range(0, len(units), MOST_IN_ARRAY):
            self._submit_jobs(units[start : start + MOST_IN_ARRAY], avoiding)

    def _submit_jobs(self, units: Sequence[UnitJob], avoiding: Collection[str]) -> None:
        """Submit units as one array of jobs; those that Slurm does not take are lost."""
        avoided = self._excluded | (set(avoiding) if self._seen - set(avoiding) else set())
        try:
            if self._cluster == "slurm":
                self._executor.update_parameters(slurm_exclude=",".join(sorted(avoided)) or None)
            with self._executor.batch():
                jobs = [
                    self._executor.submit(
                        remote.measure_on_slurm, job["unit"], json.dumps(job), self._place
                    )
                    for job in units
                ]
        except Exception as error:  # whatever submitit raises where sbatch fails
            self._events += [Lost(job["unit"], None, one_line(error)) for job in units]
            self._any_lost = True
            return
        for unit, job in zip(units, jobs, strict=True):
            self._jobs[unit["unit"]] = job
            self._ended.pop(unit["unit"], None)

    def wait(self, seconds: float) -> list[Event]:
        """Return what has happened, after at most so many seconds."""
        if self._cluster == "local" and not self._jobs:
            self._begin_local()
        if not self._events:
            since = time.monotonic() - self._looked
            time.sleep(min(seconds, max(0.0, LOOK_SECONDS - since)))
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look()
        events, self._events = self._events, []
        return events

    def _begin_local(self) -> None:
        """Begin with the next unit on this machine."""
        job = None if self._excluded else self._queue.take_for(HERE, ())
        if job:
            self._submit_jobs([job], ())

    def _look(self) -> None:
        """Find out which jobs have begun, and which have ended."""
        self._looked = time.monotonic()
        states = self._local_states() if self._cluster == "local" else self._slurm_states()
        if states is None:
            return  # squeue did not answer: ask again later
        for unit, job in list(self._jobs.items()):
            node = states.get(str(job.job_id))
            if node is None:
                self._take(unit, job)
                continue
            self._ended.pop(unit, None)  # squeue had not shown it yet
            if node and unit not in self._running:
                self._running[unit] = node
                self._seen.add(node)
                self._events.append(Started(unit, node))

    def _slurm_states(self) -> dict[str, str] | None:
        """Return job → its node, empty while it waits; jobs that have ended are not there.

        None where ``squeue`` fails.
        """
        text = _output(["squeue", "-h", "-r", "-n", self._name, "-o", "%i|%T|%N"])
        if text is None:
            return None
        rows = [line.split("|") for line in text.splitlines() if line.count("|") == 2]
        over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")
        return {job: node.strip() for job, state, node in rows if state not in over}

    def _local_states(self) -> dict[str, str]:
        """Return job → `HERE` for those that run."""
        return {str(job.job_id): HERE for job in self._jobs.values() if not job.done()}

    def _take(self, unit: str, job: Any) -> None:
        """Note what came of a job that has ended."""
        node = self._running.get(unit)
        if not job.paths.result_pickle.exists():
            ended = self._ended.setdefault(unit, time.monotonic())
            local = self._cluster == "local"
            if not local and time.monotonic() - ended < FILE_SECONDS:
                return
            self._lose(unit, node, f"its job {job.job_id} ended without an answer")
            return
        error = job.exception()
        if error is not None:
            self._lose(unit, node, one_line(error))
            return
        answer = job.result()
        self._settle(unit)
        if "lost" in answer:
            self._lose(unit, node, answer["lost"])
            return
        name = HERE if self._cluster == "local" else answer["node"]["name"]
        self._events.append(Finished(unit, name, answer))

    def _settle(self, unit: str) -> None:
        """Forget the job of a unit."""
        self._jobs.pop(unit, None)
        self._running.pop(unit, None)
        self._ended.pop(unit, None)

    def _lose(self, unit: str, node: str | None, reason: str) -> None:
        """Note that a unit gets no answer."""
        self._settle(unit)
        self._any_lost = True
        self._events.append(Lost(unit, node, reason))

    def exclude(self, node: str) -> None:
        """Give a node nothing more, and take the jobs that wait off it."""
        self._excluded.add(node)
        waiting = {str(j.job_id).partition("_")[0] for u, j in self._jobs.items()}
        for job in sorted(waiting) if self._cluster == "slurm" else ():
            names = ",".join(sorted(self._excluded))
            _output(["scontrol", "update", f"JobId={job}", f"ExcNodeList={names}"])

    def nodes(self) -> int:
        """Return how many nodes work now."""
        return len(set(self._running.values()))

    def hopeless(self) -> str | None:
        """Return that no node is left, where this machine refused; Slurm may always get nodes."""
        if self._cluster == "local" and self._excluded and not self._jobs:
            return "no node is left"
        return None

    def close(self) -> None:
        """Cancel what waits or runs; remove the folder of the jobs if none of them was lost."""
        if self._cluster == "slurm" and self._jobs:
            _output(["scancel", "-n", self._name])
        for job in self._jobs.values() if self._cluster == "local" else ():
            with contextlib.suppress(Exception):
                job.cancel(check=False)
        if not self._any_lost and not self._jobs:
            shutil.rmtree(self._folder, ignore_errors=True)


def _output(command: list[str]) -> str | None:
    """Run a command of Slurm and return what it prints; None where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
