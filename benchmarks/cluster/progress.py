"""Show how many units have been measured, by how many nodes, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from benchmarks.cluster.controller import Controller
from benchmarks.cluster.unit import UnitJob
from benchmarks.harness.session.progress import Progress, minutes_text


class ClusterProgress:
    """Print one line of progress to stderr, as `Progress` does.

    Args:
        config: pytest's; with ``-q`` nothing is printed.
        units: all that are to be measured.
    """

    def __init__(self, config: pytest.Config, units: Sequence[UnitJob]) -> None:
        self._printer = Progress(config, len(units), enabled=True)
        self._total = len(units)
        self._seconds = sum(job["seconds"] for job in units)
        self._start = time.monotonic()
        self._first = True

    def show(self, controller: Controller) -> None:
        """Show where the controller has come to."""
        waiting, at_work = controller.waiting, len(controller.running)
        known = max(at_work, controller.backend.nodes())
        text = f"measured {self._total - len(waiting)}/{self._total} units, "
        text += f"{at_work} of {known} node{'s' if known != 1 else ''} at work"
        rest = sum(job["seconds"] for job in waiting.values())
        if rest < self._seconds and waiting:
            left = (time.monotonic() - self._start) * rest / (self._seconds - rest)
            text += f", {minutes_text(left)} left"
        if controller.refused:
            text += f", {len(controller.refused)} refused"
        self._printer.show(text, first=self._first)
        self._first = False

    def clear(self) -> None:
        """Clear the line."""
        self._printer.clear()
