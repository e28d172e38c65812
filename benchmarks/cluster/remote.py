"""Start the process that measures on a node, from inside an engine's own process there.

An engine gets these functions by value, and runs them where nothing of this project can be
imported: this module imports the standard library only, and the engine inside functions. The code
that measures runs in a process of its own: it is the code that is on disk now, and it ends with a
session, while the engine's process may be days old.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Any

MODULE = "benchmarks.cluster.node"
ENDING_SECONDS = 20.0  # in which a process that was told to end does so
PROCESSES_ATTRIBUTE = "cascade_bench_nodes"  # attribute of a Dask worker: session → process


class NodeProcess:
    """Hold a process that measures, in the folder of the suite.

    Args:
        place: ``folder`` of the suite; ``python``, the interpreter, or None for this one; and
            ``environment``, variables beside those of this process.
        name: of this node.

    Attributes:
        last_line: after the end, the last line that the process wrote to its stderr.
    """

    def __init__(self, place: dict[str, Any], name: str) -> None:
        # the last line says why the process ended
        self.errors: Any = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._ending, self.last_line = threading.Lock(), "it said nothing"
        self.process = subprocess.Popen(
            [place.get("python") or sys.executable, "-m", MODULE, name],
            cwd=place["folder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **place.get("environment", {})},
        )

    def ask(self, job: str) -> dict[str, Any]:
        """Send a unit, as JSON on one line, and return the answer about it.

        Where the process ends instead, the answer has only the key ``lost``, with the reason.
        """
        line = ""
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(OSError, ValueError):  # it has ended
            self.process.stdin.write(job + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            code = self.end()
            return {"lost": f"the process that measures ended (exit code {code}): {self.last_line}"}
        return answer

    def _last_words(self) -> str:
        """Return the last line that the process wrote to its stderr."""
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - 4096))
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else self.last_line

    def alive(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def end(self) -> int:
        """End the process and its workers, close its pipes, and return its exit code.

        May be called again, also by another thread, which waits for the answer meanwhile.
        """
        with contextlib.suppress(OSError):
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        with self._ending:
            if not self.errors.closed:
                self.last_line = self._last_words()
                files: list[Any] = [self.process.stdin, self.process.stdout, self.errors]
                for file in files:
                    with contextlib.suppress(OSError):  # a pipe that nobody reads any more
                        file.close()
        return code


def problem_of(place: dict[str, Any]) -> str | None:
    """Return why no process can be started in a place; None where one can."""
    if not os.path.isfile(os.path.join(place["folder"], *MODULE.split(".")) + ".py"):
        return (
            f"no suite in {place['folder']} there; clone it to that path on every node, or name "
            "the path in the cluster file, `folder: PATH`"
        )
    python = place.get("python")
    if python and not os.access(python, os.X_OK):
        return f"no interpreter {python} there; name one in the cluster file, `python: PATH`"
    return None


def refusal(unit: str, name: str, reason: str) -> dict[str, Any]:
    """Return the answer of a node that cannot measure at all."""
    node = {"name": name, "machine": {}}
    return {"unit": unit, "node": node, "refused": reason, "canaries": [], "groups": []}


def measure_on_slurm(unit: str, job: str, place: dict[str, Any]) -> dict[str, Any]:
    """Measure one unit in this job, in a process that ends with it.

    Args:
        unit: its name.
        job: as JSON on one line.
        place: see `NodeProcess`.
    """
    name = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    if reason := problem_of(place):
        return refusal(unit, name, reason)
    process = NodeProcess(place, name)
    try:
        return process.ask(job)
    finally:
        process.end()


def measure_on_dask(unit: str, job: str, place: dict[str, Any], session: str) -> dict[str, Any]:
    """Measure one unit in the process of this Dask worker, which stays for the next unit.

    Args:
        unit: its name.
        job: as JSON on one line.
        place: see `NodeProcess`.
        session: of which the process is.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    name = _name_of(worker)
    if reason := problem_of(place):
        return refusal(unit, name, reason)
    processes = worker.__dict__.setdefault(PROCESSES_ATTRIBUTE, {})
    if session not in processes or not processes[session].alive():
        processes[session] = NodeProcess(place, name)
    answer: dict[str, Any] = processes[session].ask(job)
    return answer


def _name_of(worker: Any) -> str:
    """Return the name that a Dask worker was given, or else its host and port."""
    given = str(worker.name)
    port = worker.address.rpartition(":")[2]
    return given if given != worker.address else f"{socket.gethostname()}:{port}"


def end_on_dask(session: str, dask_worker: Any) -> None:
    """End the process of a session on a Dask worker, which `distributed` passes."""
    process = dask_worker.__dict__.get(PROCESSES_ATTRIBUTE, {}).pop(session, None)
    if process:
        process.end()
