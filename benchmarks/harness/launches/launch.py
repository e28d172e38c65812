"""Start a worker process and exchange requests and answers with it, within time limits."""

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

from benchmarks.harness.launches.answers import read_message
from benchmarks.harness.protocol import case_messages, memory_limit
from benchmarks.harness.protocol.heartbeat import WorkerLink
from benchmarks.harness.protocol.messages import Span
from benchmarks.paths import ROOT
from benchmarks.scenarios import FRAMEWORKS
from results.records.texts import clean

START_SECONDS = 120.0
WORKER = "benchmarks.harness.worker"


class WorkerError(Exception):
    """Raised when a worker gives no proper answer.

    ``cell`` is the strategy or recipe that the worker was working on, None if there was none;
    ``outcome`` is the outcome that a record gives that cell.
    """

    outcome = "crashed"

    def __init__(self, message: str, cell: str | None = None) -> None:
        super().__init__(clean(message))
        self.cell = cell


class WorkerFailed(WorkerError):
    """Raised when a request raised an exception inside the worker, which lives on.

    ``type`` is the exception's class, ``message`` its text, ``case`` the mistake in a user's case.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(format_error(error), error.get("cell"))
        self.type, self.message, self.outcome = error["type"], error["message"], outcome_of(error)
        self.case: case_messages.CaseMistake | None = error.get("case")


def outcome_of(error: Mapping[str, Any]) -> str:
    """Return the outcome of a cell whose request raised an exception inside the worker.

    Args:
        error: see `benchmarks.harness.protocol.messages.ErrorMessage`. Its type ``Unavailable``
            says that this build or machine lacks a device or a compiler.
    """
    if error["type"] == "Unavailable" or error.get("unsupported"):
        return "unsupported"
    return "out_of_memory" if error.get("out_of_memory") else "crashed"


def format_error(error: Mapping[str, Any]) -> str:
    """Return the text of an exception inside a worker.

    For an exception in a user's own scenario the text is one line with its file and line number.
    """
    text = error.get("unsupported") or error.get("line")
    return text or f"{error['type']}: {error['message']}"


class WorkerCrashed(WorkerError):
    """Raised when the worker process ended, or wrote a line that is no answer."""


class WorkerTimeout(WorkerError):
    """Raised when there is no answer within the time limit; the worker has been killed."""

    outcome = "timeout"


class Launch:
    """Hold one worker process, which starts with this object.

    `ask` sends a request and waits for its result; `send` and `receive` do either alone, so that
    several workers can be at work at once.

    Args:
        framework: what the worker loads is ``impl_<framework>``.
        device: ``cpu`` or ``cuda``.
        dtype: of weights and data.
        cache: a folder for compiled programs, which several workers may share.
        environment: variables that the worker gets beside those of this process.
        prefix: words before the worker's command; ``("taskset", "-c", "1")`` keeps it, and every
            thread that its framework starts, on one core.
        module: the module that the worker runs.
        busy_spans: a list to which the worker's spans of work are added; see
            `benchmarks.harness.protocol.busy_time`.
        root: the folder of the code that the worker runs.
        python: the interpreter that runs it.
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
        busy_spans: list[Span] | None = None,
        root: Path = ROOT,
        python: str = sys.executable,
    ) -> None:
        self.framework = framework
        self._busy_spans: list[Span] = [] if busy_spans is None else busy_spans
        command = [*prefix, python, "-m", module, "--framework", framework]
        command += ["--device", device, "--dtype", dtype]
        if cache and framework in FRAMEWORKS:
            command += ["--cache", cache]
        self._start(command, root, environment or {})
        self._lines: queue.Queue[str | None] = queue.Queue()  # None after the worker's last line
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()
        self.hello: dict[str, Any] | None = None
        self._start_error: WorkerFailed | None = None
        self._killed = False

    def _start(self, command: Sequence[str], root: Path, environment: Mapping[str, str]) -> None:
        """Start the process, with pipes for requests and answers and a file for its stderr.

        Args:
            command: program and arguments.
            root: working folder, whose code the worker runs.
            environment: variables beside those of this process.
        """
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._link = WorkerLink()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=root,
            text=True,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            pass_fds=self._link.fds,
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **environment,
                **self._link.environment,
            },
        )
        self._link.close_worker_ends()

    @property
    def dead(self) -> bool:
        """Return whether the process is gone and should be replaced.

        A worker that could not start is not dead in this sense: a new one would fail in the same
        way, and `wait_until_ready` raises its error each time.
        """
        return self._killed or (self.hello is not None and self._process.poll() is not None)

    @property
    def pid(self) -> int:
        """Return the number of the worker's process."""
        return self._process.pid

    def wait_until_ready(self) -> dict[str, Any]:
        """Wait until the framework is loaded, and return the worker's description of itself.

        Returns:
            See `benchmarks.harness.protocol.messages.Hello`.

        Raises:
            WorkerFailed: the framework cannot be loaded: it is not installed, or it lacks the
                device. Every later call raises the same error.
            WorkerCrashed: the process ended.
            WorkerTimeout: the process did not start within `START_SECONDS`.
        """
        if self._start_error:
            raise self._start_error
        if self.hello is None:
            try:
                self.hello = self.receive(START_SECONDS)
            except WorkerFailed as error:
                self._start_error = error
                raise
        return self.hello

    def ask(self, op: str, timeout: float = 300.0, **arguments: Any) -> Any:
        """Send a request and wait for its result.

        Args:
            op: the operation, a key of `benchmarks.harness.protocol.operations.OPERATIONS`.
            timeout: seconds without an answer or the beginning of another cell.
            arguments: of the operation; they are sent as JSON.

        Raises:
            WorkerFailed: the request raised an exception; the worker lives on.
            WorkerCrashed: the process ended, or wrote a line that is no answer.
            WorkerTimeout: there was no answer in time; the process has been killed.
        """
        self.wait_until_ready()
        self.send(op, **arguments)
        return self.receive(timeout)

    def send(self, op: str, **arguments: Any) -> None:
        """Send a request without waiting for its result.

        Raises:
            WorkerCrashed: the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):  # the pipe is closed at the worker's end, or at ours
            raise self._crash_error("the worker is gone", None) from None

    def receive(self, timeout: float) -> Any:
        """Wait for the result of the oldest request that has none yet.

        Args:
            timeout: in seconds; it begins anew with each cell that the worker comes to.

        Raises:
            WorkerError: as `ask`.
        """
        announced_cell = None
        while (line := self._next_line(timeout)) is not None:
            try:
                message = read_message(line)
                if "event" in message:
                    announced_cell = message["cell"]
                    continue
                if "worked" in message:
                    spans = [(float(begin), float(end)) for begin, end in message["worked"]]
                    self._busy_spans += spans
                if message["ok"]:
                    return message["result"]
                failure = WorkerFailed(message["error"])
            except (ValueError, TypeError, KeyError):
                reason = f"the worker said {line.strip()[:80]!r}, no answer"
                # the heartbeat may have moved to another cell since the line was written
                raise self._crash_error(reason, announced_cell) from None
            raise failure
        raise self._crash_error("the worker ended", self._link.heartbeat.cell)

    def _next_line(self, timeout: float) -> str | None:
        """Return the worker's next line; None if the worker has ended.

        Raises:
            WorkerTimeout: there was neither a line nor a new cell for ``timeout`` seconds; the
                worker has been killed.
        """
        start, heartbeat = time.monotonic(), self._link.heartbeat
        while True:
            try:
                return self._lines.get(timeout=max(0.0, start + timeout - time.monotonic()))
            except queue.Empty:
                since, cell = heartbeat.since, heartbeat.cell
                if since > start:
                    start = since
                    continue
                self.kill()
                raise WorkerTimeout(f"no answer within {timeout:.0f} s", cell) from None

    def kill(self) -> None:
        """End the process and every process that it started, and close its pipes."""
        if self._killed:  # the system may have given its number to another process
            return
        self.kill_nowait()
        self._killed = True
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a request that the worker has not read is lost
            self._process.stdin.close()
        self._reader.join(timeout=5.0)
        self._stderr.close()
        self._link.close()

    def kill_nowait(self) -> None:
        """Send SIGKILL to the process and every process that it started, without waiting.

        `kill` must follow, which closes the pipes.
        """
        if not self._killed:
            with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the worker end by itself, as it does when its requests end; kill it after 2 s."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # already gone
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2.0)
        self.kill()

    def _read_lines(self) -> None:
        """Queue every line that the worker writes; this runs in a thread of its own."""
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._lines.put(line)
        self._lines.put(None)

    def _crash_error(self, reason: str, cell: str | None) -> WorkerCrashed:
        """Kill the worker and return an error that says how it ended and what it wrote last.

        Args:
            reason: the beginning of the error's message.
            cell: the strategy or recipe that the worker was at.
        """
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            code = None  # it lives on, and writes lines that are no answers
        lines = self._last_stderr_lines()
        last = lines[-1].strip()[:200] if lines else ""
        self.kill()
        how = f" by signal {-code} ({signal.Signals(-code).name})" if code and code < 0 else ""
        hint = "; the system may be out of memory" if code == -signal.SIGKILL else ""
        words = f"; last words: {last}" if last else ""
        error = WorkerCrashed(f"{reason}{how}{hint}{words}", cell)
        if code == -signal.SIGABRT and memory_limit.out_of_memory("\n".join(lines)):
            error.outcome = "out_of_memory"
        return error

    def _last_stderr_lines(self) -> list[str]:
        """Return the last five lines on stderr; none after the worker has been killed.

        The error of a crash shows the last one. All five are searched for a lack of memory, as C++
        may name the reason for an abort in the line before its last.
        """
        if self._stderr.closed:
            return []
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip().splitlines()[-5:]
