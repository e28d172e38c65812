"""Wait for another thread in such a way that Ctrl-C always ends the wait.

The kernel may deliver a signal to any thread, even to one that is just being started. Python then
notes the signal for the main thread, but does not wake a main thread that waits for a lock, as
``future.result()`` does: Ctrl-C seems lost until the wait is over, minutes later perhaps. A byte in
a pipe does wake it; asyncio uses ``signal.set_wakeup_fd`` in the same way.

The pipe is made once, on import. Made for each wait, it would stay open whenever Ctrl-C came
between its making and the ``with`` that closes it. For the ResourceWarning, pytest would end a
session that turns warnings into errors with 1 instead of 2.
"""

from __future__ import annotations

import atexit
import contextlib
import selectors
import signal
import socket
import threading
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
_NEAR, _FAR = socket.socketpair()  # what is written to FAR wakes who waits at NEAR
for _end in (_NEAR, _FAR):
    _end.setblocking(False)
    atexit.register(_end.close)


def result(future: Future[T]) -> T:
    """Return ``future.result()``, but let a signal handler's exception end the wait at once.

    In another thread than the main one this is ``future.result()``: only the main thread runs
    signal handlers.
    """
    if threading.current_thread() is threading.main_thread():
        _wait(future)
    return future.result()


def _wait(future: Future[T]) -> None:
    """Wait until the future is done, woken by its end and by any signal.

    A byte that was left from an earlier wait wakes once too often, which does no harm.
    """
    selector = selectors.DefaultSelector()
    selector.register(_NEAR, selectors.EVENT_READ)
    previous = -1
    try:
        previous = signal.set_wakeup_fd(_FAR.fileno(), warn_on_full_buffer=False)
        future.add_done_callback(_wake)
        while not future.done():
            selector.select()
            with contextlib.suppress(BlockingIOError):
                _NEAR.recv(4096)
    finally:
        signal.set_wakeup_fd(previous)
        selector.close()


def _wake(_: Future[T]) -> None:
    """Wake the main thread; an error says that the pipe is full, which wakes as well, or closed."""
    with contextlib.suppress(OSError):
        _FAR.send(b"\0")
