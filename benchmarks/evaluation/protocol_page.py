"""Make ``docs/protocol.md`` from the declared messages (``make docs``).

The tables come from `messages` and `operations`, with the comment of each key, and the example from
`protocol_example`; the text between them stands here.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.evaluation import protocol_example
from benchmarks.evaluation.declared_types import Declarations
from benchmarks.harness.launches import launch
from benchmarks.harness.protocol import (
    case_messages,
    count_messages,
    heartbeat,
    memory_limit,
    messages,
    profile_messages,
)
from benchmarks.harness.protocol.operations import OPERATIONS, Operation
from benchmarks.paths import ROOT

PAGE = ROOT / "docs" / "protocol.md"
DECLARED = Declarations(
    (messages, profile_messages, case_messages, count_messages),
    placeholders=("NoArguments", "NoResult"),
)
WIDTH = 96  # letters in a line of the example
PAGE_TEXT = """\
# The worker protocol

Every time and every gradient comes from a *worker*: a process for one framework that prepares,
checks and times cells. Its *parent*, the process that runs the session, imports no framework and
speaks to its workers by the protocol on this page, version {version}. A worker of another version
of this suite, or for another framework, has to speak it too.

`make docs` makes this page from `messages.py`, `case_messages.py`, `count_messages.py`,
`profile_messages.py` and `operations.py` in `benchmarks/harness/protocol`; a test holds the methods
of `benchmarks/harness/worker` to them.

## Messages

The parent starts a worker in the root of a checkout with

    python -m {worker} --framework torch --device cpu --dtype float32

and `--cache FOLDER` for compiled code, where a framework keeps some. A message is a JSON object on
one line, in UTF-8.

- **Requests** go to the worker's stdin: `op` names an [operation](#operations), the other keys are
  its arguments. A worker carries out one request after the other. It ends when its stdin ends.
  The code that it runs finds an empty stdin, and no child of the worker inherits the pipes.
- **Answers** come from its stdout in the order of the requests: one [`Answer`](#answer) for each.
  Whatever a library prints goes to stderr.
- **The first answer is unasked**: once its framework is loaded, the worker sends a
  [`Hello`](#hello); if it cannot load it, a [`StartError`](#starterror), and ends. The parent waits
  {start:.0f} s for either.
- **Events** may precede the answer to `prepare`: a [`CellEvent`](#cellevent) tells, in order with
  the answers, which cell the worker has come to.

**Arrays** never travel in messages. They are in `.npz` files, whose paths do, and which are written
and read without pickle, so that reading one runs no code. Parameters are named
`network.layer.weight` in every framework, and have torch's layout: `[outputs, inputs, *kernel]`.

**Numbers**: times are in seconds, sizes in bytes. Python's `None` is JSON's null, a tuple is an
array, and `dict[str, X]` an object whose keys are names.

## Failures

- **An exception** inside a request becomes an answer with an [`ErrorMessage`](#errormessage); the
  worker lives on. Inside `prepare` an exception is the result of its cell alone. An operation that
  the worker does not know is such an error too, of type AttributeError.
- **Time limits** are the parent's: for each answer there is one, which begins anew whenever the
  worker comes to another cell or takes another sample. A worker that exceeds it is
  killed, and the cell that its heartbeat names has outcome `timeout`.
- **A worker that ends** before its answer has crashed, as has one that writes a line which is no
  message. The last line of its stderr becomes part of the reason.
- **Memory**: where `{memory}` is set in its environment, such as to `8GiB`,
  a worker limits its private memory to that (RLIMIT_DATA).

## Heartbeat and parent-death pipe

`{variable}` in a worker's environment holds two file descriptors that it inherits, as in
`7,8`. A worker without this variable, started by hand, works all the same.

1. The **heartbeat** is shared memory of {layout} bytes: a double with the time, in seconds of the
   monotonic clock, at which the worker came to its cell or began its last sample, and the name of
   the cell in UTF-8, filled up with zeros; an empty name is no cell. To write it wakes no process,
   so that it disturbs no measurement, and the parent can read it when the worker hangs or is dead.
2. The **parent-death pipe** is the reading end of a pipe to which nothing is ever written. The
   worker asks the kernel for SIGKILL when the pipe is closed (F_SETSIG, O_ASYNC), so it dies with
   its parent, whatever either of them is doing. Where the kernel has no such signal (macOS), a
   shell beside the worker waits for the close and kills the worker's process group.

## Versions

`protocol` in the hello is the version that a worker speaks; one that names none speaks version 1.
A change that keeps older workers working, such as an optional key, does not change the version.
Both sides of `cascade-bench regress` must know the operations `warm` and `turn`; counts are
compared where both know `footprint`, or as far as `count` goes.

## Operations

| operation | request | result | what it does |
|---|---|---|---|
{operations}

## Types

A key that is marked *optional* may be absent.

{types}

## An example

A session with torch that checks and times two strategies on the scenario `linear_cascade` at its
smallest size, in phase `backward`. Messages were recorded by
`python -m benchmarks.evaluation.protocol_example`; here they are broken into lines, numbers are
rounded, and `…` stands for further samples.

{example}
"""


def page() -> str:
    """Return the page as Markdown."""
    return PAGE_TEXT.format(
        version=messages.VERSION,
        worker=launch.WORKER,
        start=launch.START_SECONDS,
        memory=memory_limit.VARIABLE,
        variable=heartbeat.VARIABLE,
        layout=heartbeat.LAYOUT.size,
        operations="\n".join(_operation_row(name, one) for name, one in OPERATIONS.items()),
        types=DECLARED.sections(),
        example="\n\n".join(_example_message(*one) for one in protocol_example.load()),
    )


def _operation_row(name: str, operation: Operation) -> str:
    """Return the row of a Markdown table about one operation."""
    cells = (
        f"`{name}`",
        DECLARED.linked(operation.request),
        DECLARED.linked(operation.result),
        operation.does,
    )
    return f"| {' | '.join(cells)} |"


def _example_message(receiver: str, message: dict[str, Any]) -> str:
    """Return one message of the example in Markdown: who sends it to whom, and its JSON."""
    sender = {"worker": "Parent to worker", "parent": "Worker to parent"}[receiver]
    return f"{sender}:\n\n```json\n{_pretty(message)}\n```"


def _pretty(value: Any, indent: str = "") -> str:
    """Return JSON that is broken only where it does not fit into a line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = f"{indent}  "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _pretty(v, inner) for v in value) + f"\n{indent}]"
    entries = (f"{inner}{json.dumps(key)}: {_pretty(v, inner)}" for key, v in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
