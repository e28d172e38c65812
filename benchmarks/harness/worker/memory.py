"""The request of measuring memory: the most that a phase holds at once."""

from __future__ import annotations

import time
from statistics import median_low
from typing import Any, Protocol

from benchmarks.harness.worker import clock
from benchmarks.harness.worker.base import Base
from benchmarks.harness.worker.process_memory import ProcessMemory, Unmeasurable, forbid_huge_pages

WARM_CALLS, READINGS = 2, 3
KNOWN = 64 * 2**20  # bytes that must be read right before anything else is believed
WITHIN = 0.05
PAUSE, STILL, MOST = 0.02, 3, 50  # seconds; readings without a fall; readings at most


class Gauge(Protocol):
    """Bytes held now, and the most since `reset`; a difference under ``resolution`` is noise.

    Where it is not ``resettable`` the peak is that of the whole process, and `peak` raises unless
    it was reached after `reset`.
    """

    @property
    def resettable(self) -> bool: ...
    @property
    def resolution(self) -> int: ...
    def held(self) -> int: ...
    def reset(self) -> None: ...
    def peak(self) -> int: ...


class Memory(Base):
    """What a worker is asked about memory."""

    def do_peak(self, kind: str, name: str, phase: str, mode: str | None = None) -> int:
        """Bytes of the peak of one call above what is held before it.

        Weights, data, optimizer state, compiled programs and what a library keeps from call to call
        are held before; gradients are not, nor, in phase ``backward``, is the graph, which counts
        from the moment it is there: the forward pass that builds it does not.

        Raises `Unmeasurable` where that cannot be told.
        """
        with self.working():
            gauge: Gauge = self.session.gauge() or _resident()
            return self._peak_of(self._program(kind, name, phase, mode), gauge)

    def _peak_of(self, program: Any, gauge: Gauge) -> int:
        calls = WARM_CALLS + READINGS if gauge.resettable else 1
        with clock.collector_off():
            if gauge.resettable:
                self._assure(gauge)
            peak = median_low([_peak(program, gauge) for _ in range(calls)][-READINGS:])
        if peak < gauge.resolution:
            raise Unmeasurable(
                f"under {gauge.resolution / 2**20:.1f} MiB, less than the kernel's counter resolves"
            )
        return peak

    def _assure(self, gauge: Gauge) -> None:
        """Raises `Unmeasurable` unless memory of a known size is read right.

        It is held after twice as much has been: memory that stays resident when it is freed would
        hide it, and a peak that is not reset would show the larger one.
        """
        for size in (2 * KNOWN, KNOWN):
            before = _settled(gauge)
            gauge.reset()
            known = self.session.hold(size)
            read = gauge.peak() - before
            del known
        if abs(read - KNOWN) > WITHIN * KNOWN + gauge.resolution:
            raise Unmeasurable(
                f"{KNOWN / 2**20:.0f} MiB of memory read as {read / 2**20:.1f} MiB here: "
                "the allocator keeps what is freed, or the peak is not reset"
            )


def _resident() -> ProcessMemory:
    gauge = ProcessMemory()
    forbid_huge_pages()
    return gauge


def _peak(program: Any, gauge: Gauge) -> int:
    program.release()
    program.reset()
    before = _settled(gauge)
    carries = [program.prepare()]
    gauge.reset()
    program.wait(program.run(carries.pop()))  # popped, so that a used graph can be freed
    return gauge.peak() - before


def _settled(gauge: Gauge) -> int:
    """What is held once no more is given back: XLA's threads still free what a result needed."""
    held, still = gauge.held(), 0
    for _ in range(MOST):
        time.sleep(PAUSE)
        now = gauge.held()
        still = still + 1 if now >= held else 0
        held = min(held, now)
        if still == STILL:
            break
    return held
