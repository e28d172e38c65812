"""The workers and the files that a measuring process keeps from group to group."""

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
    """A worker was asked of a pool that is closed."""


class Pool:
    """The launches of this process, started when first asked for and kept until it ends.

    One thread asks for them while another, at Ctrl-C, may close the pool. Whatever starts a launch
    holds ``_changing`` until the launch is kept, so that `close` finds every one there is: a worker
    that it missed would be waited for until its time limit.
    """

    def __init__(self) -> None:
        self._launches: dict[tuple[str, str, str], list[Launch]] = {}
        self._apart: list[Launch] = []
        self._cache: tempfile.TemporaryDirectory[str] | None = None
        self._files: ProblemFiles | None = None
        self._flows: Flows = {}  # proven once in a session
        self._worked: list[Span] = []
        self._closed = False
        self._changing = threading.RLock()

    def launches(self, framework: str, device: str, dtype: str, count: int) -> list[Launch]:
        """``count`` workers, all starting at once where some are new.

        Raises `PoolClosed` after the end, which Ctrl-C may bring while a group is measured.
        """
        with self._changing:
            self._demand_open()
            kept = self._launches.setdefault((framework, device, dtype), [])
            if self._cache is None:  # fresh for each session, so that compile times mean something
                self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-cache-")
            for launch in kept:
                if launch.dead:
                    self.replace(launch)
            while len(kept) < count:
                kept.append(self._launch(framework, device, dtype))
            return kept[:count]

    def launch(self, framework: str, device: str, dtype: str, index: int) -> Launch:
        """One of those that `launches` starts, alone; a fresh one in its place if it is dead."""
        with self._changing:
            self._demand_open()
            kept = self._launches.setdefault((framework, device, dtype), [])
            while len(kept) <= index:
                kept.append(self._launch(framework, device, dtype))
            return self.replace(kept[index]) if kept[index].dead else kept[index]

    def _demand_open(self) -> None:
        if self._closed:
            raise PoolClosed("no worker is started any more: the session has ended")

    def replace(self, launch: Launch) -> Launch:
        """A fresh worker in the place of one that crashed or hung.

        Raises `PoolClosed` after the end.
        """
        with self._changing:
            self._demand_open()
            for (framework, device, dtype), kept in self._launches.items():
                if launch in kept:
                    launch.kill()
                    fresh = self._launch(framework, device, dtype)
                    kept[kept.index(launch)] = fresh
                    return fresh
        raise ValueError("that launch is not of this pool")

    @contextmanager
    def apart(
        self, framework: str, device: str, dtype: str, environment: Mapping[str, str]
    ) -> Iterator[Launch]:
        """A worker for one errand, which ends with it.

        Raises `PoolClosed` after the end; where the pool is closed meanwhile, the worker is gone.
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
        """The problem's files; those of the problem before are removed."""
        kept = self._files
        if kept and (kept.spec.name, kept.variant, kept.size) == (scenario, variant, size):
            return kept
        if kept:
            kept.close()
        self._files = ProblemFiles(scenario, variant, size, self._flows)
        return self._files

    def _launch(
        self,
        framework: str,
        device: str,
        dtype: str,
        environment: Mapping[str, str] | None = None,
    ) -> Launch:
        cache = self._cache.name if self._cache else None
        return Launch(
            framework,
            device=device,
            dtype=dtype,
            cache=cache,
            environment=environment,
            worked=self._worked,
        )

    def worker_seconds(self) -> float:
        """For how long a worker worked, and told of it, since this was last asked: see `effort`.

        Also one that has been replaced, or was for one errand; two at once count once.
        """
        seconds = busy_time.seconds(self._worked)
        self._worked.clear()
        return seconds

    def end_workers(self) -> None:
        """End every worker; who asks for launches again gets fresh ones.

        All are struck before any is waited for, and forgotten only then: a second Ctrl-C, which
        may break off this, leaves none that lives on.
        """
        with self._changing:
            launches = [one for kept in (*self._launches.values(), self._apart) for one in kept]
            for launch in launches:
                launch.kill_nowait()
            for launch in launches:
                launch.kill()
            self._launches, self._apart = {}, []

    def close(self) -> None:
        """End every worker and remove every file, for good."""
        self._closed = True  # before the lock is waited for, which Ctrl-C may break off
        self.end_workers()
        if self._files:
            self._files.close()
        if self._cache:
            self._cache.cleanup()
        self._files = self._cache = None


POOL = Pool()
atexit.register(POOL.close)
