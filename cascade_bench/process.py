"""Run one request in a process of the suite, and stop it when this process is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_bench import suite
from cascade_bench.launcher import PARENT

MODULE = "benchmarks.own_code"
STAMP = re.compile(r" *(\d+\.\d) s  ")  # begins a line that tells of progress
SILENCE = 5.0  # seconds without a line, after which one says that the work goes on


@dataclass(frozen=True)
class Outcome:
    """Hold what became of a request.

    Attributes:
        code: exit code: 0 every way is right, 1 a way is wrong or an expectation failed, 2 the
            case cannot be run, 130 stopped.
        document: what the suite wrote; None if it wrote nothing that can be read.
        last_line: the last line on its stderr.
    """

    code: int
    document: dict[str, Any] | None
    last_line: str


def run_request(
    request: dict[str, Any], private: Path, show: Callable[[str], object], module: str = MODULE
) -> Outcome:
    """Run a request and return what became of it; Ctrl-C stops it, and it keeps what it has.

    Args:
        request: see `cascade_bench.client.build_request`.
        private: a folder that the request is written into.
        show: is called with each line that tells of progress.
        module: the module of the suite that reads the request.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; the process was killed.
    """
    file = private / "request.json"
    file.write_text(json.dumps(request, allow_nan=False), encoding="utf-8")
    with _started(suite.command(module, [str(file)]), request["folder"]) as process:
        code, last = _follow(process, show)
    return Outcome(code, read_document(Path(request["document"])), last)


class Waiting:
    """Show a line whenever the process has said nothing for a while: it has not stopped.

    Args:
        show: is called with each such line.
        seconds: of silence before a line, and between two.
    """

    def __init__(self, show: Callable[[str], object], seconds: float = SILENCE) -> None:
        self._show, self._seconds = show, seconds
        self._heard = time.monotonic()
        self._stamp: float | None = None  # seconds since its start that the process told last
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Waiting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def heard(self, line: str) -> None:
        """Take note of a line of the process, and of its time: the silence begins anew."""
        stamp = STAMP.match(line)
        now = time.monotonic()
        if stamp:
            self._stamp = float(stamp[1])
        elif self._stamp is not None:
            self._stamp += now - self._heard
        self._heard = now

    def _tell(self) -> None:
        """Show a line at the end of each silence, until the process has ended."""
        while not self._ended.wait(max(0.01, self._heard + self._seconds - time.monotonic())):
            now = time.monotonic()
            if now - self._heard >= self._seconds:
                self.heard("")
                stamp = "" if self._stamp is None else f"{self._stamp:5.1f} s"
                self._show(f"{stamp:7}  … still at it\n")


def read_document(path: Path) -> dict[str, Any] | None:
    """Return the document in a file; None if there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


@contextlib.contextmanager
def _started(command: list[str], folder: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process in a group of its own, which ends when this process does.

    A group of its own, as Ctrl-C in a terminal goes to the whole group and in a program to one
    process: here it always arrives once, from `_follow`. The pipe is closed by the system when this
    process ends, even if it is killed; see `cascade_bench.launcher`.
    """
    environment = dict(suite.environment(suite.user_path()))
    read, write = os.pipe()
    posix = os.name == "posix"
    if posix:
        environment[PARENT] = str(read)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env={**environment, "PYTHONIOENCODING": "utf-8:replace"},
            pass_fds=(read,) if posix else (),
            process_group=0 if posix else None,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill(process)
            process.stderr.close()  # type: ignore[union-attr]
    finally:
        os.close(read)
        os.close(write)


def _follow(process: subprocess.Popen[str], show: Callable[[str], object]) -> tuple[int, str]:
    """Pass on the process's lines until it ends; return its exit code and its last line."""
    assert process.stderr is not None
    last, stopping = "", False
    with Waiting(show) as waiting:
        while True:
            try:
                for line in process.stderr:
                    last = line.strip() or last
                    waiting.heard(line)
                    show(line)
                return process.wait(), last
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                process.send_signal(signal.SIGINT)


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and its group at once; workers end with it."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
