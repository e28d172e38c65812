"""Test what `cascade-bench regress` prints while it runs."""

from __future__ import annotations

import io
import re
import time

import pytest

from benchmarks.regression import output, plan

LINE = "10 cells; the budget has time for about 11 launch pairs of 20 s, by an estimate. " * 2
PATH = "comparison saved: " + "/folder" * 20


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


@pytest.mark.parametrize("columns", [100, 80])
def test_a_terminal_gets_lines_that_fit_and_whole_words(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    output.print_line(LINE)
    lines = terminal.getvalue().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) < columns
    assert " ".join(lines).split() == LINE.split()


def test_a_path_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    output.print_line(PATH)
    assert PATH.split()[-1] in terminal.getvalue().splitlines()


def test_a_log_gets_a_line_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", log := io.StringIO())
    output.print_line(LINE)
    assert log.getvalue() == LINE + "\n"


def test_what_takes_long_is_told_again_with_its_seconds_until_it_is_done() -> None:
    told: list[str] = []
    with output.waiting(told.append, "counts of both sides", 0.05):
        deadline = time.monotonic() + 10.0
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(told) >= 3
    assert told[0] == "counts of both sides"
    assert re.fullmatch(r"counts of both sides: \d+ s", told[2])
    number = len(told)
    time.sleep(0.1)
    assert len(told) == number


@pytest.mark.parametrize(
    ("seconds", "text"), [(60.0, "1m"), (90.0, "90s"), (600.0, "10m"), (50.0, "50s"), (0.5, "0.5s")]
)
def test_budget_is_told_as_it_can_be_given(seconds: float, text: str) -> None:
    assert output.budget_text(seconds) == text
    assert plan.parse_seconds(text) == seconds


def test_forecast_counts_in_words() -> None:
    assert output.forecast(1, 11, 20.0).startswith("1 cell; the budget has time for about 11")
    assert output.counted(1, "launch pair") == "1 launch pair"
