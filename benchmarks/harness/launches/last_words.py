"""Say how a worker process ended, and what it wrote on stderr last."""

from __future__ import annotations

import os
import signal
from typing import IO

from benchmarks.harness.protocol import memory_limit
from results.records.texts import clean

LINES = 5
TAIL = 2**16  # bytes at the end of stderr that are read: a user's code may print without end


def last_lines(stderr: IO[bytes]) -> list[str]:
    """Return the last lines on a worker's stderr; none after the worker has been killed.

    The error of a crash shows the last one. All are searched for a lack of memory, as C++ may name
    the reason for an abort in the line before its last.
    """
    if stderr.closed:
        return []
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - TAIL))
    return stderr.read().decode(errors="replace").strip().splitlines()[-LINES:]


def ending(reason: str, code: int | None, lines: list[str]) -> str:
    """Return a sentence about the end of a worker: its signal, and its last words.

    Args:
        reason: the beginning of the sentence.
        code: the exit code of the process, negative for a signal; None while it lives.
        lines: the last ones on its stderr.
    """
    how = f" by signal {-code} ({signal.Signals(-code).name})" if code and code < 0 else ""
    hint = "; the system may be out of memory" if code == -signal.SIGKILL else ""
    last = clean(lines[-1], most=200) if lines else ""
    return f"{reason}{how}{hint}" + (f"; last words: {last}" if last else "")


def ran_out_of_memory(code: int | None, lines: list[str]) -> bool:
    """Return whether a worker aborted, and wrote on stderr that it had no memory left."""
    return code == -signal.SIGABRT and memory_limit.out_of_memory("\n".join(lines))
