"""Measure the most memory that one call of a cell holds at once."""

from __future__ import annotations

import time
from statistics import median_low
from typing import Any, Protocol

from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.worker import clock
from benchmarks.harness.worker.base import Base
from benchmarks.harness.worker.process_memory import ProcessMemory, Unmeasurable, forbid_huge_pages

WARM_CALLS, READINGS = 2, 3
KNOWN = 64 * 2**20  # bytes that a gauge must read right before it is believed
WITHIN = 0.05  # relative error allowed in that reading
PAUSE, STILL, MOST = 0.02, 3, 50  # seconds; readings without a fall; readings at most


class Gauge(Protocol):
    """Declare how bytes of memory are read; a difference below ``resolution`` is noise.

    Where a gauge is not ``resettable`` the peak is that of the whole process, and `peak` raises
    unless that peak was reached after `reset`.
    """

    @property
    def resettable(self) -> bool: ...
    @property
    def resolution(self) -> int: ...
    def in_use(self) -> int: ...  # bytes held now
    def reset(self) -> None: ...  # begin a new peak
    def peak(self) -> int: ...  # most bytes held since `reset`


class Memory(Base):
    """Add the operation ``peak``."""

    def do_peak(
        self,
        kind: str,
        name: str,
        phase: str,
        mode: str | None = None,
        precision_mode: str = IEEE,
    ) -> int:
        """Return the bytes that one call holds at its peak, beyond those held before it.

        Held before are weights, data, optimizer state, compiled programs, and what a library keeps
        from call to call. Gradients are not held before. In phase ``backward`` the saved graph
        counts, as the phase begins with it; the forward pass that builds the graph does not.

        Raises:
            Unmeasurable: memory cannot be read on this system, or the peak is below the resolution.
        """
        with self.working():
            gauge: Gauge = self.session.gauge() or _process_gauge()
            program = self._program(kind, name, phase, mode, precision_mode)
            return self._peak_of(program, gauge)

    def _peak_of(self, program: Any, gauge: Gauge) -> int:
        """Return the bytes that a call holds at its peak: the median of warm calls.

        Where the gauge cannot be reset, the peak is that of a single call.
        """
        calls = WARM_CALLS + READINGS if gauge.resettable else 1
        with clock.collector_off():
            if gauge.resettable:
                self._check_gauge(gauge)
            peak = median_low([_peak(program, gauge) for _ in range(calls)][-READINGS:])
        if peak < gauge.resolution:
            raise Unmeasurable(
                f"under {gauge.resolution / 2**20:.1f} MiB, less than the kernel's counter resolves"
            )
        return peak

    def _check_gauge(self, gauge: Gauge) -> None:
        """Raise `Unmeasurable` unless the gauge reads memory of a known size right.

        Twice the size is held and freed before. If freed memory stayed resident, it would hide the
        known size; if the peak were not reset, it would show the larger size.
        """
        for size in (2 * KNOWN, KNOWN):
            before = _settled(gauge)
            gauge.reset()
            known = self.session.allocate(size)
            read = gauge.peak() - before
            del known
        if abs(read - KNOWN) > WITHIN * KNOWN + gauge.resolution:
            raise Unmeasurable(
                f"{KNOWN / 2**20:.0f} MiB of memory read as {read / 2**20:.1f} MiB here: "
                "the allocator keeps what is freed, or the peak is not reset"
            )


def _process_gauge() -> ProcessMemory:
    """Return a gauge of this process's memory, from here on without huge pages."""
    gauge = ProcessMemory()
    forbid_huge_pages()
    return gauge


def _peak(program: Any, gauge: Gauge) -> int:
    """Return the bytes that one call holds at its peak, beyond those held before it."""
    program.release()
    program.reset()
    before = _settled(gauge)
    carries = [program.prepare()]
    gauge.reset()
    program.wait(program.run(carries.pop()))  # popped, so that a used graph can be freed
    return gauge.peak() - before


def _settled(gauge: Gauge) -> int:
    """Return the bytes held once these no longer fall.

    XLA's threads still free buffers of a call after its result is there.
    """
    lowest, still = gauge.in_use(), 0
    for _ in range(MOST):
        time.sleep(PAUSE)
        now = gauge.in_use()
        still = still + 1 if now >= lowest else 0
        lowest = min(lowest, now)
        if still == STILL:
            break
    return lowest
