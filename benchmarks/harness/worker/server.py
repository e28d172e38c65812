"""A worker: a fresh process for one framework that prepares cells, checks and times them.

It is spoken to in JSON lines on stdin and answers in JSON lines on stdout; arrays travel as
``.npz``, never pickled, so that a worker can come from another work tree, another interpreter or
another machine. This module, like the whole harness, imports no framework: it reaches the
implementation by name.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from benchmarks.harness.protocol import heartbeat, memory_limit
from benchmarks.harness.worker.canaries import Canaries
from benchmarks.harness.worker.checks import Checks
from benchmarks.harness.worker.memory import Memory


class Worker(Checks, Canaries, Memory):
    """Everything that can be asked of a framework's process."""


def main(kind: type[Worker] = Worker) -> None:
    """Open the framework's session, say hello, then answer one request a line until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cache")
    options = parser.parse_args()
    mark = heartbeat.tied()
    # whatever a library prints must not end up among the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    try:
        session = _session(options)
    except Exception as error:
        say({"ok": False, "error": {"type": type(error).__name__, "message": str(error)}})
        return
    gc.collect()
    gc.freeze()  # the framework's own objects live on: walking them before each group costs 0.1 s
    memory_limit.apply_limit()
    worker = kind(options.framework, session, mark, say)
    say({"ok": True, "result": worker.do_hello()})
    serve(worker, sys.stdin, say)


def serve(worker: Worker, requests: TextIO, say: Callable[[dict[str, Any]], None]) -> None:
    """Answer until the requests end."""
    for line in requests:
        say(worker.answer(json.loads(line)))


def _session(options: argparse.Namespace) -> Any:
    module = importlib.import_module(f"impl_{options.framework}.session")
    extra = {"cache": options.cache} if options.cache else {}
    return module.Session(options.device, options.dtype, **extra)
