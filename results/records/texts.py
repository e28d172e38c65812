"""Clean texts that come from outside: from a file, or from the code of a user.

Printed as it is, such a text could move the cursor of a terminal, set the title of its window, turn
the order of the letters around, or end the line of a report. Every text is cleaned once, where it
enters: `cleaned` for what is read from a file, `clean` for the texts of a worker's answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 4000  # characters of one text; a longer one is cut


class TooDeep(ValueError):
    """Raised where lists and objects are nested more deeply than any file of this suite has."""


def clean(text: object, most: int | None = MOST, *, lines: bool = False) -> str:
    """Return the text on one line, without anything that a terminal or a page would obey.

    Control characters (those of escape sequences, C1 codes), line breaks and invisible marks of
    Unicode (bidirectional overrides among them) become spaces, halves of surrogate pairs become
    ``?``.

    Args:
        text: any value; what `str` makes of it is cleaned.
        most: characters that are kept at most; the rest is replaced by an ellipsis.
        lines: whether line breaks (``\\n``) stay, as in a traceback.
    """
    whole = str(text)
    if most is not None and len(whole) > most:
        whole = f"{whole[: most - 1]}…"
    if whole.isascii() and whole.isprintable():  # nearly every text, and five times as fast
        return whole if lines else whole.strip()
    whole = whole.encode("utf-8", "replace").decode()
    allowed = "\n" if lines else ""
    whole = "".join(c if c.isprintable() or c in allowed else " " for c in whole)
    return whole if lines else whole.strip()


def cleaned(value: Any, *, most: int = MOST, lines: bool = False, deepest: int = 20) -> Any:
    """Return a value of JSON in which every text is clean, the keys of objects included.

    Args:
        value: lists, objects, texts, numbers, true, false and null, in any nesting.
        most: characters of a text, see `clean`.
        lines: whether line breaks stay, see `clean`.
        deepest: how many lists and objects may be inside each other.

    Raises:
        TooDeep: there are more.
    """
    if isinstance(value, str):
        return clean(value, most, lines=lines)
    if not isinstance(value, list | Mapping):
        return value
    if deepest == 0:
        raise TooDeep("nested too deeply")

    def inner(item: Any) -> Any:
        return cleaned(item, most=most, lines=lines, deepest=deepest - 1)

    if isinstance(value, list):
        return [inner(item) for item in value]
    return {inner(key): inner(item) for key, item in value.items()}


def first_names(names: Sequence[object], most: int = 3) -> str:
    """Return the first of some names in a row, for a message, and how many more there are.

    Args:
        names: in the order in which they are shown.
        most: names that are shown.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def is_name(value: Any, most: int = 200) -> bool:
    """Return whether a value may name a cell or a part of one: ``stacked_cascade``, ``n4``, ``-``.

    Names are made of letters, digits, ``_``, ``.`` and ``@``, so that they can stand in the name of
    a file or of a cell, whose parts ``-`` separates.

    Args:
        value: anything.
        most: bytes of the name in UTF-8 at most.
    """
    if not isinstance(value, str):
        return False
    letters = value.replace(".", "_").replace("@", "_")
    is_word = value == "-" or (value != "" and f"_{letters}".isidentifier())
    return is_word and len(value.encode("utf-8", "replace")) <= most
