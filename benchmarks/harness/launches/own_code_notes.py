"""Say what a user's own code has switched in its workers: its times are taken with it.

No other file's workers are touched by it, see `Pool`; but who reads the file's times must know.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.protocol.messages import SwitchChange
from benchmarks.scenarios.external.parts import external_part

ANSWER_SECONDS = 10.0


def notes(owner: str, launches: Iterable[Launch]) -> list[str]:
    """Return a sentence for each switch that differs from its value at a worker's start.

    Args:
        owner: path of the user's spec or case.
        launches: workers; those of other owners, and those that cannot answer, are passed over.
    """
    sentences: dict[str, None] = {}
    for launch in launches:
        if launch.owner != owner or not launch.idle:
            continue
        try:
            changes: list[SwitchChange] = launch.ask("switched", ANSWER_SECONDS)
        except WorkerError:  # its cells have their outcomes already
            continue
        part = external_part(launch.framework, owner)  # a case is one file, without parts
        file = part if part and part.is_file() else Path(owner)
        sentences |= dict.fromkeys(sentence(file.name, change) for change in changes)
    return list(sentences)


def sentence(file: str, change: SwitchChange) -> str:
    """Return a sentence about one switch that the code of a file has switched."""
    before, after = change["before"], change["after"]
    if isinstance(after, bool):
        done = f"switched {change['switch']} {'on' if after else 'off'}"
    else:
        done = f"changed {change['switch']} from {before} to {after}"
    return f"{file} {done}: its own times and gradients are taken so, no other file's"
