"""A signal that the kernel gives to another thread ends the main thread's waiting all the same."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from benchmarks.harness import interruptible
from tests.fake_sessions import only_run, session

AT = 0.2  # seconds from the beginning to the signal
LATEST = 20.0  # … and to the end of what is waited for
LIMIT = 90.0  # … of a session's cell that hangs


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    def stop(*_: object) -> NoReturn:
        raise Stopped

    before = signal.signal(signal.SIGUSR1, stop)
    yield
    signal.signal(signal.SIGUSR1, before)


def taken_by_this_thread(ended: threading.Event) -> str:
    time.sleep(AT)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    ended.wait(LATEST)
    return "done"


def test_signal_given_to_another_thread_ends_the_waiting() -> None:
    ended, before = threading.Event(), time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(taken_by_this_thread, ended)
        with pytest.raises(Stopped):
            interruptible.result(future)
        waited = time.monotonic() - before
        ended.set()
    assert future.result() == "done"
    assert waited < LATEST / 2


def test_result_and_error_of_what_was_waited_for_come_through() -> None:
    def late(value: int) -> float:
        time.sleep(AT)
        return 1 / value

    with ThreadPoolExecutor(1) as pool:
        assert interruptible.result(pool.submit(late, 2)) == 0.5
        with pytest.raises(ZeroDivisionError):
            interruptible.result(pool.submit(late, 0))
    done: Future[int] = Future()
    done.set_result(3)
    assert interruptible.result(done) == 3


def test_who_waits_in_another_thread_waits_too() -> None:
    """Its signals are the main thread's business."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(time.sleep, AT)
        assert pool.submit(interruptible.result, first).result() is None


def test_wakeup_pipe_of_before_is_in_place_again() -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with ThreadPoolExecutor(1) as pool:
        interruptible.result(pool.submit(time.sleep, AT))
    assert signal.set_wakeup_fd(before) == before


@pytest.mark.parametrize("where", ["thread", "process"])
def test_session_ends_whichever_thread_a_signal_is_given_to(tmp_path: Path, where: str) -> None:
    faults: dict[str, Any] = {"FAKE_STOP": where, "FAKE_FAULTS": "summed/gradient=hang"}
    before = time.monotonic()
    ended = session(f"--results={tmp_path}", f"--cell-limit={LIMIT}", **faults)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert time.monotonic() - before < LIMIT
    assert only_run(tmp_path).interrupted
