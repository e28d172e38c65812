"""Open one cell in the process of another tool: the real cell, or a replay of its trace.

The environment variable `JOB` names a JSON file that describes the cells. ``series`` holds recorded
times to replay: {side: {cell: [a row of seconds for each process]}}. Otherwise ``live`` describes
real cells: {cell: what is needed to open it}. For asv ``head`` names the commit that is head.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

JOB, SIDE = "CASCADE_TRIAL_JOB", "CASCADE_TRIAL_SIDE"

_now = 0.0  # seconds on the clock of a replay


def clock() -> float:
    """Return the time in seconds; in a replay each call of a cell moves it on by a sample."""
    return _now if is_replay() else time.perf_counter()


@lru_cache(maxsize=1)
def job() -> dict[str, Any]:
    """Return the job of this process: the content of the JSON file that `JOB` names."""
    loaded: dict[str, Any] = json.loads(Path(os.environ[JOB]).read_text())
    return loaded


def is_replay() -> bool:
    """Return whether recorded times are replayed."""
    return "series" in job()


def side() -> str:
    """Return ``base`` or ``head``, from asv's commit or from the environment variable `SIDE`."""
    commit = os.environ.get("ASV_COMMIT")
    if commit:
        return "head" if commit == job().get("head") else "base"
    return os.environ[SIDE]


def names() -> list[str]:
    """Return the names of the cells in the job."""
    return list(job()["series"]["base"] if is_replay() else job()["live"])


def open_cell(name: str) -> tuple[Callable[[], object], Callable[[], float], int]:
    """Return the function to time, the clock to time it by, and the number of its samples.

    ``name`` is the id of the cell. The number says how many recorded samples can be replayed; it is
    0 for a real cell.
    """
    if is_replay():
        row = job()["series"][side()][name][_process(name)]
        return _replayer(row), clock, len(row)
    return _call(job()["live"][name]), clock, 0


def open_lazily(name: str) -> Callable[[], object]:
    """Return a function that opens the cell ``name`` at its first call, and calls it.

    pyperf's parent process never calls it, and so need not open the cell.
    """
    opened: list[Callable[[], object]] = []

    def call() -> object:
        if not opened:
            opened.append(open_cell(name)[0])
        return opened[0]()

    return call


def _replayer(row: list[float]) -> Callable[[], None]:
    """Return a function that moves the clock on by the next sample of the row."""
    place = 0

    def advance() -> None:
        global _now
        nonlocal place
        _now += row[place % len(row)]
        place += 1

    return advance


def _process(name: str) -> int:
    """Return the number of this process on its side, the first that no other process has taken.

    ``name`` is the id of the cell whose times are replayed. A file that is created marks a number
    as taken.
    """
    rows = len(job()["series"][side()][name])
    if rows == 1:
        return 0
    folder = Path(os.environ[JOB]).parent
    for number in range(rows):
        try:
            (folder / f"{side()}-{name}-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        return number
    raise RuntimeError(f"{name}: more processes of {side()} than the {rows} that were recorded")


def _call(entry: dict[str, Any]) -> Callable[[], object]:
    """Open a real cell in this process, and return the function that runs it once.

    ``entry`` is its entry under ``live`` in the job. Calls of head spin for as long as it says.
    """
    from benchmarks.evaluation.trial.worker import spin
    from benchmarks.harness.protocol.heartbeat import Heartbeat
    from benchmarks.harness.worker.timing import Timing

    framework = entry["framework"]
    module = importlib.import_module(f"impl_{framework}.session")
    cache = {"cache": entry["cache"]} if framework == "jax" else {}
    session = module.Session("cpu", "float32", **cache)
    worker = Timing(framework, session, Heartbeat(), lambda _: None)
    worker.do_open(entry["facts"], entry["weights"], entry["data"])
    program = worker.problem.program("backward", entry["strategy"], entry["phase"])
    program.reset()
    seconds = entry["spin"] if side() == "head" else 0.0

    def call() -> None:
        program.wait(program.run(program.prepare()))
        if seconds:
            spin(seconds)

    return call
