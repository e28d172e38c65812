"""Measure the peak memory of a cell, after its time, so that neither disturbs the other."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.measurement.job import GroupJob
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.protocol.ranks import DISTRIBUTED

# Only for the worker that measures memory, never for a timed one: glibc then returns every freed
# block of 64 KiB and more to the system. Otherwise it would keep some blocks, and memory that the
# next call takes from them would not be counted.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
NOT_ASKED = "not asked for: --memory measures it, in a process of its own for each cell"
SEVERAL_RANKS = "not measured over several ranks, which are processes or devices of their own"
# exceptions of a worker whose message is the whole reason
COMPLETE_REASONS = ("Unmeasurable", "Unavailable")


def measure(
    job: GroupJob, files: ProblemFiles | CaseFiles, name: str, pool: Pool
) -> dict[str, Any]:
    """Return ``peak_bytes`` of a cell that was timed; where that is None, ``peak_why`` too.

    For torch on a GPU the allocator counts in a process that was timed. Every other measurement
    needs a process of its own, and is made only if ``job["memory"]`` is true.
    """
    if job["kind"] == DISTRIBUTED:
        return {"peak_bytes": None, "peak_why": SEVERAL_RANKS}
    in_timed_process = (job["framework"], job["device"]) == ("torch", "cuda")
    if not (in_timed_process or job["memory"]):
        return {"peak_bytes": None, "peak_why": NOT_ASKED}
    cell = {"name": name, "kind": job["kind"], "phase": job["phase"], "mode": job["mode"]}
    cell["precision_mode"] = job.get("precision_mode", IEEE)
    try:
        with _worker(job, pool, in_timed_process) as launch:
            files.open_in(launch)
            return {"peak_bytes": launch.ask("peak", job["limit"], **cell)}
    except WorkerError as error:
        return {"peak_bytes": None, "peak_why": _reason(error)}


def _worker(job: GroupJob, pool: Pool, in_timed_process: bool) -> AbstractContextManager[Launch]:
    """Return a context whose value is the worker to measure in: a timed one, or one of its own."""
    where = job["framework"], job["device"], job["dtype"]
    if in_timed_process:
        return nullcontext(pool.launches(*where, 1, job.get("file"))[0])
    return pool.separate_worker(*where, environment=ENVIRONMENT, owner=job.get("file"))


def _reason(error: WorkerError) -> str:
    """Return why the peak is unknown, for the record: the error of the worker in words."""
    if isinstance(error, WorkerFailed) and error.type in COMPLETE_REASONS:
        return error.message
    return f"measuring it failed: {error}"
