"""The cells as a user of asv writes them; the commit that is measured decides the side."""

from __future__ import annotations

import os
import sys
from typing import Any

# asv measures in an environment that it made: what is measured is in ours
sys.path += os.environ["CASCADE_TRIAL_PACKAGES"].split(os.pathsep)

from benchmarks.evaluation.trial import cell


class Cells:
    """asv reads the attributes; `setup` runs in the process that measures, before the clock."""

    params = cell.names()
    repeat = cell.job()["repeat"]
    rounds = cell.job()["rounds"]
    number = 1 if cell.told() else 0
    warmup_time = 0 if cell.told() else 0.1
    timeout = 600
    timer = staticmethod(cell.clock)
    call: Any = None

    def setup(self, name: str) -> None:
        """Open the cell, once a process."""
        if self.call is None:
            self.call, _, _ = cell.opened(name)

    def time_cell(self, name: str) -> None:
        """One call."""
        self.call()
