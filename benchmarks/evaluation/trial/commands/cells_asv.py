"""Define the cells as a user of asv writes them; the measured commit decides the side."""

from __future__ import annotations

import os
import sys
from typing import Any

# asv measures in an environment of its own, which lacks the packages of the cells
sys.path += os.environ["CASCADE_TRIAL_PACKAGES"].split(os.pathsep)

from benchmarks.evaluation.trial import cell


class Cells:
    """Define asv's benchmark by the attributes that asv reads.

    `setup` runs in the measuring process, before anything is timed.
    """

    params = cell.names()
    repeat = cell.job()["repeat"]
    rounds = cell.job()["rounds"]
    number = 1 if cell.is_replay() else 0
    warmup_time = 0 if cell.is_replay() else 0.1
    timeout = 600
    timer = staticmethod(cell.clock)
    call: Any = None

    def setup(self, name: str) -> None:
        """Open the cell, once in each process."""
        if self.call is None:
            self.call, _, _ = cell.open_cell(name)

    def time_cell(self, name: str) -> None:
        """Call the cell once."""
        self.call()
