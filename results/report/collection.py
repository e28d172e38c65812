"""Combine several runs: group them by machine, and take the newest record of each cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.grouping import group_by
from results.records.record import (
    IEEE,
    AnyRecord,
    Record,
    RecordError,
    Run,
    precision_mode,
    sample_key,
)
from results.records.storage import load_run
from results.report.losses import count_losses
from results.report.vocabulary import DISTRIBUTED


@dataclass(frozen=True)
class Machine:
    """Hold the runs of one machine in one precision, oldest first.

    Runs in another precision mode make another object, with sections of its own: no ratio, and no
    headline, is across two precisions.

    Attributes:
        precision_mode: in what the networks of all its cells compute, such as ``ieee``.
    """

    id: str
    runs: list[Run] = field(default_factory=list)
    precision_mode: str = IEEE

    @property
    def newest(self) -> Run:
        """The newest run."""
        return self.runs[-1]

    @cached_property
    def run_of(self) -> dict[str, Run]:
        """The run that holds the newest record of each cell, by the cell's `sample_key`.

        An interrupted record counts only where no other run measured the cell.
        """
        runs: dict[str, Run] = {}
        for finished in (False, True):
            for run in self.runs:
                for record in run.records:
                    if (record["outcome"] != "interrupted") == finished:
                        runs[sample_key(record)] = run
        return runs

    @cached_property
    def records(self) -> list[AnyRecord]:
        """The newest record of each cell in one process; those from the newest run come first."""
        return [record for record in self._newest if record["kind"] != DISTRIBUTED]

    @cached_property
    def over_ranks(self) -> list[AnyRecord]:
        """The newest record of each cell in several ranks; those from the newest run come first."""
        return [record for record in self._newest if record["kind"] == DISTRIBUTED]

    @cached_property
    def _newest(self) -> list[AnyRecord]:
        """The newest record of each cell of either sort."""
        return [record for run in reversed(self.runs) for record in self._newest_records(run)]

    @cached_property
    def pairs(self) -> list[FrameworkRatio]:
        """The comparisons of torch with JAX.

        Both records of a pair are from one run, which holds the newest record of either.
        """
        return [
            pair
            for run in reversed(self.runs)
            for pair in framework_ratios(self._newest_records(run), run.samples)
        ]

    @cached_property
    def measured_again(self) -> list[tuple[AnyRecord, AnyRecord]]:
        """The record before the newest, and the newest, of each cell that was timed twice."""
        ok: list[AnyRecord] = [
            record for run in self.runs for record in run.records if record["outcome"] == "ok"
        ]
        by_cell = group_by(ok, sample_key).values()
        return [(records[-2], records[-1]) for records in by_cell if len(records) > 1]

    @cached_property
    def losses(self) -> dict[str, int]:
        """The number of losses of each network whose flow a run proved, by "scenario/variant"."""
        return {
            name: count
            for run in self.runs
            for name, count in count_losses(run.settings.get("flows") or {}).items()
        }

    @property
    def repeated(self) -> list[str]:
        """The `sample_key` of each cell that was timed in more than one run."""
        counts = Counter(
            sample_key(record)
            for run in self.runs
            for record in run.records
            if record["outcome"] == "ok" and record["seconds"]
        )
        return [key for key, count in counts.items() if count > 1]

    def _newest_records(self, run: Run) -> list[Record]:
        """Return the records of a run whose cells no newer run has measured again."""
        return [record for record in run.records if self.run_of[sample_key(record)] is run]


def collect(runs: Iterable[Run]) -> list[Machine]:
    """Group runs by machine and precision; those of the oldest run come first.

    A run that is passed twice counts once. The runs of a machine are sorted, the oldest first.
    """
    machines: dict[tuple[str, str], Machine] = {}
    seen: set[tuple[str, str]] = set()
    for run in sorted(runs, key=lambda one: one.id):
        if _name(run) not in seen:
            seen.add(_name(run))
            for mode, part in _by_precision(run).items():
                place = run.machine["id"], mode
                machine = machines.setdefault(place, Machine(place[0], [], mode))
                machine.runs.append(part)
    return list(machines.values())


def _name(run: Run) -> tuple[str, str]:
    """Return what names a run: its machine's id and its own."""
    return run.machine["id"], run.id


def _by_precision(run: Run) -> dict[str, Run]:
    """Return a run for each precision mode of its cells; the run itself where there is one."""
    modes = group_by(run.records, precision_mode)
    if len(modes) < 2:
        return {next(iter(modes), IEEE): run}
    return {mode: replace(run, records=records) for mode, records in modes.items()}


def load(
    paths: Iterable[Path], leave_out: Callable[[RecordError], None] | None = None
) -> list[Run]:
    """Load the runs of these files.

    Samples take most of the time to load. A run gets its own only where it holds the newest record
    of some cell, as nothing else of the report needs them.

    Args:
        paths: of the runs.
        leave_out: told why a run cannot be read, where others can; None: that is an error.

    Raises:
        RecordError: a file cannot be read, and is not left out; or none can.
    """
    bare: dict[Path, Run] = {}
    errors: list[RecordError] = []

    def attempt(path: Path, *, samples: bool) -> Run | None:
        try:
            return load_run(path, samples=samples)
        except RecordError as error:
            if leave_out is None:
                raise
            errors.append(error)
            return None

    bare = {path: run for path in paths if (run := attempt(path, samples=False))}
    while True:  # without a run whose samples cannot be read, older ones hold the newest records
        machines = collect(bare.values())
        shown = {_name(run) for machine in machines for run in machine.run_of.values()}
        runs = {
            path: attempt(path, samples=True) if _name(run) in shown else run
            for path, run in bare.items()
        }
        if all(runs.values()):
            break
        bare = {path: run for path, run in bare.items() if runs[path]}
    if errors and not bare:
        raise errors[0]
    if leave_out is not None:
        for error in errors:
            leave_out(error)
    return [run for run in runs.values() if run]
