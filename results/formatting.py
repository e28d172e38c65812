"""Format figures and names as text: units, significant digits, and escapes for Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from results.records.texts import clean

NOTHING = "\N{EN DASH}"  # shown where there is no figure, so that null does not read as 0

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def significant(value: float, digits: int = 3) -> str:
    """Round the number to that many significant digits, without exponent: 1.46, 0.987, 1230.

    A half is rounded away from 0, as readers expect: 1.25 is 1.3 to two digits.
    """
    if value == 0:
        return "0"
    exact = Decimal(repr(float(value)))
    rounded = Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal(exact)
    return f"{rounded:.{max(0, digits - 1 - rounded.adjusted())}f}"


def seconds_text(seconds: float | None) -> str:
    """Format a time with three significant digits, in the unit that suits its size: 12.3 µs."""
    if seconds is None:
        return NOTHING
    rounded, unit, size = _rounded_with_unit(seconds)
    return f"{significant(rounded / size)} {unit}"


def time_text(figure: Mapping[str, Any] | None) -> str:
    """Format a time with its interval, all in the unit of the estimate: 1.23 ms [1.20, 1.26].

    Args:
        figure: ``estimate``, ``low`` and ``high`` in seconds; the interval may be null.
    """
    if figure is None or figure["estimate"] is None:
        return NOTHING
    text = seconds_text(figure["estimate"])
    if figure["low"] is None or figure["high"] is None:
        return text
    _, _, size = _rounded_with_unit(figure["estimate"])
    return f"{text} [{significant(figure['low'] / size)}, {significant(figure['high'] / size)}]"


def _rounded_with_unit(seconds: float) -> tuple[float, str, float]:
    """Return the time rounded to three digits, the unit that suits it, and the unit in seconds."""
    rounded = float(f"{seconds:.2e}")  # before the unit is chosen, so that 999.9 µs is 1.00 ms
    unit, size = next((pair for pair in _UNITS if abs(rounded) >= pair[1]), _UNITS[-1])
    return rounded, unit, size


def flops_text(flops: float | None) -> str:
    """Format a count of floating-point operations with a decimal prefix: 1.23 G."""
    return NOTHING if flops is None else _scaled(flops, ("", " k", " M", " G", " T", " P"), 1e3)


def bytes_text(size: float | None) -> str:
    """Format a size in bytes with a binary prefix: 1.50 MiB."""
    return NOTHING if size is None else _scaled(size, (" B", " KiB", " MiB", " GiB", " TiB"), 1024)


def _scaled(value: float, units: Sequence[str], step: float) -> str:
    """Divide by ``step`` until the value is below it, and append the unit reached."""
    power = 0
    while max(abs(value), abs(float(f"{value:.2e}"))) >= step and power < len(units) - 1:
        value, power = value / step, power + 1
    # the smallest unit is counted in whole numbers: there is no half byte
    return f"{significant(value) if power else round(value)}{units[power]}"


def ratio_text(ratio: Mapping[str, Any] | None) -> str:
    """Format a ratio with its interval, or alone where there is no interval: 1.46 [1.44, 1.48].

    An interval needs several launches, so a short run has ratios without one.
    """
    if ratio is None or ratio["estimate"] is None:
        return NOTHING
    text = significant(ratio["estimate"])
    if ratio["low"] is None or ratio["high"] is None:
        return text
    return f"{text} [{significant(ratio['low'])}, {significant(ratio['high'])}]"


def rounded_ratio(ratio: Mapping[str, Any] | None) -> str:
    """Format a ratio rounded to what its interval carries: ``1.46 ± 0.02``, ``8.7 ± 0.3``.

    The half width of the interval has one significant digit, and two from 1 to 2 in it. Without an
    interval the ratio has two significant digits.
    """
    if ratio is None or ratio["estimate"] is None:
        return NOTHING
    estimate = ratio["estimate"]
    if ratio["low"] is None or ratio["high"] is None:
        return significant(estimate, 2)
    half = (ratio["high"] - ratio["low"]) / 2
    if not half > 0:
        return significant(estimate)
    leading = math.floor(math.log10(half))
    decimals = max(0, min(4, -leading + (half / 10**leading < 2)))
    return f"{estimate:.{decimals}f} ± {half:.{decimals}f}"


def share_text(share: float | None) -> str:
    """Format a share of 1 as a percentage with two significant digits: 37 %."""
    return NOTHING if share is None else f"{significant(100 * share, 2)} %"


def escape(text: object) -> str:
    """Escape the text so that Markdown shows it literally, on one line, also in a table.

    Names come from files: none of them may end a cell of a table or begin a tag, a link, a code
    span or a formula. An underscore inside a word stays, as Markdown ignores it there.
    """
    line = one_line(text)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~#$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def code(text: object) -> str:
    """Format the text as a Markdown code span, fenced by more backticks than it holds.

    Do not use it in a table: a vertical bar in the text would still end the cell.
    """
    line = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def one_line(text: object) -> str:
    """Replace control characters and line breaks by spaces, and lone surrogates by ``?``."""
    return clean(text, None)
