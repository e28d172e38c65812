"""Say what a cell does: count its operations and memory, and trace calls by a profiler.

Neither is timed. A profiler leaves its process slower than it was, so that the parent asks for a
trace in a process of its own, and ends that process afterwards.
"""

from __future__ import annotations

from statistics import median
from typing import Any, cast

from benchmarks.harness.protocol import profile_messages
from benchmarks.harness.protocol.cells import strategy_of
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.worker import clock
from benchmarks.harness.worker.checks import Checks

UNPROFILED = 15  # single calls of which the median is taken


class Profiling(Checks):
    """Add the operations ``footprint`` and ``profile``."""

    def do_footprint(
        self,
        kind: str,
        name: str,
        phase: str,
        mode: str | None = None,
        precision_mode: str = IEEE,
    ) -> profile_messages.Footprint:
        """Count what one call of a strategy or recipe does and holds, after it ran once."""
        with self.working():
            program = self._run_once(kind, strategy_of(name), phase, mode, precision_mode)
            times = {
                "trace_seconds": program.trace_seconds,
                "compile_seconds": program.compile_seconds,
            }
            return cast("profile_messages.Footprint", {**program.footprint(), **times})

    def do_profile(
        self,
        kind: str,
        name: str,
        phase: str,
        calls: int,
        trace: str,
        mode: str | None = None,
        precision_mode: str = IEEE,
    ) -> profile_messages.ProfiledCalls:
        """Trace some calls of a strategy or recipe, each from the start, into a file.

        Args:
            kind, name, phase, mode, precision_mode: of the cell; mode None is the framework's
                default.
            calls: to trace, after the cell is warm.
            trace: ``.json.gz`` file to write.
        """
        with self.working():
            program = self._run_once(kind, strategy_of(name), phase, mode, precision_mode)
            clock.warm_up(program)
            with clock.collector_off():
                seconds = median(_single_call(program) for _ in range(UNPROFILED))
                self.session.profile(program, calls, trace)
        return {"seconds": seconds, "calls": calls}


def _single_call(program: Any) -> float:
    """Return the seconds of one call from the start."""
    program.reset()
    return clock.batch(program, 1)
