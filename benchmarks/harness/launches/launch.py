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

from benchmarks.harness.launches import last_words, strays
from benchmarks.harness.launches.answers import read_message
from benchmarks.harness.launches.worker_errors import WorkerCrashed as WorkerCrashed
from benchmarks.harness.launches.worker_errors import WorkerError as WorkerError
from benchmarks.harness.launches.worker_errors import WorkerFailed as WorkerFailed
from benchmarks.harness.launches.worker_errors import WorkerTimeout as WorkerTimeout
from benchmarks.harness.protocol.heartbeat import WorkerLink
from benchmarks.harness.protocol.messages import Span
from benchmarks.paths import ROOT
from benchmarks.scenarios import FRAMEWORKS

START_SECONDS = 120.0
SLICES = 10  # how often in a time limit it is looked whether the machine stood still
PAUSE_SECONDS = 0.5  # by which a wait must last longer than asked for
ANSWER_SECONDS = 300.0  # for an answer, unless another limit is given
WORKER = "benchmarks.harness.worker"


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
        owner: path of the one user's spec that this worker runs; None: this suite's scenarios.
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
        owner: str | None = None,
    ) -> None:
        self.framework, self.owner = framework, owner
        self._mark = strays.new_mark()
        self._owed = 0  # requests without an answer
        self.limit = ANSWER_SECONDS  # of a request that names none; a problem sets its own
        self._part = ""  # what the worker does: an operation, or what an event of its said
        self._busy_spans: list[Span] = [] if busy_spans is None else busy_spans
        command = [*prefix, python, "-m", module, "--framework", framework]
        command += ["--device", device, "--dtype", dtype]
        if cache and framework in FRAMEWORKS:
            command += ["--cache", cache]
        self._start(command, root, {**(environment or {}), **self._mark})
        self._lines: queue.Queue[str | None] = queue.Queue()  # None after the worker's last line
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()
        if owner:  # whose children may hold the pipe of the answers open
            strays.call_at_end(self._process.pid, lambda: self._lines.put(None))
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
    def idle(self) -> bool:
        """Return whether the worker has started, lives, and owes no answer."""
        return self.hello is not None and not self.dead and not self._owed

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

    def ask(self, op: str, timeout: float | None = None, **arguments: Any) -> Any:
        """Send a request and wait for its result.

        Args:
            op: the operation, a key of `benchmarks.harness.protocol.operations.OPERATIONS`.
            timeout: seconds without an answer or the beginning of another cell; None: `limit`.
            arguments: of the operation; they are sent as JSON.

        Raises:
            WorkerFailed: the request raised an exception; the worker lives on.
            WorkerCrashed: the process ended, or wrote a line that is no answer.
            WorkerTimeout: there was no answer in time; the process has been killed.
        """
        self.wait_until_ready()
        self.send(op, **arguments)
        return self.receive(self.limit if timeout is None else timeout)

    def send(self, op: str, **arguments: Any) -> None:
        """Send a request without waiting for its result.

        Raises:
            WorkerCrashed: the process is gone.
        """
        assert self._process.stdin is not None
        self._part = op
        try:
            self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
            self._process.stdin.flush()
            self._owed += 1
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
                    self._part = message.get("part", self._part)
                    continue
                self._owed = max(0, self._owed - 1)  # the first message answers no request
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
            asked = time.monotonic()
            slice_seconds = min(timeout / SLICES, max(0.0, start + timeout - asked))
            try:
                return self._lines.get(timeout=slice_seconds)
            except queue.Empty:
                now, since, cell = time.monotonic(), heartbeat.since, heartbeat.cell
                late = now - asked - slice_seconds
                # where this process was not woken in time, the worker may have stood still too
                start = max(start + (late if late > PAUSE_SECONDS else 0.0), since)
                if now - start < timeout:
                    continue
                self.kill()
                raise WorkerTimeout(timeout, cell, self._part) from None

    def kill(self) -> None:
        """End the process and all that it started, see `strays`, and close its pipes."""
        if self._killed:  # the system may have given its number to another process
            return
        self.kill_nowait()
        self._killed = True
        self._process.wait()
        if self.owner:
            strays.end_strays(self._mark)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a request that the worker has not read is lost
            self._process.stdin.close()
        self._reader.join(timeout=5.0)
        self._stderr.close()
        self._link.close()

    def kill_nowait(self) -> None:
        """Send SIGKILL to the process and its process group, without waiting.

        `kill` must follow.
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
        lines = last_words.last_lines(self._stderr)
        self.kill()
        error = WorkerCrashed(last_words.ending(reason, code, lines), cell)
        if last_words.ran_out_of_memory(code, lines):
            error.outcome = "out_of_memory"
        return error
