"""Test the formatting of figures as text, and the escaping of names from files."""

from __future__ import annotations

from typing import Any

import pytest

from results.formatting import (
    bytes_text,
    code,
    escape,
    flops_text,
    ratio_text,
    seconds_text,
    share_text,
    time_text,
)

DASH = "\N{EN DASH}"


def figure(estimate: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "estimate": estimate, "low": low, "high": high, "confidence": 0.95, "launches": 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-3, "1.23 ms"), (12.34e-6, "12.3 µs"), (123.4e-9, "123 ns"), (5.0, "5.00 s"),
        (999.6e-6, "1.00 ms"), (999.4e-6, "999 µs"), (1234.0, "1230 s"), (2e-10, "0.200 ns"),
        (0.0, "0 ns"), (None, DASH),
    ],
)  # fmt: skip
def test_a_time_has_a_unit_and_three_digits(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_time_and_its_interval_have_one_unit() -> None:
    assert time_text(figure(1.234e-3, 0.987e-3, 1.3e-3)) == "1.23 ms [0.987, 1.30]"
    assert time_text(figure(12.3e-6, None, None)) == "12.3 µs"
    assert time_text(None) == DASH


def test_a_ratio_shows_its_interval_and_without_one_only_itself() -> None:
    assert ratio_text(figure(1.459, 1.441, 1.4849)) == "1.46 [1.44, 1.48]"
    assert ratio_text(figure(0.98765, None, None)) == "0.988"
    assert ratio_text(None) == DASH


def test_shares_are_rounded_and_null_is_a_dash() -> None:
    assert (share_text(0.371), share_text(0.0123), share_text(None)) == ("37 %", "1.2 %", DASH)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a|b", r"a\|b"), ("<script>", "&lt;script&gt;"), ("a&lt;", "a&amp;lt;"),
        ("[x](http://y)", r"\[x\](http://y)"), ("`c`", r"\`c\`"), ("*b*", r"\*b\*"),
        ("two\nlines\t\x1b[31m", r"two lines  \[31m"), ("stacked_cascade", "stacked_cascade"),
        ("_slanted_", r"\_slanted\_"), (r"a\|b", r"a\\\|b"), ("\ud800", "?"),
    ],
)  # fmt: skip
def test_a_name_from_a_file_is_shown_literally(name: str, text: str) -> None:
    assert escape(name) == text


def test_a_code_span_holds_any_backticks() -> None:
    assert code("pytest -k x") == "`pytest -k x`"
    assert code("a``b`") == "``` a``b` ```"
    assert code("one\n# two") == "`one # two`"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (flops_text(None), DASH),
        (flops_text(0), "0"),
        (flops_text(999), "999"),
        (flops_text(999_600), "1.00 M"),
        (flops_text(1e19), "10000 P"),
        (bytes_text(None), DASH),
        (bytes_text(1000), "1000 B"),
        (bytes_text(1536), "1.50 KiB"),
        (bytes_text(1023), "1023 B"),
        (bytes_text(2**20), "1.00 MiB"),
        (bytes_text(5e12), "4.55 TiB"),
    ],
)
def test_counts_and_sizes_have_a_unit_that_reads_well(text: str, shown: str) -> None:
    assert text == shown
