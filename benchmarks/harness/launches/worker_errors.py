"""The errors of workers: how a request to one can fail, and the outcome that a cell then has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.case_messages import CaseMistake
from results.records.texts import clean


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

    ``type`` is the name of that exception's class, ``message`` its text. ``case`` says where in a
    user's own case the mistake is; None elsewhere.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(format_error(error), error.get("cell"))
        self.type, self.message = error["type"], error["message"]
        self.outcome = outcome_of(error)
        self.case: CaseMistake | None = error.get("case")


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
    One that says that a disk is full says which folder is meant: the workers' is the parent's.
    """
    if error["type"] == disk.DiskError.__name__:
        return str(error["message"])
    text = error.get("unsupported") or error.get("line") or f"{error['type']}: {error['message']}"
    return f"{text}; {disk.way_out()}" if disk.FULL in text else text


class WorkerCrashed(WorkerError):
    """Raised when the worker process ended, or wrote a line that is no answer."""


class WorkerTimeout(WorkerError):
    """Raised when there is no answer within the time limit; the worker has been killed.

    Args:
        seconds: the limit.
        cell: as of `WorkerError`.
        part: what the worker was doing: the operation that it was asked for, or the part of it.
        message: in place of the usual one.
    """

    outcome = "timeout"

    def __init__(
        self, seconds: float, cell: str | None = None, part: str = "", message: str = ""
    ) -> None:
        super().__init__(message or f"no answer within {seconds:g} s", cell)
        self.seconds, self.part = seconds, part
