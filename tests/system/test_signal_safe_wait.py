"""A signal that the kernel gives to another thread ends the main thread's waiting all the same."""

from __future__ import annotations

import gc
import itertools
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NoReturn

import pytest

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.measurement import canaries
from benchmarks.regression import references
from tests.helpers.fake_sessions import only_run, session

CELL = {"framework": "torch", "device": "cpu", "dtype": "float32"}
AT = 0.2  # seconds from the beginning to the signal
LATEST = 20.0  # … and to the end of what is waited for
LIMIT = 150.0  # … of a session's cell that hangs


class Stopped(BaseException):
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


def stopped_soon(wait: Callable[[], Any], ended: threading.Event) -> bool:
    """Return whether a wait ends by the signal, and long before what it waits for."""
    before, stopped = time.monotonic(), False
    try:
        wait()
    except Stopped:
        stopped = True
    waited = time.monotonic() - before
    ended.set()
    return stopped and waited < LATEST / 2


@pytest.mark.smoke
def test_signal_given_to_another_thread_ends_the_waiting() -> None:
    ended, futures = threading.Event(), []

    def wait() -> None:
        futures.append(pool.submit(taken_by_this_thread, ended))
        signal_safe_wait.result(futures[0])

    with ThreadPoolExecutor(1) as pool:
        assert stopped_soon(wait, ended)
    assert futures[0].result() == "done"


@pytest.mark.smoke
def test_canaries_are_waited_for_in_this_way() -> None:
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        cells: Any = [SimpleNamespace(**CELL)]
        submit: Any = lambda _: pool.submit(taken_by_this_thread, ended)  # noqa: E731
        taken = canaries.take(submit, cells, {})
        assert stopped_soon(lambda: list(taken), ended)


@pytest.mark.smoke
def test_float64_references_are_waited_for_in_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    launches: Any = SimpleNamespace(end=ended.set)
    monkeypatch.setattr(references, "_reference", lambda *_: taken_by_this_thread(ended))
    cells: Any = [SimpleNamespace(**CELL)]
    files: Any = {"base": None, "head": None}
    results: Any = None
    assert stopped_soon(lambda: references._add_group(cells, files, launches, results), ended)


@pytest.mark.smoke
def test_result_and_error_of_what_was_waited_for_come_through() -> None:
    def late(value: int) -> float:
        time.sleep(AT)
        return 1 / value

    with ThreadPoolExecutor(1) as pool:
        assert signal_safe_wait.result(pool.submit(late, 2)) == 0.5
        with pytest.raises(ZeroDivisionError):
            signal_safe_wait.result(pool.submit(late, 0))
    done: Future[int] = Future()
    done.set_result(3)
    assert signal_safe_wait.result(done) == 3


@pytest.mark.smoke
def test_who_waits_in_another_thread_waits_too() -> None:
    """Its signals are the main thread's business."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(time.sleep, AT)
        assert pool.submit(signal_safe_wait.result, first).result() is None


@pytest.mark.smoke
def test_wakeup_pipe_of_before_is_in_place_again() -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with ThreadPoolExecutor(1) as pool:
        signal_safe_wait.result(pool.submit(time.sleep, AT))
    assert signal.set_wakeup_fd(before) == before


@pytest.mark.smoke
def test_ctrl_c_at_any_line_of_a_wait_leaves_nothing_open() -> None:
    """A socket left open is a ResourceWarning, for which pytest would end with 1 instead of 2."""
    before = signal.set_wakeup_fd(-1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        stopped = list(itertools.takewhile(bool, map(waits_until_line, itertools.count(1))))
        signal.set_wakeup_fd(before)
        gc.collect()
    assert len(stopped) > 8  # lines of the wait, each of which was the last one once
    assert not [str(one.message) for one in warned]


def waits_until_line(number: int) -> bool:
    """Wait for a future that is done, interrupted at a line; return whether there was one."""
    done: Future[int] = Future()
    done.set_result(3)
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        of_wait = Path(frame.f_code.co_filename).name in ("signal_safe_wait.py", "socket.py")
        if of_wait and event == "line" and next(lines) == number:
            sys.settrace(None)
            raise Stopped
        return trace

    sys.settrace(trace)
    try:
        signal_safe_wait.result(done)
    except Stopped:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.parametrize("where", ["thread", "process"])
def test_session_ends_whichever_thread_a_signal_is_given_to(tmp_path: Path, where: str) -> None:
    faults: dict[str, Any] = {"FAKE_STOP": where, "FAKE_FAULTS": "summed/gradient=hang"}
    before = time.monotonic()
    ended = session(f"--results={tmp_path}", f"--cell-limit={LIMIT}", **faults)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert time.monotonic() - before < LIMIT
    assert only_run(tmp_path).interrupted
