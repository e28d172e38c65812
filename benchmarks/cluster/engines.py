"""Start the engine that a cluster file names."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cluster.backend import Backend
from benchmarks.cluster.settings import ClusterSettings

Start = Callable[[ClusterSettings, str], Backend]


def start_backend(settings: ClusterSettings, session: str) -> Backend:
    """Return the engine that a cluster file names; nothing of the others is imported.

    Raises:
        ClusterError: it is not installed, or nobody answers.
    """
    if settings.backend == "dask":
        from benchmarks.cluster.backends.dask import DaskBackend

        return DaskBackend(settings, session)
    if settings.backend == "submitit":
        from benchmarks.cluster.backends.submitit import SubmititBackend

        return SubmititBackend(settings, session)
    from benchmarks.cluster.backends.local import LocalBackend

    return LocalBackend(settings, session)
