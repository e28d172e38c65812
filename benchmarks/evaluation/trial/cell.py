"""One cell inside another tool's process: the real one, or a trace told as if it were timed.

The tool's process learns from a job, a JSON file named in the environment, what its cells are:
``series`` {side: {cell: [a row of seconds for each process]}} to be told, or ``live`` {cell: …} to
be opened here; ``head`` names the commit that is head, for asv.
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

_now = 0.0  # of the clock that traces are told by


def clock() -> float:
    """The wall's, or in a replay the one that each call moves on by its sample."""
    return _now if told() else time.perf_counter()


@lru_cache(maxsize=1)
def job() -> dict[str, Any]:
    """What this process is to do."""
    found: dict[str, Any] = json.loads(Path(os.environ[JOB]).read_text())
    return found


def told() -> bool:
    """Whether traces are replayed."""
    return "series" in job()


def side() -> str:
    """Base or head: asv tells by the commit, for the others the environment does."""
    commit = os.environ.get("ASV_COMMIT")
    if commit:
        return "head" if commit == job().get("head") else "base"
    return os.environ[SIDE]


def names() -> list[str]:
    """The cells of the job."""
    return list(job()["series"]["base"] if told() else job()["live"])


def opened(name: str) -> tuple[Callable[[], object], Callable[[], float], int]:
    """What to call, what to time it by, and how many samples there are to be told, or 0."""
    if told():
        row = job()["series"][side()][name][_process(name)]
        return _teller(row), clock, len(row)
    return _call(job()["live"][name]), clock, 0


def lazily(name: str) -> Callable[[], object]:
    """A cell that is opened at its first call: pyperf's parent process never calls."""
    kept: list[Callable[[], object]] = []

    def call() -> object:
        if not kept:
            kept.append(opened(name)[0])
        return kept[0]()

    return call


def _teller(row: list[float]) -> Callable[[], None]:
    place = 0

    def advance() -> None:
        global _now
        nonlocal place
        _now += row[place % len(row)]
        place += 1

    return advance


def _process(name: str) -> int:
    """Which process of its side this is: the next one that has not been told yet."""
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
    """The real cell, opened in this process; head spins where the job says so."""
    from benchmarks.evaluation.trial.worker import spin
    from benchmarks.harness.protocol.heartbeat import Heartbeat
    from benchmarks.harness.worker.timing import Timing

    framework = entry["framework"]
    module = importlib.import_module(f"impl_{framework}.session")
    cache = {"cache": entry["cache"]} if framework == "jax" else {}
    session = module.Session("cpu", "float32", **cache)
    worker = Timing(framework, session, Heartbeat(), lambda _: None)
    worker.do_open(entry["facts"], entry["weights"], entry["data"])
    program = worker.opened.program("backward", entry["strategy"], entry["phase"])
    program.reset()
    seconds = entry["spin"] if side() == "head" else 0.0

    def call() -> None:
        program.wait(program.run(program.prepare()))
        if seconds:
            spin(seconds)

    return call
