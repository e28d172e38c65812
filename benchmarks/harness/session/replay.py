"""Replay measured samples into pytest-benchmark's fixture, for its own tables and files."""

from __future__ import annotations

from typing import Any

import pytest

from results.records.record import Record


class Replay:
    """Be a clock that each call of `advance` moves on by the next sample of a series.

    Args:
        samples: seconds per call, in the order measured.
    """

    def __init__(self, samples: list[float]) -> None:
        self.samples = samples
        self._now = 0.0
        self._next = 0

    def now(self) -> float:
        """Return the clock's time in seconds."""
        return self._now

    def advance(self) -> None:
        """Move the clock by the next sample; after the last one the series begins anew."""
        self._now += self.samples[self._next % len(self.samples)]
        self._next += 1


def replay(timed_cell: tuple[Record, Replay], benchmark: Any) -> None:
    """Pass a cell's samples, those of all launches in order, to the fixture ``benchmark``.

    A cell without a time fails the test, with the reason and the command that measures it again,
    and gets no entry in pytest-benchmark's tables and files.

    Args:
        timed_cell: record and samples of the cell.
        benchmark: pytest-benchmark's fixture.
    """
    record, series = timed_cell
    if record["outcome"] != "ok":
        reason, rerun = record["missing"]["seconds"], record["rerun"]
        pytest.fail(f"{record['outcome']}: {reason}\n{rerun}", pytrace=False)
    benchmark.extra_info.update(_brief(record))
    if benchmark.enabled:
        benchmark.pedantic(series.advance, rounds=len(series.samples), iterations=1)
    else:
        benchmark.pedantic(lambda: None)  # --benchmark-disable: checked, not timed


def _brief(record: Record) -> dict[str, Any]:
    """Return a record's fields without the long list of every parameter's gradient error."""
    error = record["gradient_error"]
    brief = error and {name: part for name, part in error.items() if name != "parameters"}
    return {**record, "gradient_error": brief}
