"""Keep the worker processes and problem files of one measuring thread from group to group."""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.launches.case_files import CaseFiles, key_of
from benchmarks.harness.launches.float64_references import Flows
from benchmarks.harness.launches.launch import ANSWER_SECONDS, WORKER, Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.harness.protocol import busy_time
from benchmarks.harness.protocol.case_messages import CaseJob
from benchmarks.harness.protocol.messages import Span

Kind = tuple[str, str, str, str, str | None]  # framework, device, dtype, module, owner


class PoolClosed(Exception):
    """Raised when a closed pool is asked for a worker."""


class Pool:
    """Start worker processes when they are first needed, and keep them until the pool closes.

    Workers run either this suite's own scenarios or those of a single file of the user's, their
    ``owner``. What a user's code does to its process, or starts beside it, must not disturb another
    owner's times: when workers of another owner are asked for, those of the one before end.

    Two threads that measure at the same time need a pool each: they would otherwise send requests
    to the same workers. Code that owns no pool uses `pool_of_this_thread`.

    One thread may ask for workers while another closes the pool after Ctrl-C. Every method that
    starts a worker holds the lock ``_changing`` until the worker is registered, so that `close`
    finds every worker: the session would wait for a forgotten one until its time limit.
    """

    def __init__(self) -> None:
        self._launches: dict[Kind, list[Launch]] = {}
        self._separate: list[Launch] = []
        self._cache: tempfile.TemporaryDirectory[str] | None = None
        self._files: ProblemFiles | None = None
        self._cases: dict[str, CaseFiles] = {}
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

    def launches(
        self,
        framework: str,
        device: str,
        dtype: str,
        count: int,
        owner: str | None = None,
        module: str = WORKER,
    ) -> list[Launch]:
        """Return ``count`` workers of this kind; missing or dead ones all start at once.

        Args:
            framework, device, dtype: of the workers.
            count: how many.
            owner: path of the user's spec that they run; None: this suite's own scenarios.
            module: that they run.

        Raises:
            PoolClosed: the pool has been closed, for example by Ctrl-C during measuring.
        """
        with self._changing:
            self._demand_open()
            launches = self._of_kind((framework, device, dtype, module, owner))
            if self._cache is None:  # empty for each pool, so that compile times mean something
                self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-cache-")
            for launch in launches:
                if launch.dead:
                    self.replace(launch)
            while len(launches) < count:
                launches.append(self._launch(framework, device, dtype, module, owner))
            return launches[:count]

    def launch(
        self,
        framework: str,
        device: str,
        dtype: str,
        index: int,
        owner: str | None = None,
        module: str = WORKER,
    ) -> Launch:
        """Return worker number ``index`` of `launches`, alive; dead ones before it stay dead."""
        with self._changing:
            self._demand_open()
            launches = self._of_kind((framework, device, dtype, module, owner))
            while len(launches) <= index:
                launches.append(self._launch(framework, device, dtype, module, owner))
            return self.replace(launches[index]) if launches[index].dead else launches[index]

    def _of_kind(self, kind: Kind) -> list[Launch]:
        """Return the list of the workers of a kind, after ending those of every other owner."""
        others = {
            key: list(launches) for key, launches in self._launches.items() if key[-1] != kind[-1]
        }
        ending = [launch for launches in others.values() for launch in launches]
        for launch in ending:
            launch.kill_nowait()
        for launch in ending:
            launch.kill()
        for key in others:  # forgotten only now: Ctrl-C may have come between
            del self._launches[key]
        return self._launches.setdefault(kind, [])

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
            for kind, launches in self._launches.items():
                if launch in launches:
                    launch.kill()
                    successor = self._launch(*kind)
                    launches[launches.index(launch)] = successor
                    return successor
        raise ValueError("that launch is not of this pool")

    @contextmanager
    def separate_worker(
        self,
        framework: str,
        device: str,
        dtype: str,
        environment: Mapping[str, str],
        owner: str | None = None,
    ) -> Iterator[Launch]:
        """Start a worker with environment variables of its own, and kill it after the context.

        Raises:
            PoolClosed: the pool has been closed. If it is closed inside the context, the worker
                is killed.
        """
        with self._changing:
            self._demand_open()
            launch = self._launch(framework, device, dtype, WORKER, owner, environment)
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
            scenario, variant, size, self._flows, limit=limit, time_outs=self._time_outs,
            stored=True,
        )  # fmt: skip
        return self._files

    def case_files(self, case: CaseJob, framework: str) -> CaseFiles:
        """Return the files of a case of the user's own, which stay until the pool closes."""
        key = key_of(case, framework)
        if key not in self._cases:
            self._cases[key] = CaseFiles(case, framework)
        return self._cases[key]

    def _launch(
        self,
        framework: str,
        device: str,
        dtype: str,
        module: str = WORKER,
        owner: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Launch:
        """Start a worker that shares its owner's compile cache and reports its work to the pool."""
        return Launch(
            framework,
            device=device,
            dtype=dtype,
            cache=self._cache_of(owner),
            environment=environment,
            module=module,
            busy_spans=self._busy_spans,
            owner=owner,
        )

    def _cache_of(self, owner: str | None) -> str | None:
        """Return the folder of an owner's compiled programs; None before the pool has one."""
        if self._cache is None or owner is None:
            return self._cache.name if self._cache else None
        folder = Path(self._cache.name) / f"own-{zlib.crc32(owner.encode()):08x}"
        folder.mkdir(exist_ok=True)
        return str(folder)

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
        for files in self._cases.values():
            files.close()
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
