"""Turn an error in a user's file into one line that names the place and the mistake."""

from __future__ import annotations

import traceback
from pathlib import Path

LONGEST = 400  # letters of a message: that of a traced JAX function can fill a page


class SpecError(ValueError):
    """Report a spec that cannot be used, in one line that names the file and the mistake.

    ``outcome`` is that of the cells that need it.
    """

    outcome = "crashed"


class SpecTimeout(SpecError):
    """Report a spec whose own code took longer than the time limit."""

    outcome = "timeout"


class PartError(ValueError):
    """Report a part that does not fit its spec, in one line like that of `SpecError`."""


class UnsupportedPart(PartError):
    """Report a part that cannot be checked or compared by its nature, such as a random one."""


class NoTerminal(RuntimeError):
    """Report a call that waits for a person, where no terminal is; the message says what to do."""


def format_error(error: BaseException, file: Path) -> str:
    """Return the error as one line, such as ``net_torch.py:12: RuntimeError: …``.

    The place is the innermost line of the traceback in the file or in one beside it.
    """
    if isinstance(error, PartError):
        return str(error)
    return f"{_place(error, file) or file.name}: {_message_of(error)}"


def _message_of(error: BaseException) -> str:
    """Return the type and the message of an error, in one line.

    A debugger that finds no terminal quits with an error that says nothing.
    """
    if type(error).__name__ == "BdbQuit":
        return "pdb needs a terminal: remove its set_trace()"
    return one_line(error) if isinstance(error, NoTerminal) else _typed(error)


def _typed(error: BaseException) -> str:
    """Return the name of an error's type and its message."""
    return f"{type(error).__name__}: {one_line(error)}"


def comes_from(error: BaseException, file: Path) -> bool:
    """Return whether the error passed through a line of this file, or of one beside it."""
    return _place(error, file) is not None


def one_line(error: BaseException) -> str:
    """Return the error's message without line breaks and control characters, cut to `LONGEST`."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _place(error: BaseException, file: Path) -> str | None:
    """Return ``file:line`` of the innermost line in the file's folder; None if there is none."""
    lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        lines.append((error.filename, error.lineno))
    places = [f"{Path(n).name}:{line}" for n, line in lines if Path(n).parent == file.parent]
    return places[-1] if places else None
