"""Carry out a request on a user's case: ``python -m benchmarks.own_code REQUEST.json``.

The request asks to compare ways, to show the flow of gradients, or to check a training step, and
names the file for the result. Progress goes to stderr, and nothing to stdout.

Exit codes: 0 where every way is right or `check` has no finding, 1 where a way's gradients are
wrong, an expectation failed or `check` has a finding, 2 where the case cannot be run, 130 after
Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks.harness.protocol import memory_limit
from benchmarks.machine import activity
from benchmarks.machine.host import Host
from benchmarks.own_code import request as requests
from benchmarks.own_code.check import CheckSession
from benchmarks.own_code.request import CHECK
from benchmarks.own_code.session import Session, refused
from results.own_code import document
from results.records.record import RecordError

MEMORY_SHARE = 0.8  # of the free memory that one worker may take, unless the user sets a limit


def main(arguments: list[str]) -> int:
    """Carry out the request in the file that is the only argument; return the exit code."""
    started = time.monotonic()
    if len(arguments) != 1:
        print("usage: python -m benchmarks.own_code REQUEST.json", file=sys.stderr)
        return document.ERROR
    path = Path(arguments[0])
    _end_by_exception()
    try:
        limit_memory()
        request = requests.read(path)
        kind = CheckSession if request.command == CHECK else Session
        return kind(request, started).run()
    except requests.RequestError as error:
        refused(path, error)
        print(f"{error}; {error.mend}", file=sys.stderr)
    except (RecordError, memory_limit.LimitError) as error:
        print(str(error), file=sys.stderr)
    return document.ERROR


def limit_memory() -> None:
    """Let each worker have most of the free memory and no more, unless the user set a limit."""
    memory_limit.worker_memory()
    free = activity.memory(Host())["memory_available_bytes"]
    if free and not os.environ.get(memory_limit.VARIABLE):
        mebibytes = max(512, int(MEMORY_SHARE * free / 2**20))
        os.environ[memory_limit.VARIABLE] = f"{mebibytes}MiB"


def _end_by_exception() -> None:
    """Have SIGTERM and SIGHUP end the session as Ctrl-C does, so that the document is written.

    A process started by ``nohup`` goes on ignoring SIGHUP.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupt)
