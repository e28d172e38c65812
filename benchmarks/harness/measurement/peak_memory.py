"""Measure the peak memory of a cell, after its time: neither measurement costs the other."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.measurement.job import GroupJob

# For the worker that measures memory, never for one that is timed: glibc returns every block of
# 64 KiB and more to the system when it is freed. Otherwise it would keep some of them, and what the
# next call takes from those would not be seen.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
NOT_ASKED = "not asked for: --memory measures it, in a process of its own for each cell"
# exceptions of a worker whose message is the whole reason
COMPLETE_REASONS = ("Unmeasurable", "Unavailable")


def measure(job: GroupJob, files: ProblemFiles, name: str, pool: Pool) -> dict[str, Any]:
    """Return ``peak_bytes`` of a cell that was timed; where that is None, ``peak_why`` too.

    torch's allocator on a GPU is asked in a process that was timed. Everything else takes a process
    of its own, and is measured only where ``job["memory"]`` says so.
    """
    in_timed_process = (job["framework"], job["device"]) == ("torch", "cuda")
    if not (in_timed_process or job["memory"]):
        return {"peak_bytes": None, "peak_why": NOT_ASKED}
    cell = {"name": name, "kind": job["kind"], "phase": job["phase"], "mode": job["mode"]}
    try:
        with _worker(job, pool, in_timed_process) as launch:
            files.open_in(launch)
            return {"peak_bytes": launch.ask("peak", job["limit"], **cell)}
    except WorkerError as error:
        return {"peak_bytes": None, "peak_why": _reason(error)}


def _worker(job: GroupJob, pool: Pool, in_timed_process: bool) -> AbstractContextManager[Launch]:
    where = job["framework"], job["device"], job["dtype"]
    if in_timed_process:
        return nullcontext(pool.launches(*where, 1)[0])
    return pool.apart(*where, environment=ENVIRONMENT)


def _reason(error: WorkerError) -> str:
    if isinstance(error, WorkerFailed) and error.type in COMPLETE_REASONS:
        return error.message
    return f"measuring it failed: {error}"
