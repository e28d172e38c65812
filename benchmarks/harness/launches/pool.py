"""Keep the worker processes and problem files of one measuring thread from group to group."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.harness.launches.float64_references import Flows
from benchmarks.harness.launches.launch import ANSWER_SECONDS, Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.harness.protocol import busy_time
from benchmarks.harness.protocol.messages import Span


class PoolClosed(Exception):
    """Raised when a closed pool is asked for a worker."""


class Pool:
    """Start worker processes when they are first needed, and keep them until the pool closes.

    Two threads that measure at the same time need a pool each: they would otherwise send requests
    to the same workers. Code that owns no pool uses `pool_of_this_thread`.

    One thread may ask for workers while another closes the pool after Ctrl-C. Every method that
    starts a worker holds the lock ``_changing`` until the worker is registered, so that `close`
    finds every worker: the session would wait for a forgotten one until its time limit.
    """

    def __init__(self) -> None:
        self._launches: dict[tuple[str, str, str], list[Launch]] = {}
        self._separate: list[Launch] = []
        self._cache: tempfile.TemporaryDirectory[str] | None = None
        self._files: ProblemFiles | None = None
        self._flows: Flows = {}  # each is proven once for each pool
        self._time_outs = TimeOuts()  # no part of a user's file is tried twice in a pool
        self._busy_spans: list[Span] = []
        self._closed = False
        self._changing = threading.RLock()
        atexit.register(self.close)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launches(self, framework: str, device: str, dtype: str, count: int) -> list[Launch]:
        """Return ``count`` workers of this kind; missing or dead ones all start at once.

        Raises:
            PoolClosed: the pool has been closed, for example by Ctrl-C during measuring.
        """
        with self._changing:
            self._demand_open()
            launches = self._launches.setdefault((framework, device, dtype), [])
            if self._cache is None:  # empty for each pool, so that compile times mean something
                self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-cache-")
            for launch in launches:
                if launch.dead:
                    self.replace(launch)
            while len(launches) < count:
                launches.append(self._launch(framework, device, dtype))
            return launches[:count]

    def launch(self, framework: str, device: str, dtype: str, index: int) -> Launch:
        """Return worker number ``index`` of `launches`, alive; dead ones before it stay dead."""
        with self._changing:
            self._demand_open()
            launches = self._launches.setdefault((framework, device, dtype), [])
            while len(launches) <= index:
                launches.append(self._launch(framework, device, dtype))
            return self.replace(launches[index]) if launches[index].dead else launches[index]

    def _demand_open(self) -> None:
        """Raise `PoolClosed` if the pool has been closed."""
        if self._closed:
            raise PoolClosed("no worker is started any more: the session has ended")

    def replace(self, launch: Launch) -> Launch:
        """Start a new worker in place of one that crashed or hung, and return it.

        Raises:
            PoolClosed: the pool has been closed.
            ValueError: the worker is not of this pool.
        """
        with self._changing:
            self._demand_open()
            for (framework, device, dtype), launches in self._launches.items():
                if launch in launches:
                    launch.kill()
                    successor = self._launch(framework, device, dtype)
                    launches[launches.index(launch)] = successor
                    return successor
        raise ValueError("that launch is not of this pool")

    @contextmanager
    def separate_worker(
        self, framework: str, device: str, dtype: str, environment: Mapping[str, str]
    ) -> Iterator[Launch]:
        """Start a worker with environment variables of its own, and kill it after the context.

        Raises:
            PoolClosed: the pool has been closed. If it is closed inside the context, the worker
                is killed.
        """
        with self._changing:
            self._demand_open()
            launch = self._launch(framework, device, dtype, environment)
            self._separate.append(launch)
        try:
            yield launch
        finally:
            launch.kill()
            with self._changing, contextlib.suppress(ValueError):  # closed meanwhile
                self._separate.remove(launch)

    def files(
        self, scenario: str, variant: str, size: str, *, limit: float = ANSWER_SECONDS
    ) -> ProblemFiles:
        """Return the files of a problem's weights and data.

        They stay until the files of another problem are needed.

        Args:
            scenario: of the problem.
            variant: of the problem.
            size: of the problem.
            limit: seconds for each part of working with it, see `ProblemFiles`.

        Raises:
            SpecError: a user's own spec cannot draw the arrays, or not in time.
            DiskError: the temporary folder has no room for the arrays.
        """
        current = self._files
        if current and current.problem == (scenario, variant, size):
            return current
        if current:
            self._files = None  # also if the new files cannot be written
            current.close()
        self._files = ProblemFiles(
            scenario, variant, size, self._flows, limit=limit, time_outs=self._time_outs
        )
        return self._files

    def _launch(
        self,
        framework: str,
        device: str,
        dtype: str,
        environment: Mapping[str, str] | None = None,
    ) -> Launch:
        """Start a worker that shares the pool's compile cache and reports its work to the pool."""
        return Launch(
            framework,
            device=device,
            dtype=dtype,
            cache=self._cache.name if self._cache else None,
            environment=environment,
            busy_spans=self._busy_spans,
        )

    def worker_seconds(self) -> float:
        """Return the seconds in which at least one worker was busy since the last call.

        Workers that have been replaced count too. See `benchmarks.harness.protocol.busy_time`.
        """
        seconds = busy_time.seconds(self._busy_spans)
        self._busy_spans.clear()
        return seconds

    def workers(self) -> list[Launch]:
        """Return every worker of the pool, dead ones included; none is started."""
        with self._changing:
            groups = (*self._launches.values(), self._separate)
            return [launch for launches in groups for launch in launches]

    def end_workers(self) -> None:
        """Kill every worker; later calls of `launches` start new ones.

        All workers get SIGKILL before any is waited for, and are forgotten only after that: a
        second Ctrl-C, which may interrupt this method, leaves no worker alive.
        """
        with self._changing:
            launches = self.workers()
            for launch in launches:
                launch.kill_nowait()
            for launch in launches:
                launch.kill()
            self._launches, self._separate = {}, []

    def close(self) -> None:
        """Kill every worker, remove every file, and refuse to start more. May be called again."""
        self._closed = True  # before waiting for the lock, which Ctrl-C may interrupt
        self.end_workers()
        if self._files:
            self._files.close()
        if self._cache:
            self._cache.cleanup()
        self._files = self._cache = None
        atexit.unregister(self.close)


_OF_THREAD = threading.local()


def pool_of_this_thread() -> Pool:
    """Return the pool that belongs to this thread until its process ends.

    Use it for tasks of an executor in another process or on another machine, where no session owns
    the workers: tasks that run one after another on a thread share its workers.
    """
    pool: Pool | None = getattr(_OF_THREAD, "pool", None)
    if pool is None:
        pool = _OF_THREAD.pool = Pool()
    return pool
