"""Peak memory of a cell, measured after its time, which it cannot cost."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.harness.launches import pool
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles

# Of the worker that measures memory, never of one that is timed: glibc gives every block of 64 KiB
# and more back when it is freed. It would else keep some, and what the next call takes of it would
# not be seen.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
NOT_ASKED = "not asked for: --memory measures it, in a process of its own for each cell"
SAYING_ALL = ("Unmeasurable", "Unavailable")  # exceptions whose message is the whole reason


def peak(job: Mapping[str, Any], files: ProblemFiles, name: str) -> dict[str, Any]:
    """``peak_bytes`` of a cell that was timed; where that is None, ``peak_why``.

    torch's allocator on a GPU is asked in a process that was timed. All else takes a process of its
    own, and is measured only where the job's ``memory`` says so.
    """
    timed = (job["framework"], job["device"]) == ("torch", "cuda")
    if not (timed or job["memory"]):
        return {"peak_bytes": None, "peak_why": NOT_ASKED}
    cell = {"name": name} | {key: job[key] for key in ("kind", "phase", "mode")}
    try:
        with _timed(job) if timed else _apart(job) as launch:
            files.open_in(launch)
            return {"peak_bytes": launch.ask("peak", job["limit"], **cell)}
    except WorkerError as error:
        return {"peak_bytes": None, "peak_why": _why(error)}


def _timed(job: Mapping[str, Any]) -> AbstractContextManager[Launch]:
    where = job["framework"], job["device"], job["dtype"]
    return nullcontext(pool.POOL.launches(*where, 1)[0])


def _apart(job: Mapping[str, Any]) -> AbstractContextManager[Launch]:
    where = job["framework"], job["device"], job["dtype"]
    return pool.POOL.apart(*where, environment=ENVIRONMENT)


def _why(error: WorkerError) -> str:
    if isinstance(error, WorkerFailed) and error.type in SAYING_ALL:
        return error.message
    return f"measuring it failed: {error}"
