"""Save a run during measuring, so that a failure costs nothing that was measured before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.session import summary
from results.records import storage
from results.records.record import RecordError, Run

CHECKPOINT_SECONDS = 5.0  # between saves; a power cut costs as much


class Checkpoint:
    """Write one run to its folder, again and again.

    Measuring goes on if the run cannot be written; the session reports the failure at its end.

    Args:
        folder: of all runs.
        enabled: whether anything is written.

    Attributes:
        path: where the run was last saved.
        error: why the last save failed, None if it did not.
        rescued: where the run was saved instead, after a failed save.
    """

    def __init__(self, folder: Path, *, enabled: bool) -> None:
        self.folder, self._enabled = folder, enabled
        self.path: Path | None = None
        self.rescued: Path | None = None
        self.error: str | None = None
        self._saved = time.monotonic()

    def save_now_and_then(self, run: Callable[[], Run]) -> None:
        """Save the run if the last save is `CHECKPOINT_SECONDS` ago.

        A save takes as long as a small group.
        """
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS or self.path is None:
            self.save(run)
            self._saved = time.monotonic()

    def save(self, run: Callable[[], Run]) -> None:
        """Save the run as it is now."""
        if not self._enabled:
            return
        try:
            self.path = storage.save_run(run(), self.folder)
            self.error = None
        except (RecordError, ValueError) as error:
            self.error = str(error)

    def rescue(self, run: Callable[[], Run]) -> None:
        """Save the run in a temporary folder if the last save failed."""
        if self.error:
            self.rescued = summary.rescue(run())
