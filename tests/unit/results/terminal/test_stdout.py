"""Test the width and the colours chosen for standard output."""

from __future__ import annotations

import pytest

from results.terminal.stdout import width_and_colour


@pytest.mark.parametrize(
    ("columns", "width"), [("40", 60), ("90", 90), ("200", 100)], ids=["narrow", "fits", "wide"]
)
def test_width_of_a_terminal_keeps_to_its_bounds(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes standard output for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert width_and_colour(70, narrowest=60, widest=100) == (width, True)


def test_without_a_terminal_the_default_width_has_no_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert width_and_colour(70, narrowest=60) == (70, False)
