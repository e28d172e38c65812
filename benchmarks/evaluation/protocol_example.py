"""Record the example exchange of ``docs/protocol.md`` from a real worker.

``python -m benchmarks.evaluation.protocol_example`` writes ``protocol_example.json`` beside this
file. Nothing but the protocol is used to speak to the worker, so this is also the smallest parent
that there can be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.requests import prepare_request
from benchmarks.paths import ROOT

EXAMPLE = Path(__file__).with_suffix(".json")
STRATEGIES = ("summed", "separate_retained")
GROUP = {"kind": "backward", "phase": "backward", "mode": "eager", "dtype": "float32"}
SAMPLES = 3  # shown of each list of samples
FOLDER = "/tmp/problem"  # shown in the place of the folder of the problem's files
CUT = "…"  # stands for the elements that are left out


class Worker:
    """Hold a worker in torch, and the messages that were exchanged with it."""

    def __init__(self, dtype: str) -> None:
        command = [sys.executable, "-m", "benchmarks.harness.worker", "--framework", "torch"]
        self._process = subprocess.Popen(
            [*command, "--dtype", dtype],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.exchange: list[dict[str, Any]] = []
        self._receive()

    def ask(self, op: str, **arguments: Any) -> None:
        """Send a request, and read messages up to its answer."""
        request = {"op": op, **arguments}
        self.exchange.append({"to": "worker", "message": request})
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self._receive()

    def close(self) -> None:
        """End the worker, as the end of its stdin does."""
        self._process.communicate()

    def _receive(self) -> None:
        """Read messages up to the next answer, and add them to the exchange."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            self.exchange.append({"to": "parent", "message": message})
            if "event" not in message:
                return
        raise RuntimeError("the worker ended")


def record() -> list[dict[str, Any]]:
    """Return the messages of a measurement of two strategies on `linear_cascade`, shortened.

    Each has ``to``, the process that it goes to (worker or parent), and ``message``.
    """
    files = ProblemFiles("linear_cascade", "-", "seed")
    problem = {"facts": files.problem_spec, "weights": files.weights, "data": files.data}
    reference = str(files.folder / "reference.npz")
    workers = [Worker("float64"), Worker("float32")]
    try:
        workers[0].ask("open", **problem)
        workers[0].ask("gradients", kind="backward", name="summed", phase="gradient", out=reference)
        workers[1].ask("open", **problem)
        prepare = prepare_request(GROUP, files, reference, STRATEGIES, count=True)
        workers[1].ask("prepare", **prepare)
        prepared = workers[1].exchange[-1]["message"]["result"]
        calls = {name: cell["residual_bytes"] for name, cell in prepared.items()}
        workers[1].ask("time", calls=calls, seconds=0.05, least=6, seed=[0, 0], products=None)
        workers[1].ask("close")
    finally:
        for worker in workers:
            worker.close()
        files.close()
    exchange = json.dumps(workers[1].exchange).replace(str(files.folder), FOLDER)
    return [{**one, "message": _shortened(one["message"])} for one in json.loads(exchange)]


def _shortened(message: Any, key: str = "") -> Any:
    """Return a message with rounded numbers and only the first samples of each cell."""
    if isinstance(message, dict):
        return {name: _shortened(value, name) for name, value in message.items()}
    if isinstance(message, list):
        shown = [_shortened(value) for value in message]
        return [*shown[:SAMPLES], CUT] if key in STRATEGIES and len(shown) > SAMPLES else shown
    if isinstance(message, float):
        return float(f"{message:.7g}" if message > 1e3 else f"{message:.4g}")
    return message


def load() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the recorded messages, each with the process that it goes to: worker or parent."""
    for one in json.loads(EXAMPLE.read_text()):
        yield one["to"], one["message"]


if __name__ == "__main__":
    lines = (json.dumps(one, ensure_ascii=False) for one in record())
    EXAMPLE.write_text("[\n" + ",\n".join(lines) + "\n]\n")
