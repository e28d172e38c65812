"""Collect what is known of a run while it is measured, so that it can be saved at any moment.

A run that was stopped is continued under its own id.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session.measurements import Measurements
from results.records.record import Record, Run, finish, new_run_id, utc_now


class OpenRun:
    """Hold what is known of a run that is being measured.

    Args:
        machine: the description of the machine.
        settings: of the session, see `jobs.settings_of`.

    Attributes:
        id, started: of the run.
        measurements: of its cells.
        interrupted: whether it was stopped before its end.
    """

    def __init__(self, machine: dict[str, Any], settings: dict[str, Any]) -> None:
        self.id, self.started = new_run_id(), utc_now()
        self.machine, self.settings = machine, settings
        self.measurements = Measurements()
        self.interrupted = False
        self._begin = time.monotonic()

    def go_on_with(self, run: Run, cells: Iterable[Cell]) -> None:
        """Continue a stopped run under its own id, with what it has measured.

        Args:
            run: the stopped run.
            cells: of this session, all of which the run has a record of.
        """
        self.id, self.started = run.id, run.started
        self.measurements.restore(run, cells)
        self._begin -= run.settings["wall_seconds"]
        self.settings["canaries"] = list(run.settings.get("canaries") or [])
        self.settings["product_seconds"] = dict(run.settings.get("product_seconds") or {})
        self.settings["resumed"] = [*(run.settings.get("resumed") or []), utc_now()]

    def run_of(
        self, records: Iterable[Record], added: Mapping[str, Any] | None = None, *, ended: bool
    ) -> Run:
        """Return the run with these records, estimated by now.

        Args:
            records: in the order in which they are saved.
            added: settings beside those of the session and of its measurements.
            ended: whether the session is over, so that the run gets the time of its end.
        """
        return Run(
            id=self.id,
            started=self.started,
            finished=utc_now() if ended else None,
            machine=self.machine,
            settings=self.settings
            | {"wall_seconds": time.monotonic() - self._begin}
            | self.measurements.settings()
            | dict(added or {}),
            interrupted=self.interrupted,
            records=[finish(record) for record in records],
            samples=self.measurements.samples,
        )
