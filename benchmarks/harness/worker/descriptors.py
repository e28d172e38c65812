"""Take the worker's pipes away from whatever else runs in it: a user's code, and its children.

Requests come in on stdin and answers go out on stdout. Once both are taken, stdin is empty, what is
printed goes to stderr, and no process that the worker starts has a copy of either pipe: it could
swallow a request, or keep the parent waiting for the end of the answers.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, TextIO

from benchmarks.scenarios.external.errors import NoTerminal


def take_requests() -> TextIO:
    """Return the stream of requests, and leave an empty stdin in its place."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")  # a duplicate is closed by exec
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    sys.breakpointhook = _refuse_breakpoint  # a debugger would read the end of the empty stdin
    return requests


def take_answers() -> TextIO:
    """Return the stream for answers; what is printed on stdout from here on goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return answers


def keep_from_forks(*streams: TextIO) -> None:
    """Have each child that this process forks lose these streams; exec closes them anyway.

    The child's copies lead nowhere. Closing them would free their numbers for its next files, into
    which a stale stream might then write.
    """
    numbers = [stream.fileno() for stream in streams]

    def cut() -> None:
        """Point the child's copies to the null device."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in numbers:
            os.dup2(nowhere, number, inheritable=False)
        os.close(nowhere)

    os.register_at_fork(after_in_child=cut)


def _refuse_breakpoint(*_: Any, **__: Any) -> NoReturn:
    """Raise `NoTerminal` in the line of a user's code that calls ``breakpoint()``."""
    raise NoTerminal("breakpoint() needs a terminal: remove it")
