"""Several runs as one: by machine, of each cell its newest record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.records.record import Record, Run, sample_key
from results.records.storage import load_run


@dataclass(frozen=True)
class Machine:
    """The runs of one machine, oldest first."""

    id: str
    runs: list[Run] = field(default_factory=list)

    @property
    def newest(self) -> Run:
        return self.runs[-1]

    @cached_property
    def run_of(self) -> dict[str, Run]:
        """Cell → the run that its newest record is of.

        A run that was stopped before it came to a cell does not stand for it, if another did.
        """
        found: dict[str, Run] = {}
        for finished in (False, True):
            for run in self.runs:
                for record in run.records:
                    if (record["outcome"] != "interrupted") == finished:
                        found[sample_key(record)] = run
        return found

    @cached_property
    def records(self) -> list[Record]:
        """The newest record of each cell: in the order of the newest run that has most of them."""
        return [
            record
            for run in reversed(self.runs)
            for record in run.records
            if self.run_of[sample_key(record)] is run
        ]

    @cached_property
    def pairs(self) -> list[FrameworkRatio]:
        """Torch against jax: both of the pair from one run, and that the newest of each."""
        found = []
        for run in reversed(self.runs):
            mine = [r for r in run.records if self.run_of[sample_key(r)] is run]
            found += list(framework_ratios(mine, run.samples))
        return found

    @property
    def repeated(self) -> list[str]:
        """Cells that were timed in more than one run."""
        counts: dict[str, int] = {}
        for run in self.runs:
            for record in run.records:
                if record["outcome"] == "ok" and record["seconds"]:
                    key = sample_key(record)
                    counts[key] = counts.get(key, 0) + 1
        return [key for key, count in counts.items() if count > 1]


def collect(runs: Iterable[Run]) -> list[Machine]:
    """The machines of these runs, each with its own, in the order in which they first appear.

    A run that is given twice counts once.
    """
    machines: dict[str, Machine] = {}
    seen: set[tuple[str, str]] = set()
    for run in sorted(runs, key=lambda one: one.id):
        name = run.machine["id"], run.id
        if name not in seen:
            seen.add(name)
            machine = machines.setdefault(run.machine["id"], Machine(run.machine["id"]))
            machine.runs.append(run)
    return list(machines.values())


def load(paths: Iterable[Path]) -> list[Run]:
    """The runs of these files, with samples only where a run has the newest record of a cell.

    Raises:
        RecordError: one of them cannot be read.
    """
    bare = {path: load_run(path, samples=False) for path in paths}
    newest = {id(run) for machine in collect(bare.values()) for run in machine.run_of.values()}
    return [load_run(path) if id(run) in newest else run for path, run in bare.items()]
