"""While a process of the suite says nothing, a line says that the work goes on."""

from __future__ import annotations

import re
import time

from cascade_bench.process import Waiting


def test_each_silence_is_broken_by_a_line_with_the_seconds_since_the_start() -> None:
    shown: list[str] = []
    with Waiting(shown.append, 0.05):
        deadline = time.monotonic() + 10.0
        while len(shown) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(shown) >= 2
    assert all(re.fullmatch(r" *\d+\.\d s  … still at it\n", line) for line in shown)


def test_a_line_of_the_process_begins_the_silence_anew_and_nothing_follows_the_end() -> None:
    shown: list[str] = []
    with Waiting(shown.append, 60.0) as waiting:
        waiting.heard("reading the case\n")
    assert shown == []
