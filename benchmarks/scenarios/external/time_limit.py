"""Limit how long code of a user's spec may run in the controlling process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.scenarios.external import kept_state

T = TypeVar("T")


class Late(Exception):
    """Raised where a call has not ended within its limit; it goes on in a thread of its own."""


class LimitedThread(threading.Thread):
    """A thread of `call_within`; ``left_behind`` where nobody waits for it any more."""

    left_behind = False


def call_within(seconds: float | None, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread, and return what it returns or raise what it raises.

    Neither a signal nor an exception from outside ends every call: a spec may sleep in C. So the
    thread is left behind; it does not keep the process from ending. The state of this process is
    put back afterwards, also where the call goes on, see `kept_state`.

    Args:
        seconds: that it may take; None: no limit, and no thread.
        function: what to call.
        arguments: of the function.

    Raises:
        Late: it takes longer.
    """
    with kept_state.unchanged():
        if seconds is None:
            return function(*arguments)
        return _call_in_thread(seconds, function, *arguments)


def _call_in_thread(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread, see `call_within`."""
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        """Keep the result, or the exception, for the thread that waits."""
        try:
            results.append(function(*arguments))
        except BaseException as error:  # SystemExit too, which would end this thread in silence
            errors.append(error)

    thread = LimitedThread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        thread.left_behind = True
        raise Late
    return results[0]
