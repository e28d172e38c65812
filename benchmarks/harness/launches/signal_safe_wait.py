"""Wait for another thread in such a way that Ctrl-C always ends the wait.

The kernel may deliver a signal to any thread, even to one that is just being started. Python then
notes the signal for the main thread, but does not wake a main thread that waits for a lock, as
``future.result()`` does: Ctrl-C seems lost until the wait is over, minutes later perhaps. A byte in
a pipe does wake it; asyncio uses ``signal.set_wakeup_fd`` in the same way.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def result(future: Future[T]) -> T:
    """Return ``future.result()``, but let a signal handler's exception end the wait at once.

    In another thread than the main one this is ``future.result()``: only the main thread runs
    signal handlers.
    """
    if threading.current_thread() is threading.main_thread():
        _wait(future)
    return future.result()


def _wait(future: Future[T]) -> None:
    """Wait until the future is done, woken by its end and by any signal."""
    near, far = socket.socketpair()

    def wake(_: Future[T]) -> None:
        # an error says that nobody waits any more, or that the pipe is full, which wakes as well
        with contextlib.suppress(OSError):
            far.send(b"\0")

    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(near, selectors.EVENT_READ)
        previous = -1
        try:
            previous = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
            future.add_done_callback(wake)
            while not future.done():
                selector.select()
                with contextlib.suppress(BlockingIOError):
                    near.recv(4096)
        finally:
            signal.set_wakeup_fd(previous)
            selector.close()
