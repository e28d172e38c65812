"""The worker processes and problem files that one measuring thread keeps from group to group."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import Flows, ProblemFiles
from benchmarks.harness.protocol import busy_time
from benchmarks.harness.protocol.busy_time import Span


class PoolClosed(Exception):
    """Raised when a closed pool is asked for a worker."""


class Pool:
    """Start worker processes when they are first asked for, and keep them until the pool closes.

    Whoever measures is handed a pool: `pool_of_this_thread` where nobody else owns one. Two threads
    that measure at the same time need a pool each, or one's requests reach the other's workers.

    One thread may ask for workers while another closes the pool, at Ctrl-C. Whatever starts a
    worker holds ``_changing`` until the worker is kept, so that `close` finds every worker there
    is: one that it missed would be waited for until its time limit.
    """

    def __init__(self) -> None:
        self._launches: dict[tuple[str, str, str], list[Launch]] = {}
        self._apart: list[Launch] = []
        self._cache: tempfile.TemporaryDirectory[str] | None = None
        self._files: ProblemFiles | None = None
        self._flows: Flows = {}  # proven once for each pool
        self._worked: list[Span] = []
        self._closed = False
        self._changing = threading.RLock()
        atexit.register(self.close)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launches(self, framework: str, device: str, dtype: str, count: int) -> list[Launch]:
        """Return ``count`` workers; those that are missing or dead all start at once.

        Raises:
            PoolClosed: the pool has been closed, which Ctrl-C may do while a group is measured.
        """
        with self._changing:
            self._demand_open()
            launches = self._launches.setdefault((framework, device, dtype), [])
            if self._cache is None:  # fresh for each pool, so that compile times mean something
                self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-cache-")
            for launch in launches:
                if launch.dead:
                    self.replace(launch)
            while len(launches) < count:
                launches.append(self._launch(framework, device, dtype))
            return launches[:count]

    def launch(self, framework: str, device: str, dtype: str, index: int) -> Launch:
        """Return one of the workers of `launches`, alive; the others are left as they are."""
        with self._changing:
            self._demand_open()
            launches = self._launches.setdefault((framework, device, dtype), [])
            while len(launches) <= index:
                launches.append(self._launch(framework, device, dtype))
            return self.replace(launches[index]) if launches[index].dead else launches[index]

    def _demand_open(self) -> None:
        if self._closed:
            raise PoolClosed("no worker is started any more: the session has ended")

    def replace(self, launch: Launch) -> Launch:
        """Start a fresh worker in the place of one that crashed or hung, and return it.

        Raises:
            PoolClosed: the pool has been closed.
            ValueError: the worker is not of this pool.
        """
        with self._changing:
            self._demand_open()
            for (framework, device, dtype), launches in self._launches.items():
                if launch in launches:
                    launch.kill()
                    fresh = self._launch(framework, device, dtype)
                    launches[launches.index(launch)] = fresh
                    return fresh
        raise ValueError("that launch is not of this pool")

    @contextmanager
    def apart(
        self, framework: str, device: str, dtype: str, environment: Mapping[str, str]
    ) -> Iterator[Launch]:
        """Start a worker with environment variables of its own; it ends with the context.

        Raises:
            PoolClosed: the pool has been closed. Where it is closed meanwhile, the worker is gone.
        """
        with self._changing:
            self._demand_open()
            launch = self._launch(framework, device, dtype, environment)
            self._apart.append(launch)
        try:
            yield launch
        finally:
            launch.kill()
            with self._changing, contextlib.suppress(ValueError):  # closed meanwhile
                self._apart.remove(launch)

    def files(self, scenario: str, variant: str, size: str) -> ProblemFiles:
        """Return the files of a problem; those of the problem before it are removed."""
        current = self._files
        if current and current.problem == (scenario, variant, size):
            return current
        if current:
            current.close()
        self._files = ProblemFiles(scenario, variant, size, self._flows)
        return self._files

    def _launch(
        self,
        framework: str,
        device: str,
        dtype: str,
        environment: Mapping[str, str] | None = None,
    ) -> Launch:
        return Launch(
            framework,
            device=device,
            dtype=dtype,
            cache=self._cache.name if self._cache else None,
            environment=environment,
            worked=self._worked,
        )

    def worker_seconds(self) -> float:
        """Return for how many seconds any worker was busy since this was last called.

        Workers that have been replaced count too; two that worked at once count once. See
        `busy_time`.
        """
        seconds = busy_time.seconds(self._worked)
        self._worked.clear()
        return seconds

    def end_workers(self) -> None:
        """End every worker; whoever asks for launches again gets fresh ones.

        All are sent SIGKILL before any is waited for, and forgotten only then: a second Ctrl-C,
        which may break this off, leaves no worker that lives on.
        """
        with self._changing:
            launches = [one for kept in (*self._launches.values(), self._apart) for one in kept]
            for launch in launches:
                launch.kill_nowait()
            for launch in launches:
                launch.kill()
            self._launches, self._apart = {}, []

    def close(self) -> None:
        """End every worker and remove every file, for good. May be called again."""
        self._closed = True  # before the lock is waited for, which Ctrl-C may break off
        self.end_workers()
        if self._files:
            self._files.close()
        if self._cache:
            self._cache.cleanup()
        self._files = self._cache = None
        atexit.unregister(self.close)


_OF_THREAD = threading.local()


def pool_of_this_thread() -> Pool:
    """Return the pool that this thread keeps until its process ends.

    For work that is submitted to an executor of another process or machine, where no session owns
    the workers: tasks that run one after the other on a thread share its workers.
    """
    pool: Pool | None = getattr(_OF_THREAD, "pool", None)
    if pool is None:
        pool = _OF_THREAD.pool = Pool()
    return pool
