"""A pytest plugin that has every worker of a session run the fake framework.

Environment variables inject faults:

- ``FAKE_FAULTS="summed/gradient=hang …"``: the float32 cells of that strategy and phase behave like
  the fake strategy ``hang``.
- ``FAKE_HARNESS_FAULT=gradient``: measuring a group of that phase raises.
- ``FAKE_STOP=thread``: SIGTERM is sent while a group of phase gradient is measured, to the thread
  that measures it; ``process``: to the process, where the kernel chooses the thread.
- ``FAKE_FLOW=severed``: workers report that loss2 does not reach net1.
- ``FAKE_FULL_DISK="2 3"``: no file can grow at these saves of the run; ``all``: at any save.
- ``FAKE_NATIVE_FAULT=1``: pytest-benchmark finds no room when it writes its JSON at the end.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.launches import launch
from benchmarks.harness.launches import pool as pools
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import canaries, group
from benchmarks.harness.measurement.job import GroupJob, GroupResult
from benchmarks.harness.session import checkpoint
from results.records import storage
from results.records.record import Run

measure_group, save_run = group.measure_group, storage.save_run
saves = 0


class FakeLaunch(launch.Launch):
    """A launch of the fake framework under the name of the one that was asked for."""

    def __init__(self, framework: str, **options: Any) -> None:
        super().__init__("fake", **options)
        self.framework = framework


def faulty_group(job: GroupJob, pool: Pool) -> GroupResult:
    """Measure a group, with the faults that concern its phase."""
    if job["phase"] == os.environ.get("FAKE_HARNESS_FAULT"):
        raise KeyError("a fault of the harness")
    if job["phase"] == "gradient":
        stop()
    return measure_group(job, pool)


def stop() -> None:
    """Send SIGTERM after half a second, when the main thread waits for the group."""
    if where := os.environ.get("FAKE_STOP"):
        time.sleep(0.5)
        if where == "thread":
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        else:
            os.kill(os.getpid(), signal.SIGTERM)


def save_on_a_full_disk(run: Run, folder: Path | str) -> Path:
    """Save a run, at the chosen saves as if the disk were full."""
    global saves
    saves += 1
    full = os.environ.get("FAKE_FULL_DISK", "").split()
    if "all" in full or str(saves) in full:
        with no_room():
            return save_run(run, folder)
    return save_run(run, folder)


@contextmanager
def no_room() -> Iterator[None]:
    """Refuse files larger than a few bytes: as on a full disk, but with the error EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pytest_configure() -> None:
    """Replace functions of the harness, which has been imported by now, in their modules."""
    checkpoint.CHECKPOINT_SECONDS = 0.0  # each group is saved at once
    canaries.take = lambda *_: iter(())  # the fake's canaries have a clock of their own
    pools.Launch = FakeLaunch  # type: ignore[attr-defined]
    group.measure_group = faulty_group
    storage.save_run = save_on_a_full_disk


def pytest_benchmark_update_json() -> None:
    """Raise as the system does on a full disk, at the end of pytest-benchmark's session."""
    if os.environ.get("FAKE_NATIVE_FAULT"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
