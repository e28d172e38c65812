"""Test the width and the colours chosen for standard output."""

from __future__ import annotations

import io

import pytest

from results.terminal.stdout import plain, replace_what_cannot_be_encoded, width_and_colour
from results.terminal.verdict_marks import VERDICT_MARKS


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


def encoded(text: str, encoding: str) -> str:
    """Return what a stream of that encoding holds once the text was written to it."""
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, encoding=encoding, write_through=True)
    replace_what_cannot_be_encoded(stream, None, object())
    stream.write(text)
    return file.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "loss1 -> net1 ^ 1.46 x -2 % +-3 u a e ? 18 ~"),
        ("cp1252", "loss1 -> net1 ^ 1.46 × -2 % ±3 µ a é ? 18 ~"),
        ("utf-8", "loss1 → net1 ▲ 1.46 × −2 % ±3 µ α é 網 ▁█ ≈"),
    ],
)
def test_what_an_encoding_lacks_is_replaced_and_nothing_else(encoding: str, expected: str) -> None:
    assert encoded("loss1 → net1 ▲ 1.46 × −2 % ±3 µ α é 網 ▁█ ≈", encoding) == expected


def test_lone_surrogate_is_replaced_in_every_encoding() -> None:
    assert encoded("a\ud800b", "utf-8") == "a?b"


def test_mark_of_a_verdict_is_never_that_of_another() -> None:
    assert len({plain(mark) for mark in VERDICT_MARKS.values()}) == len(VERDICT_MARKS)
