"""Measure units on the workers of a Dask cluster, one unit at a time on each.

Units wait here, and a worker gets the next one when it has answered. Dask would assign all of them
to workers at once, so that a worker that dies or refuses would take its share along; and it counts
a worker's death against every unit that was assigned to it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from benchmarks.cluster import remote
from benchmarks.cluster.backend import Event, Finished, Lost, Started
from benchmarks.cluster.backends.unit_queue import UnitQueue
from benchmarks.cluster.errors import ClusterError
from benchmarks.cluster.settings import WAIT_SECONDS, ClusterSettings
from benchmarks.cluster.unit import UnitJob
from results.formatting import one_line
from results.records.installing import install_command

RESOURCE = "measure"
LOOK_SECONDS = 1.0  # between two looks at which workers there are
CONNECT_SECONDS = 10.0
END_SECONDS = 30.0  # for all nodes to end what they are doing
HOW = "dask worker ADDRESS --nthreads 1 --resources measure=1"


class ByValue:
    """Wrap a function of `remote`, so that Dask carries its code along, and not its module's name.

    Dask's own pickling looks only at the outermost object for what is to be carried by value.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        import cloudpickle

        cloudpickle.register_pickle_by_value(remote)
        self._code: bytes = cloudpickle.dumps(function)
        self._load = cloudpickle.loads
        self.__name__ = function.__name__  # stands in Dask's keys and dashboard

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        """Become the function itself where this is unpickled."""
        return self._load, (self._code,)

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refuse: it is called where it is the function itself."""
        raise TypeError(f"{self.__name__} runs on a Dask worker")


class DaskBackend:
    """Give units to Dask workers; see `benchmarks.cluster.backend.Backend`.

    Args:
        settings: what the cluster file says.
        session: names the processes on the nodes that belong to this session.

    Raises:
        ClusterError: Dask is not installed, or no scheduler or no fitting worker is there.
    """

    def __init__(self, settings: ClusterSettings, session: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ClusterError(
                f"backend dask needs {error.name}, not installed here: {install_command('cluster')}"
            ) from None
        self._settings, self._session = settings, session
        self._client = self._connect(distributed)
        self._queue = UnitQueue()
        self._futures: dict[str, tuple[str, str, Any]] = {}  # address → unit, worker's id, future
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._begun: list[Event] = []
        self._excluded: set[str] = set()
        self._looked, self._gone = 0.0, ""
        self._workers: dict[str, Any] = {}
        self._await_workers()

    def _connect(self, distributed: Any) -> Any:
        """Return a client of the scheduler that the settings name."""
        values = self._settings.values
        where = {
            key: values[f"dask_{key}"]
            for key in ("address", "scheduler_file")
            if f"dask_{key}" in values
        }
        try:
            return distributed.Client(**where, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            named = ", ".join(map(str, where.values()))
            raise ClusterError(
                f"no Dask scheduler answers at {named} ({one_line(error)}); start one with "
                "`dask scheduler`, and name its address, `dask_address: tcp://HOST:8786`"
            ) from None

    def _await_workers(self) -> None:
        """Wait for the first worker that may measure; raise `ClusterError` if none comes."""
        limit = float(self._settings.values.get("dask_wait_seconds", WAIT_SECONDS))
        end = time.monotonic() + limit
        while not self._fitting(look=True):
            if self._gone or time.monotonic() > end:
                self._client.close()
                raise ClusterError(self._gone or self._none_fits(f" within {limit:g} s"))
            time.sleep(LOOK_SECONDS / 4)

    def _none_fits(self, when: str = "") -> str:
        """Return that no worker may measure, and how to start one that may."""
        descriptions = [
            f"{worker['name']} with {worker['nthreads']} threads and resources "
            f"{worker['resources'] or 'none'}"
            for worker in self._workers.values()
        ]
        workers_text = f"only {'; '.join(descriptions[:5])}" if descriptions else "no worker at all"
        return f"no Dask worker may measure{when}: {workers_text}; start one a node with `{HOW}`"

    def _fitting(self, *, look: bool = False) -> list[str]:
        """Return the addresses of the workers that may measure, and are not excluded.

        Args:
            look: whether to ask the scheduler; what it said last is taken otherwise.
        """
        if look:
            self._look()
        return [
            address
            for address, worker in self._workers.items()
            if worker["nthreads"] == 1
            and worker["resources"].get(RESOURCE, 0) >= 1
            and address not in self._excluded
        ]

    def _look(self) -> None:
        """Ask the scheduler which workers there are.

        `Client.scheduler_info` would not do: the client asks again by itself every two seconds, for
        no workers at all, and that answer may take the place of ours before we see it.
        """
        self._looked = time.monotonic()
        try:
            ask = self._client.scheduler.identity
            identity = self._client.sync(ask, n_workers=-1, callback_timeout=CONNECT_SECONDS)
            self._workers, self._gone = dict(identity["workers"]), ""
        except Exception as error:  # whatever Dask raises where its scheduler is gone
            self._workers = {}
            self._gone = f"the Dask scheduler does not answer any more ({one_line(error)})"

    def submit(self, units: Sequence[UnitJob], avoiding: Collection[str] = ()) -> None:
        """Take units."""
        self._queue.add(units, avoiding)
        self._assign()

    def _assign(self) -> None:
        """Give the next unit to each worker that has none."""
        fitting = self._fitting()
        for address in fitting:
            if address not in self._futures and len(self._queue):
                job = self._queue.take_for(address, set(fitting) - {address})
                if job:
                    self._begin(job, address)

    def _begin(self, job: UnitJob, address: str) -> None:
        """Have a worker measure a unit."""
        arguments = job["unit"], json.dumps(job), self._settings.place, self._session
        future = self._client.submit(
            ByValue(remote.measure_on_dask),
            *arguments,
            workers=[address],
            resources={RESOURCE: 1},
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._futures[address] = job["unit"], self._workers[address].get("id", ""), future
        self._begun.append(Started(job["unit"], address))
        future.add_done_callback(lambda _: self._news.put(address))

    def wait(self, seconds: float) -> list[Event]:
        """Return what has happened, after at most so many seconds."""
        events: list[Event] = [*self._begun]
        self._begun.clear()
        with contextlib.suppress(queue.Empty):
            events += self._event_of(self._news.get(timeout=0.0 if events else seconds))
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
            events += self._lost()
        self._assign()
        return events

    def _event_of(self, address: str) -> list[Event]:
        """Return what came of the unit that a worker had, if its future is done."""
        if address not in self._futures or not self._futures[address][2].done():
            return []
        unit, _, future = self._futures.pop(address)
        if future.status != "finished":
            why = "it was cancelled from outside"
            if future.status == "error":
                why = one_line(future.exception())
            return [Lost(unit, address, why)]
        answer = future.result()
        if "lost" in answer:
            return [Lost(unit, address, answer["lost"])]
        return [Finished(unit, address, answer)]

    def _lost(self) -> list[Event]:
        """Return the units of workers that are gone, or were started anew at the same address."""
        events: list[Event] = []
        for address, (unit, identity, future) in list(self._futures.items()):
            worker = self._workers.get(address)
            if (worker is None or worker.get("id", "") != identity) and not future.done():
                del self._futures[address]
                with contextlib.suppress(Exception):  # the scheduler may be gone too
                    self._client.cancel([future])
                events.append(Lost(unit, address, "the Dask worker is gone"))
        return events

    def exclude(self, node: str) -> None:
        """Give a worker nothing more."""
        self._excluded.add(node)

    def nodes(self) -> int:
        """Return how many workers may get units."""
        return len(self._fitting())

    def hopeless(self) -> str | None:
        """Return why no worker will take what waits; None while one works or may."""
        if self._futures or self._fitting():
            return None
        if self._gone:
            return self._gone
        fitting_but_excluded = self._excluded & set(self._workers)
        return "no node is left" if fitting_but_excluded else self._none_fits()

    def close(self) -> None:
        """Cancel what runs, end the processes on the workers, and disconnect."""
        with contextlib.suppress(Exception):  # nothing is to be done about a scheduler that is gone
            self._client.cancel([future for _, _, future in self._futures.values()])
            self._client.run(
                ByValue(remote.end_on_dask), self._session, on_error="return", workers=self._all()
            )
        with contextlib.suppress(Exception):
            self._client.close(timeout=END_SECONDS)

    def _all(self) -> list[str]:
        """Return the addresses of all workers that are there."""
        self._look()
        return list(self._workers)
