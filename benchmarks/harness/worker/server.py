"""Run a worker: a fresh process for one framework that prepares, checks and times cells.

It reads requests as JSON lines from stdin and writes answers as JSON lines to stdout; arrays travel
as ``.npz``, never pickled, so that a worker can come from another work tree or another interpreter.
``docs/protocol.md`` describes the messages. This module, like the whole harness, imports no
framework: it imports ``impl_<framework>`` by name.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks.harness.protocol import heartbeat, memory_limit, messages
from benchmarks.harness.worker import descriptors
from benchmarks.harness.worker.canaries import Canaries
from benchmarks.harness.worker.checks import Checks
from benchmarks.harness.worker.memory import Memory
from benchmarks.harness.worker.own_code import OwnCode
from benchmarks.harness.worker.profiling import Profiling
from benchmarks.harness.worker.rates import Rates

Send = Callable[[messages.Answer | messages.CellEvent], None]


class Worker(OwnCode, Profiling, Checks, Canaries, Memory, Rates):
    """Carry out every operation of `operations.OPERATIONS`."""


def main(kind: type[Worker] = Worker) -> None:
    """Open the framework's session, say hello, then answer one request a line until stdin ends.

    Args:
        kind: the class of the worker, for one that has operations of its own.
    """
    options = _parse_arguments()
    link = heartbeat.connect_to_parent()
    requests, answers = descriptors.take_requests(), descriptors.take_answers()
    descriptors.keep_from_forks(requests, answers)
    send = _sender(answers)
    try:
        session = _open_session(options)
    except Exception as error:
        send({"ok": False, "error": {"type": type(error).__name__, "message": str(error)}})
        return
    gc.collect()
    gc.freeze()  # the framework's own objects live on: walking them before each group costs 0.1 s
    memory_limit.apply_limit()
    worker = kind(options.framework, session, link, send)
    worker.note_switches()
    send({"ok": True, "result": worker.do_hello()})
    serve(worker, requests, send)


def serve(worker: Worker, requests: TextIO, send: Send) -> None:
    """Answer requests, one a line, until there are no more."""
    for line in requests:
        send(worker.answer(json.loads(line)))


def _parse_arguments() -> argparse.Namespace:
    """Return the options of the worker's command line: framework, device, dtype, compile cache."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cache")
    return parser.parse_args()


def _sender(answers: TextIO) -> Send:
    """Return a function that writes a message to the stream of answers."""

    def send(message: messages.Answer | messages.CellEvent) -> None:
        answers.write(json.dumps(message) + "\n")

    return send


def _open_session(options: argparse.Namespace) -> Any:
    """Import the framework's implementation and return its session."""
    module = importlib.import_module(f"impl_{options.framework}.session")
    extra = {"cache": options.cache} if options.cache else {}
    return module.Session(options.device, options.dtype, **extra)
