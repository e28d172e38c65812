"""Predict a cell's time from its operations: the limit that this machine sets to each of them.

A worker counts what each operation of the timed part computes and moves. Another one, which times
no cell, measures how fast the machine does either, and what a call costs. An operation takes the
longest of its parts, and its call; the limit of a cell is their sum.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.protocol.count_messages import MachineRates, OperationCount

LISTED = 3  # operations that a record names


class Rates(NamedTuple):
    """Hold what was measured: the machine's rates, and the seconds of operations run alone.

    ``seconds_alone`` has the work of an operation, as JSON, for a key.
    """

    machine: MachineRates
    seconds_alone: Mapping[str, float | None]


def of_cells(
    launch: Launch, dtype: str, cells: Mapping[str, Sequence[OperationCount]], limit: float
) -> dict[str, dict[str, Any]]:
    """Return the limit of each cell as figures: ``limit``; where it is None, ``limit_why`` too.

    Args:
        launch: a worker that times no cell.
        dtype: of the cells.
        cells: strategy or recipe → its operations.
        limit: seconds that the worker may take.
    """
    try:
        rates = measure(
            launch, dtype, [one for counted in cells.values() for one in counted], limit
        )
    except WorkerError as error:
        why = f"how fast the machine is could not be measured: {error}"
        return {name: {"limit": None, "limit_why": why} for name in cells}
    return {name: {"limit": limit_of(counted, rates)} for name, counted in cells.items()}


def measure(
    launch: Launch, dtype: str, operations: Sequence[OperationCount], limit: float
) -> Rates:
    """Let a worker measure what these operations need; it remembers what it has measured.

    Arguments are those of `of_cells`. Raises `WorkerError` if the worker fails.
    """
    works = {_key(one): one["work"] for one in operations if one["work"]}
    launch.wait_until_ready()
    # no figure of a cell: what is compiled to measure the machine may come from earlier sessions
    cache = check_cache.folder(os.environ.get("XLA_FLAGS", ""))
    answer = launch.ask(
        "rates", limit, dtype=dtype, works=list(works.values()), cache=str(cache) if cache else None
    )
    return Rates(answer["machine"], dict(zip(works, answer["seconds"], strict=True)))


def limit_of(operations: Sequence[OperationCount], rates: Rates) -> dict[str, Any]:
    """Return the limit of a cell with these operations.

    Returns:
        ``seconds``; ``bytes`` that all of them read and write; and ``operations``, the few that
        take longest: ``name``, ``count``, and ``seconds``, ``flops`` and ``bytes`` of all of them.
    """
    parts = [_operation_limit(one, rates) for one in operations]
    longest = sorted(parts, key=lambda part: -part["seconds"])
    return {
        "seconds": math.fsum(part["seconds"] for part in parts),
        "bytes": sum(part["bytes"] for part in parts),
        "operations": [part for part in longest[:LISTED] if part["seconds"] > 0],
    }


def _operation_limit(operation: OperationCount, rates: Rates) -> dict[str, Any]:
    """Return the seconds and counts of an operation over all of its calls."""
    machine, count = rates.machine, operation["count"]
    measured = rates.seconds_alone.get(_key(operation)) if operation["work"] else None
    slow = operation.get("slow", 0) * machine.get("slow", 0.0)
    moving = _memory_seconds(operation, machine)
    best = measured if measured is not None else max(slow, moving)
    each = best + machine["dispatch"].get(operation["dispatch"], 0.0)
    return {
        "name": operation["name"],
        "count": count,
        "seconds": each * count,
        "flops": operation["flops"] * count,
        "bytes": (operation["read"] + operation["written"]) * count,
    }


def _memory_seconds(operation: OperationCount, machine: MachineRates) -> float:
    """Return the seconds in which an operation reads, lays out anew, and writes its bytes."""
    turned = operation.get("turned", 0)
    turning = traffic_seconds(machine.get("turning", []), turned)
    reading = traffic_seconds(machine["reading"], max(operation["read"] - turned, 0))
    return turning + reading + traffic_seconds(machine["writing"], operation["written"])


def _key(operation: OperationCount) -> str:
    """Return the work of an operation as a key."""
    return json.dumps(operation["work"], sort_keys=True)


def traffic_seconds(table: Sequence[Sequence[float]], size: float) -> float:
    """Return the seconds in which so many bytes are moved.

    Between the measured sizes the logarithm is interpolated; outside of them the rate of the
    nearest one holds.

    Args:
        table: pairs (bytes, seconds).
        size: bytes.
    """
    known = sorted(pair for pair in map(tuple, table) if pair[1] > 0)
    if not known or size <= 0:
        return 0.0
    low = max((pair for pair in known if pair[0] <= size), default=known[0])
    high = min((pair for pair in known if pair[0] >= size), default=known[-1])
    if low[0] >= high[0]:
        return low[1] * size / low[0]
    share = math.log(size / low[0]) / math.log(high[0] / low[0])
    return math.exp(math.log(low[1]) + share * math.log(high[1] / low[1]))
