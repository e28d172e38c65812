"""Show what is wrong with a user's training step on one screen of a terminal, at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from results.terminal.tables import (
    LINE,
    PARAGRAPH,
    WIDTH,
    case_title,
    indented,
    plain_text,
    rendered,
)

Data = Mapping[str, Any]
MOST = 8  # findings that are shown in full; a screen has 24 lines
FOUND, RIGHT = "bold red", "bold green"


def table(document: Data, width: int = WIDTH, *, colour: bool = False) -> str:
    """Return the page: the answer, each finding with evidence and mend, what was looked at.

    Args:
        document: see `results.own_code.check_schema.CheckDocument`; names in it are the user's.
        width: columns of the terminal.
        colour: whether to emit colour codes.
    """
    return rendered(_parts(document), width, colour=colour)


def _parts(document: Data) -> Iterator[Any]:
    """Yield lines of rich."""
    yield case_title(document)
    yield plain_text(document.get("answer") or "Nothing was checked.", _style(document), PARAGRAPH)
    for part in document.get("frameworks") or ():
        findings: Sequence[Data] = part.get("findings") or ()
        for one in findings[:MOST]:
            yield from _finding(one)
        if len(findings) > MOST:
            yield plain_text(f"and {len(findings) - MOST} more: --json FILE has all", most=LINE)
        if findings:
            yield plain_text("")
            yield plain_text(
                f"cascade-bench check --explain {findings[0]['code']} says more", "dim", LINE
            )
        yield plain_text("")
        yield plain_text(f"{part['framework']} {part['version']}: {part['looked_at']}", "dim", LINE)
        yield from (plain_text(f"note: {note}", most=PARAGRAPH) for note in part.get("notes") or ())


def _finding(one: Data) -> Iterator[Any]:
    """Yield the lines of one finding."""
    yield plain_text("")
    yield plain_text(f"{one['code']} {one['title']}  {one['page']}", FOUND, LINE)
    for line in (one["message"], f"→ {one['mend']}"):
        yield indented(plain_text(line, most=PARAGRAPH))


def _style(document: Data) -> str:
    """Return the style of the answer."""
    return {0: RIGHT, 1: FOUND}.get(document.get("exit_code") or 0, "")
