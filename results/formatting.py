"""Figures and names as text: units, significant digits, and escapes for Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "\N{EN DASH}"  # no figure, which is not the same as 0

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def significant(value: float, digits: int = 3) -> str:
    """The number with that many significant digits and no exponent: 1.46, 0.987, 1230."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(0, digits - 1 - exponent)}f}"


def seconds_text(seconds: float | None) -> str:
    """A time with the unit in which it reads well, three significant digits: 12.3 µs."""
    if seconds is None:
        return NOTHING
    rounded, unit, size = _in_unit(seconds)
    return f"{significant(rounded / size)} {unit}"


def time_text(figure: Mapping[str, Any] | None) -> str:
    """A time with its interval, all three in one unit: 1.23 ms [1.20, 1.26]."""
    if figure is None or figure["estimate"] is None:
        return NOTHING
    text = seconds_text(figure["estimate"])
    if figure["low"] is None or figure["high"] is None:
        return text
    _, _, size = _in_unit(figure["estimate"])
    return f"{text} [{significant(figure['low'] / size)}, {significant(figure['high'] / size)}]"


def _in_unit(seconds: float) -> tuple[float, str, float]:
    """The time to three digits, and the unit in which it reads well."""
    rounded = float(f"{seconds:.2e}")  # first, so that 999.9 µs becomes 1.00 ms
    unit, size = next((pair for pair in _UNITS if abs(rounded) >= pair[1]), _UNITS[-1])
    return rounded, unit, size


def flops_text(flops: float | None) -> str:
    """A count of floating-point operations in the power of a thousand that reads well: 1.23 G."""
    return NOTHING if flops is None else _scaled(flops, ("", " k", " M", " G", " T", " P"), 1e3)


def bytes_text(size: float | None) -> str:
    """A size in the power of 1024 that reads well: 1.50 MiB."""
    return NOTHING if size is None else _scaled(size, (" B", " KiB", " MiB", " GiB", " TiB"), 1024)


def _scaled(value: float, units: Sequence[str], step: float) -> str:
    power = 0
    while max(abs(value), abs(float(f"{value:.2e}"))) >= step and power < len(units) - 1:
        value, power = value / step, power + 1
    # of the smallest unit there are no parts
    return f"{significant(value) if power else round(value)}{units[power]}"


def ratio_text(ratio: Mapping[str, Any] | None) -> str:
    """A ratio with its interval, or without one where there were too few launches."""
    if ratio is None or ratio["estimate"] is None:
        return NOTHING
    text = significant(ratio["estimate"])
    if ratio["low"] is None or ratio["high"] is None:
        return text
    return f"{text} [{significant(ratio['low'])}, {significant(ratio['high'])}]"


def number_text(value: float | None) -> str:
    """A number with three significant digits."""
    return NOTHING if value is None else significant(value)


def share_text(share: float | None) -> str:
    """A share as a percentage with two significant digits."""
    return NOTHING if share is None else f"{significant(100 * share, 2)} %"


def gradient_error_text(error: Mapping[str, Any] | None) -> str:
    """The worst relative error and, escaped, the tensor it was found in."""
    if error is None:
        return NOTHING
    relative = error["relative"]
    size = NOTHING if relative is None else re.sub(r"e([+-])0", r"e\1", f"{relative:.1e}")
    return f"{size} ({escape(error['tensor'])})"


def escape(text: object) -> str:
    """The text as Markdown shows it literally, on one line, also in a cell of a table.

    Names come from files: none of them may end a cell, begin a tag, a link or a code
    span, or formula. An underscore inside a word stays, as it does nothing there.
    """
    line = one_line(text)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~#$])", r"\\\1", line)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)


def code(text: object) -> str:
    """The text as a code span, with a fence longer than any backticks inside. Not for
    tables, where a bar would still end the cell."""
    line = one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def one_line(text: object) -> str:
    """Control characters and line breaks become spaces, lone surrogates question marks."""
    whole = str(text).encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in whole).strip()
