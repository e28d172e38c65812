"""Which workers the Dask engine sees, whatever else its client asks the scheduler meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from benchmarks.cluster.backends.dask import DaskBackend

WORKER = {"name": "n1", "nthreads": 1, "resources": {"measure": 1}}


class Client:
    """A client whose scheduler knows one worker, or is gone.

    As the real one does, it keeps what it has asked by itself, which is about no worker.
    """

    def __init__(self, error: OSError | None = None) -> None:
        self._error = error
        self.scheduler = SimpleNamespace(identity=self._identity)

    def _identity(self, n_workers: int) -> dict[str, Any]:
        if self._error:
            raise self._error
        return {"workers": {"tcp://a": WORKER} if n_workers == -1 else {}}

    def sync(self, ask: Any, callback_timeout: float, **arguments: Any) -> Any:
        return ask(**arguments)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return self._identity(0)


def backend(client: Client) -> DaskBackend:
    one = DaskBackend.__new__(DaskBackend)
    one._client, one._excluded, one._futures, one._gone = client, set(), {}, ""
    return one


def test_answer_to_another_question_of_the_client_is_not_taken_for_ours() -> None:
    one = backend(Client())
    assert one._fitting(look=True) == ["tcp://a"]
    assert one.hopeless() is None


def test_scheduler_that_does_not_answer_is_said() -> None:
    one = backend(Client(OSError("Connection refused")))
    assert one._fitting(look=True) == []
    assert one.hopeless() == "the Dask scheduler does not answer any more (Connection refused)"
