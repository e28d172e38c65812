"""Save a run while it goes on, so that no failure costs what was measured before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.session import summary
from results.records import storage
from results.records.record import RecordError, Run

CHECKPOINT_SECONDS = 5.0  # what a power cut may cost


class Checkpoint:
    """Write one run to its folder, again and again.

    ``path`` is where it was last saved; ``trouble`` why the last try failed, which is said at the
    end of the session, as measuring goes on; ``rescued`` where it was saved instead.
    """

    def __init__(self, folder: Path, *, enabled: bool) -> None:
        self.folder, self._enabled = folder, enabled
        self.path: Path | None = None
        self.rescued: Path | None = None
        self.trouble: str | None = None
        self._saved = time.monotonic()

    def save_now_and_then(self, run: Callable[[], Run]) -> None:
        """Save unless that was done a moment ago: saving costs as much as a small group."""
        if time.monotonic() - self._saved > CHECKPOINT_SECONDS or self.path is None:
            self.save(run)
            self._saved = time.monotonic()

    def save(self, run: Callable[[], Run]) -> None:
        """Save the run as it is now."""
        if not self._enabled:
            return
        try:
            self.path = storage.save_run(run(), self.folder)
            self.trouble = None
        except (RecordError, ValueError) as error:
            self.trouble = str(error)

    def rescue(self, run: Callable[[], Run]) -> None:
        """Save the run in a temporary folder, where the last save has failed."""
        if self.trouble:
            self.rescued = summary.rescue(run())
