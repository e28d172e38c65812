"""What a queue of Slurm shows late, or not yet, is no answer that was lost."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cluster.backend import Lost, Started
from benchmarks.cluster.backends.submitit import FILE_SECONDS, SubmititBackend


def test_answer_is_waited_for_also_where_the_queue_showed_the_job_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, states = [0.0], dict[str, str]()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(SubmititBackend, "_slurm_states", lambda _: states)
    backend: Any = SubmititBackend.__new__(SubmititBackend)
    job = SimpleNamespace(job_id="7_0", paths=SimpleNamespace(result_pickle=tmp_path / "answer"))
    backend._cluster, backend._jobs, backend._events = "slurm", {"unit": job}, []
    backend._running, backend._ended, backend._seen = {}, {}, set()

    def events(after: float) -> list[Any]:
        now[0] += after
        backend._look()
        seen, backend._events = backend._events, []
        return seen

    assert events(1.0) == []  # sbatch has taken it, and squeue does not know it yet
    states["7_0"] = ""
    assert events(1.0) == []
    states["7_0"] = "node1"
    assert events(3600.0) == [Started("unit", "node1")]
    del states["7_0"]
    assert events(3600.0) == []  # its answer comes over a shared disk
    assert events(FILE_SECONDS - 1.0) == []
    (lost,) = events(2.0)
    assert isinstance(lost, Lost)
