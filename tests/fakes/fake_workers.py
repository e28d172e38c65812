"""A pytest plugin: a session whose workers, whatever framework they are for, are the fake one's.

What goes wrong in it is said in the environment:

- ``FAKE_FAULTS="summed/gradient=hang …"``: the float32 cells of that strategy and phase behave like
  the fake strategy ``hang``.
- ``FAKE_HARNESS_FAULT=gradient``: measuring a group of that phase raises.
- ``FAKE_STOP=thread``: SIGTERM comes while a group of phase gradient is measured, and to the thread
  that measures it; ``process``: to whichever the kernel chooses.
- ``FAKE_FLOW=severed``: in the flow as it is proven, loss2 does not reach net1.
- ``FAKE_FULL_DISK="2 3"``: the kernel lets no file grow at these saves of the run; ``all``: at any.
"""

from __future__ import annotations

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
    def __init__(self, framework: str, **options: Any) -> None:
        super().__init__("fake", **options)
        self.framework = framework


def faulty_group(job: GroupJob, pool: Pool) -> GroupResult:
    if job["phase"] == os.environ.get("FAKE_HARNESS_FAULT"):
        raise KeyError("a fault of the harness")
    if job["phase"] == "gradient":
        stop()
    return measure_group(job, pool)


def stop() -> None:
    """Half a second from now, so that the main thread waits by then."""
    if where := os.environ.get("FAKE_STOP"):
        time.sleep(0.5)
        if where == "thread":
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        else:
            os.kill(os.getpid(), signal.SIGTERM)


def save_on_a_full_disk(run: Run, folder: Path | str) -> Path:
    global saves
    saves += 1
    full = os.environ.get("FAKE_FULL_DISK", "").split()
    if "all" in full or str(saves) in full:
        with no_room():
            return save_run(run, folder)
    return save_run(run, folder)


@contextmanager
def no_room() -> Iterator[None]:
    """Files larger than a few bytes are refused as on a full disk, but with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pytest_configure() -> None:
    """By now the harness has been imported, and looks these up where they stand."""
    checkpoint.CHECKPOINT_SECONDS = 0.0  # each group is saved at once
    canaries.take = lambda *_: iter(())  # the fake's canaries live in a time of their own
    pools.Launch = FakeLaunch  # type: ignore[attr-defined]
    group.measure_group = faulty_group
    storage.save_run = save_on_a_full_disk
