"""Waiting for another thread in such a way that Ctrl-C always ends it.

The kernel may give a signal to any thread, and does give it to one that is just being started.
Python then notes it for the main thread, but a main thread that waits for a lock, as
``future.result()`` does, is not woken: the signal seems lost until the wait is over, minutes maybe.
A byte in a pipe does wake it: see ``signal.set_wakeup_fd``, by which asyncio does the same.
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
    """``future.result()``; in the main thread, what a signal's handler raises comes at once."""
    if threading.current_thread() is threading.main_thread():
        _wait(future)
    return future.result()


def _wait(future: Future[T]) -> None:
    near, far = socket.socketpair()

    def wake(_: Future[T]) -> None:
        # nobody waits any more; or the pipe is full, which wakes as well
        with contextlib.suppress(OSError):
            far.send(b"\0")

    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        ready = selectors.DefaultSelector()
        ready.register(near, selectors.EVENT_READ)
        before = -1
        try:
            before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
            future.add_done_callback(wake)
            while not future.done():
                ready.select()
                with contextlib.suppress(BlockingIOError):
                    near.recv(4096)
        finally:
            signal.set_wakeup_fd(before)
            ready.close()
