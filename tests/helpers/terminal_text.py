"""Examine text that is printed to a terminal."""

from __future__ import annotations

from rich.cells import cell_len

ISOLATES = "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"


def unprintable(text: str) -> str:
    """Return the letters of a text that a terminal might obey, but for line ends and isolates."""
    return "".join(c for c in text if not c.isprintable() and c not in f"\n{ISOLATES}")


def widest(text: str) -> int:
    """Return the width of the widest line, in columns of a terminal."""
    return max(map(cell_len, text.split("\n")))
