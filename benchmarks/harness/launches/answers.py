"""Read the lines that a worker writes, so that no text in them can harm a terminal or a page."""

from __future__ import annotations

import json
from typing import Any

from results.records.texts import cleaned

MOST = 100_000  # characters of one text: a traceback is long, and what is shown is cut once more


def read_message(line: str) -> Any:
    """Return a worker's message, in which no text holds anything that a terminal would obey.

    Texts may be the user's: that of an exception, or the name of a parameter. Line breaks stay, as
    of a traceback. In a line of ASCII without a backslash every text of JSON is plain already.

    Raises:
        ValueError: the line is no JSON, or nested more deeply than any message.
    """
    message = json.loads(line)
    plain = line.isascii() and "\\" not in line
    return message if plain else cleaned(message, most=MOST, lines=True)
