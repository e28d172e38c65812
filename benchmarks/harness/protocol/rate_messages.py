"""Declare what workers say of operations, and of how fast the machine is; see `messages`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class OperationCount(TypedDict):
    """Equal operations of one call of a cell, and what each of them computes and moves."""

    name: str  # the operation and its shapes
    count: int  # how often a call runs it
    flops: int  # of one; 0 where torch's counter does not know the operation
    read: int  # bytes that one reads; 0 of one that moves nothing
    written: int  # bytes that one writes
    turned: NotRequired[int]  # bytes that one lays out anew, from rows to columns
    slow: NotRequired[int]  # elements of exponential functions and the like
    dispatch: str  # the kind of call that issues it, a key of `MachineRates.dispatch`
    work: Any  # by which operation `rates` runs it alone; null where bytes tell its time


class MachineRates(TypedDict):
    """How fast the machine is, through one framework."""

    reading: list[list[float]]  # pairs: bytes read, and the seconds that this takes
    writing: list[list[float]]  # the same of bytes written to new memory
    turning: NotRequired[list[list[float]]]  # of bytes laid out anew, reading them included
    dispatch: dict[str, float]  # kind of call → seconds of one
    slow: NotRequired[float]  # seconds of an element of an exponential function


class RatesRequest(TypedDict):
    """The operations to run alone, each as often as it takes to know its best time."""

    dtype: str  # of the cells that they are of
    works: list[Any]  # see `OperationCount.work`


class MeasuredRates(TypedDict):
    """How fast the machine is, and the best times of operations that ran alone."""

    machine: MachineRates  # rates of memory, and seconds of calls
    seconds: list[float | None]  # of each of the works
