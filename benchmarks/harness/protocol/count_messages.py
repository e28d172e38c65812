"""Declare the messages that count what a cell does, and the rates that tell its limit."""

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
    cache: NotRequired[str | None]  # folder of compiled programs that live from session to session


class MeasuredRates(TypedDict):
    """How fast the machine is, and the best times of operations that ran alone."""

    machine: MachineRates  # of the whole machine, whatever the operation
    seconds: list[float | None]  # of each of the works


class Communication(TypedDict):
    """What one of several ranks reduces in a call: gradients, into their mean over all ranks."""

    ranks: int  # processes, or devices
    reductions: int  # how often; gradients are reduced in buckets
    reduced_bytes: int  # of gradients, each time that they are reduced
    predicted_bytes: int  # the same, worked out from the flow and the strategy
    gatherings: NotRequired[int]  # how often parameters that are sharded are gathered
    gathered_bytes: NotRequired[int]  # of parameters, each time that they are gathered
    predicted_gathered_bytes: NotRequired[int]  # the same, worked out as ``predicted_bytes``


class CountedWork(TypedDict):
    """What one call of a cell computes and saves, counted and not timed."""

    flops: int | float | None  # of matrix products and convolutions; null where not countable
    residual_bytes: int | None  # saved for the backward pass; null where it cannot be counted
    optimizer_state_bytes: NotRequired[int | None]  # in phase step, after one step
    communication: NotRequired[Communication]  # of several ranks


class Counts(CountedWork):
    """What one call of a cell computes and saves, and its operations one by one."""

    operations: NotRequired[list[OperationCount] | None]  # null where they cannot be counted
