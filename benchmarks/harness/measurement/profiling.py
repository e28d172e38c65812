"""Profile a cell and its baseline, each in a process of its own that times nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.measurement import traces
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.precision import IEEE

CALLS = 20  # under the profiler
LIMIT = 300.0  # seconds for an answer; compiling takes minutes


def profile(cell: Cell, folder: Path, report: Callable[[str], None]) -> dict[str, Any]:
    """Profile a cell and its baseline, and write a trace of each.

    Args:
        cell: to explain; its baseline is the strategy or recipe that ratios refer to.
        folder: for the traces; it is made.
        report: called with a line of progress now and then.

    Returns:
        ``cell``, its fields; ``name``; and ``strategy`` and ``baseline``, each with the name of its
        ``strategy``, ``seconds`` of a call without the profiler, ``flops`` (None where they cannot
        be counted), the file of the ``trace`` and what was ``traced``, see `traces.TracedCalls`.

    Raises:
        WorkerError: a worker does not start, or the cell cannot be run.
        TraceError: the profiler wrote nothing that can be read.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = ProblemFiles(cell.scenario, cell.variant, cell.size)
    try:
        sides = {}
        for side, strategy in (("strategy", cell.strategy), ("baseline", cell.baseline)):
            report(f"profiling {strategy}")
            sides[side] = _profile_one(cell, strategy, files, folder.absolute())
    finally:
        files.close()
    parts = ("framework", "scenario", "variant", "size", "mode", "phase", "strategy")
    name = " ".join(value for part in parts if (value := getattr(cell, part)) != "-")
    return {"cell": vars(cell).copy(), "name": name, **sides}


def _profile_one(cell: Cell, strategy: str, files: ProblemFiles, folder: Path) -> dict[str, Any]:
    """Profile one strategy or recipe in the place of the cell's own, in a fresh process."""
    parts = (cell.framework, cell.scenario, cell.variant, cell.size, cell.mode, cell.phase)
    name = "-".join(
        part
        for part in (*parts, strategy, cell.device, cell.precision_mode)
        if part not in ("-", IEEE)
    )
    trace = folder / f"{name}.trace.json.gz"
    owner = str(cell.spec.file) if cell.spec.file else None
    launch = Launch(cell.framework, device=cell.device, dtype=cell.dtype, owner=owner)
    named = {"kind": cell.kind, "name": strategy, "phase": cell.phase, "mode": cell.mode}
    named["precision_mode"] = cell.precision_mode
    try:
        launch.wait_until_ready()
        files.open_in(launch)
        counted = launch.ask("count", LIMIT, **named)
        called = launch.ask("profile", LIMIT, **named, calls=CALLS, trace=str(trace))
    finally:
        launch.kill()
    return {
        "strategy": strategy,
        "seconds": called["seconds"],
        "flops": counted["flops"],
        "trace": str(trace),
        "traced": traces.read(trace, cell.framework),
    }
