"""Measure memory, calls and single operations, of which a cell's shortest possible time is made.

A worker that does so times no cell.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping
from typing import Any, cast

from benchmarks.harness.protocol import count_messages
from benchmarks.harness.worker.base import Base

ROUNDS = 5  # further measurements of an operation, at most
PAUSE = 0.1  # seconds from the begin of a round of measurements to the next one, at least
REFUSALS = (  # by an operation, of the arguments that were made up for it
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
FALLEN = 0.8  # below this share of the best time so far, the machine had been disturbed


class Rates(Base):
    """Add the operation ``rates``."""

    _calibrations: dict[str, Any] | None = None  # dtype → the framework's `Calibration`
    _alone: dict[str, float | None] | None = None  # dtype and work of an operation → its seconds

    def do_rates(
        self, dtype: str, works: list[Any], cache: str | None = None
    ) -> count_messages.MeasuredRates:
        """Measure memory, calls, and operations alone; what was measured before is not again.

        Args:
            dtype: of the cells that the rates are for.
            works: of operations, as ``prepare`` counts them.
            cache: a folder in which the programs that run them are found, and kept compiled; None
                for no such folder.

        Returns:
            ``machine``, the rates of memory and of calls, and ``seconds`` of each of the works;
            None of one that cannot be run alone, for whose time its bytes must stand.
        """
        self._calibrations, self._alone = self._calibrations or {}, self._alone or {}
        with self.working():
            if dtype not in self._calibrations:
                module = importlib.import_module(f"impl_{self.framework}.calibration")
                self._calibrations[dtype] = module.Calibration(self.session.device, dtype, cache)
            calibration = self._calibrations[dtype]
            machine = calibration.machine()
            keys = [json.dumps([dtype, work], sort_keys=True) for work in works]
            new = {k: w for k, w in zip(keys, works, strict=True) if k not in self._alone}
            self._alone |= _settled(calibration, new)
        return {"machine": machine, "seconds": [self._alone[key] for key in keys]}


def _settled(calibration: Any, works: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the shortest time of each operation run by itself, by key; None if it cannot be.

    Each is measured again as long as a repeat is more than 20 % faster.

    What is measured while another process is busy, such as one that has just worked and whose
    threads still wait for more, takes far too long.
    """
    begun = time.monotonic()
    seconds = {key: _seconds_alone(calibration, work) for key, work in works.items()}
    left = {key for key, known in seconds.items() if known is not None}
    for _ in range(ROUNDS if left else 0):
        time.sleep(max(0.0, begun + PAUSE - time.monotonic()))
        begun = time.monotonic()
        again = {key: _seconds_alone(calibration, works[key]) for key in works if key in left}
        fallen = {k for k, s in again.items() if s is not None and s < FALLEN * (seconds[k] or 0.0)}
        seconds |= {k: min(s, seconds[k] or s) for k, s in again.items() if s is not None}
        left = fallen
        if not left:
            break
    return seconds


def _seconds_alone(calibration: Any, work: Any) -> float | None:
    """Return the seconds of an operation alone; None where it refuses the numbers made up for it.

    Args:
        calibration: the framework's `Calibration`.
        work: of the operation.
    """
    try:
        return cast("float", calibration.measure(work))
    except REFUSALS:
        return None
