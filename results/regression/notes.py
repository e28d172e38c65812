"""Say on which side of a comparison a user's own files have switched something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def notes_of_sides(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each note once: as it is where it holds for every side, else behind the side's name.

    Args:
        notes: ``base`` and ``head`` → the notes on what was measured of that side.
    """
    sides = {
        note: [n for n, own in notes.items() if note in own]
        for own in notes.values()
        for note in own
    }
    return [
        note if len(names) == len(notes) else f"{', '.join(names)}: {note}"
        for note, names in sides.items()
    ]


def add_notes(document: dict[str, Any], notes: Mapping[str, Sequence[str]]) -> None:
    """Add to a comparison's document, once, what a user's file has switched in its workers.

    Args:
        document: of the comparison.
        notes: ``base`` and ``head`` → the notes on their workers.
    """
    if new := notes_of_sides(notes):
        document["notes"] = list(dict.fromkeys([*document.get("notes", []), *new]))
