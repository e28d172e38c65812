"""Find out what standard output can show: its width, its colours and its characters."""

from __future__ import annotations

import codecs
import unicodedata
from typing import Any, TextIO

HANDLER = "cascade-bench-plain"
# Characters of our own pages → what is written where the encoding lacks them: mostly one character,
# so that the columns of a table stay below each other. The mark of what got slower must not become
# "?", which is the mark of what could not be told.
PLAIN = {
    "→": "->", "−": "-", "–": "-", "—": "-", "×": "x", "÷": "/", "±": "+-", "·": "|", "…": "...",
    "µ": "u", "μ": "u", "α": "a", "√": "sqrt ", "≤": "<=", "≥": ">=", "≈": "~", "∞": "inf",
    "▲": "^", "▼": "v", "✓": "v", "✗": "x", "²": "2", "⁴": "4", "‘": "'", "’": "'", "“": '"',
    "”": '"', "\N{NO-BREAK SPACE}": " ", "\N{FIRST STRONG ISOLATE}": "",
    "\N{POP DIRECTIONAL ISOLATE}": "",
    **dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True)),
}  # fmt: skip


def width_and_colour(
    default: int, *, narrowest: int, widest: int | None = None
) -> tuple[int, bool]:
    """Return the columns to use on standard output, and whether to print colours there.

    Args:
        default: columns where the output is no terminal, such as a file or a pipe.
        narrowest: fewest columns to use; a narrower terminal breaks the lines itself.
        widest: most columns to use; None for as many as the terminal has.
    """
    from rich.console import Console

    console = Console()
    width = default
    if console.is_terminal:
        width = max(console.width, narrowest)
        width = width if widest is None else min(width, widest)
    return width, console.color_system is not None and not console.no_color


def plain(text: str) -> str:
    """Return the text in ASCII: each other character by its `PLAIN` form, without accents, or ?."""
    return "".join(_plain_character(letter) for letter in text)


def _plain_character(letter: str) -> str:
    """Return what stands for one character in ASCII."""
    if letter.isascii():
        return letter
    if letter in PLAIN:
        return PLAIN[letter]
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def encodable(text: str, encoding: str) -> str:
    """Return the text with `plain` characters for those that an encoding lacks.

    It is for a text that another process prints.
    """
    codecs.register_error(HANDLER, _encodable)
    return text.encode(encoding, HANDLER).decode(encoding)


def replace_what_cannot_be_encoded(*streams: TextIO | Any) -> None:
    """Make text streams write `plain` characters for those that their encoding lacks.

    Without it Python raises `UnicodeEncodeError` in the middle of a page, for example where
    ``PYTHONIOENCODING`` is ``ascii`` or ``cp1252``.

    Args:
        streams: such as ``sys.stdout``; what cannot be reconfigured, or is None, is left alone.
    """
    codecs.register_error(HANDLER, _encodable)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def _encodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Handle an error of a codec: return what to write instead, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end
