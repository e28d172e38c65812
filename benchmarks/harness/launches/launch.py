"""A launch: one worker process as its parent sees it, with a time limit on every answer."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import memory_limit
from benchmarks.harness.protocol.busy_time import Span
from benchmarks.harness.protocol.heartbeat import WorkerLink
from benchmarks.paths import ROOT
from benchmarks.scenarios import FRAMEWORKS

START_SECONDS = 120.0
WORKER = "benchmarks.harness.worker"


class WorkerError(Exception):
    """A worker did not give a proper answer. ``cell`` is what it was at, if at any."""

    outcome = "crashed"

    def __init__(self, message: str, cell: str | None = None) -> None:
        super().__init__(message)
        self.cell = cell


class WorkerFailed(WorkerError):
    """An exception inside the request; the worker lives on. ``type`` is the exception's name."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(format_error(error), error.get("cell"))
        self.type, self.message = error["type"], error["message"]
        self.outcome = outcome_of(error)


def outcome_of(error: Mapping[str, Any]) -> str:
    """What became of a cell at which a worker met this error.

    ``Unavailable`` is a device, or a compiler, that this build or machine does not have.
    """
    if error["type"] == "Unavailable" or error.get("unsupported"):
        return "unsupported"
    return "out_of_memory" if error.get("out_of_memory") else "crashed"


def format_error(error: Mapping[str, Any]) -> str:
    """What went wrong inside a worker; for a user's own part one line that says where."""
    known = error.get("unsupported") or error.get("line")
    return known or f"{error['type']}: {error['message']}"


class WorkerCrashed(WorkerError):
    """The process ended, or spoke something that is no answer."""


class WorkerTimeout(WorkerError):
    """No answer within the limit; the process has been killed."""

    outcome = "timeout"


class Launch:
    """Starts a worker; `ask` sends a request and waits, `send` and `receive` do either alone.

    ``prefix`` stands in front of the worker's command: ``("taskset", "-c", "1")`` keeps it, and
    every thread that its framework starts, on one core. ``worked`` is a list to which is added when
    the worker worked, as it tells of it: see `effort`. ``root`` is the tree of code that it runs,
    ``python`` the interpreter that runs it.
    """

    def __init__(
        self,
        framework: str,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        cache: str | None = None,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        module: str = WORKER,
        worked: list[Span] | None = None,
        root: Path = ROOT,
        python: str = sys.executable,
    ) -> None:
        self.framework = framework
        self._worked: list[Span] = [] if worked is None else worked
        command = [*prefix, python, "-m", module, "--framework", framework]
        command += ["--device", device, "--dtype", dtype]
        if cache and framework in FRAMEWORKS:
            command += ["--cache", cache]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._tether = WorkerLink()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=root,
            text=True,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            pass_fds=self._tether.fds,
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **(environment or {}),
                **self._tether.environment,
            },
        )
        self._tether.handed_over()
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.hello: dict[str, Any] | None = None
        self._stillborn: WorkerFailed | None = None
        self._killed = False

    @property
    def dead(self) -> bool:
        """Whether the process is gone: whoever keeps launches replaces such a one.

        One that ended before its hello says why each time it is asked: see `ready`.
        """
        return self._killed or (self.hello is not None and self._process.poll() is not None)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """What the worker said of itself when its framework was loaded.

        Raises `WorkerFailed` each time where it could not be loaded: not installed, no such device.
        """
        if self._stillborn:
            raise self._stillborn
        if self.hello is None:
            try:
                self.hello = self.receive(START_SECONDS)
            except WorkerFailed as error:
                self._stillborn = error
                raise
        return self.hello

    def ask(self, op: str, timeout: float = 300.0, **arguments: Any) -> Any:
        """Send a request and wait for its result.

        Raises `WorkerFailed`, `WorkerCrashed` or `WorkerTimeout`; after the last two the process
        is gone.
        """
        self.ready()
        self.send(op, **arguments)
        return self.receive(timeout)

    def send(self, op: str, **arguments: Any) -> None:
        """Send a request without waiting."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):  # its end of the pipe is closed, or ours
            raise self._crash("the worker is gone", None) from None

    def receive(self, timeout: float) -> Any:
        """The next result; the limit begins anew with each cell that the worker comes to."""
        said_at = None
        while (line := self._line(timeout)) is not None:
            try:
                message = json.loads(line)
                if "event" in message:
                    said_at = message["cell"]
                    continue
                if "worked" in message:
                    self._worked += [(float(begin), float(end)) for begin, end in message["worked"]]
                if message["ok"]:
                    return message["result"]
                failed = WorkerFailed(message["error"])
            except (ValueError, TypeError, KeyError):
                # the mark may have moved on since the line was written
                what = f"the worker said {line.strip()[:80]!r}, no answer"
                raise self._crash(what, said_at) from None
            raise failed
        raise self._crash("the worker ended", self._tether.mark.cell)

    def _line(self, timeout: float) -> str | None:
        """The worker's next line; None if it has ended."""
        start, mark = time.monotonic(), self._tether.mark
        while True:
            try:
                return self._lines.get(timeout=max(0.0, start + timeout - time.monotonic()))
            except queue.Empty:
                since, at = mark.since, mark.cell
                if since > start:
                    start = since
                    continue
                self.kill()
                raise WorkerTimeout(f"no answer within {timeout:.0f} s", at) from None

    def kill(self) -> None:
        """End the process and everything it started, and let go of its pipes."""
        if self._killed:  # its number may be another's by now
            return
        self.kill_nowait()
        self._killed = True
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what was not yet read is lost with it
            self._process.stdin.close()
        self._reader.join(timeout=5.0)
        self._stderr.close()
        self._tether.cut()

    def kill_nowait(self) -> None:
        """End the process and everything it started without waiting; `kill` is still to come."""
        if not self._killed:
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end by itself, as it does when its requests end; else end it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # already gone
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        self.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._lines.put(line)
        self._lines.put(None)

    def _crash(self, what: str, at: str | None) -> WorkerCrashed:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            code = None  # it lives on and talks nonsense
        said = self._last_words()
        last = said[-1].strip()[:200] if said else ""
        self.kill()
        how = f" by signal {-code} ({signal.Signals(-code).name})" if code and code < 0 else ""
        hint = "; the system may be out of memory" if code == -signal.SIGKILL else ""
        words = f"; last words: {last}" if last else ""
        crash = WorkerCrashed(f"{what}{how}{hint}{words}", at)
        if code == -signal.SIGABRT and memory_limit.out_of_memory("\n".join(said)):
            crash.outcome = "out_of_memory"
        return crash

    def _last_words(self) -> list[str]:
        """The last lines on stderr; C++ may say why it aborts in the line before its last."""
        if self._stderr.closed:
            return []
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip().splitlines()[-5:]
