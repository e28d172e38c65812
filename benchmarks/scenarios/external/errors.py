"""A mistake in a user's file as one line: where it is, and what it is."""

from __future__ import annotations

import traceback
from pathlib import Path

LONGEST = 400  # letters of a message; a traced function's can fill a page


class SpecError(ValueError):
    """A spec that cannot be used; the message is one line that names the file and the mistake."""


class PartError(ValueError):
    """A part that does not fit its spec; the message is one line, as above."""


def told(error: BaseException, file: Path) -> str:
    """``net_torch.py:12: RuntimeError: …``: the innermost line in the file, or in one beside it."""
    if isinstance(error, PartError):
        return str(error)
    place = _place(error, file)
    return f"{place or file.name}: {type(error).__name__}: {one_line(error)}"


def reached(error: BaseException, file: Path) -> bool:
    """Whether the error came out of a line of this file, or of one beside it."""
    return _place(error, file) is not None


def one_line(error: BaseException) -> str:
    """The message without its line breaks, cut where it grows long."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _place(error: BaseException, file: Path) -> str | None:
    seen = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        seen.append((error.filename, error.lineno))
    places = [f"{Path(n).name}:{line}" for n, line in seen if Path(n).parent == file.parent]
    return places[-1] if places else None
