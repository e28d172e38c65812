"""Measure how fast the machine is, for the limits of cells; a worker that does so times none."""

from __future__ import annotations

import importlib
import json
from typing import Any

from benchmarks.harness.protocol import count_messages
from benchmarks.harness.worker.base import Base


class Rates(Base):
    """Add the operation ``rates``."""

    _calibrations: dict[str, Any] | None = None  # dtype → the framework's `Calibration`
    _alone: dict[str, float] | None = None  # dtype and work of an operation → its seconds

    def do_rates(self, dtype: str, works: list[Any]) -> count_messages.MeasuredRates:
        """Measure memory, calls, and operations alone; what was measured before is not again.

        Args:
            dtype: of the cells that the rates are for.
            works: of operations, as ``prepare`` counts them.

        Returns:
            ``machine``, the rates of memory and of calls, and ``seconds`` of each of the works.
        """
        self._calibrations, self._alone = self._calibrations or {}, self._alone or {}
        with self.working():
            if dtype not in self._calibrations:
                module = importlib.import_module(f"impl_{self.framework}.calibration")
                self._calibrations[dtype] = module.Calibration(self.session.device, dtype)
            calibration = self._calibrations[dtype]
            machine = calibration.machine()
            keys = [json.dumps([dtype, work], sort_keys=True) for work in works]
            for key, work in zip(keys, works, strict=True):
                if key not in self._alone:
                    self._alone[key] = calibration.measure(work)
        return {"machine": machine, "seconds": [self._alone[key] for key in keys]}
