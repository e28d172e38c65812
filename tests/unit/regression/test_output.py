"""Test what `cascade-bench regress` prints while it runs."""

from __future__ import annotations

import io

import pytest

from benchmarks.regression import output

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
