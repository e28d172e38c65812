"""Read what a record says of its limit: the time that the machine allows its operations."""

from __future__ import annotations

import math

from results.records.record import AnyRecord

NEAR = 0.1  # how far a measured ratio may be from a predicted one, relative


def predicted_ratio(record: AnyRecord) -> float | None:
    """Return the predicted ratio: that of FLOPs, or of the limits where FLOPs are not counted.

    Limits are nearer than FLOPs (see docs/method.md); FLOPs are the same on every machine.
    """
    ratio: float | None = record["predicted_ratio"] or record["limit_ratio"]
    return ratio


def is_near(record: AnyRecord, key: str = "limit_ratio") -> bool:
    """Return whether the measured ratio of a record is within `NEAR` of a predicted one.

    Args:
        key: of the predicted ratio, which the record has.
    """
    apart = abs(math.log(record["ratio"]["estimate"] / record[key]))
    return apart <= math.log1p(NEAR)


def told_operation(record: AnyRecord) -> str:
    """Return the operation that takes the most of a record's limit, and its share, in words."""
    operations, seconds = record["operations"], record["limit_seconds"]
    if not operations or not seconds:
        return ""
    longest = operations[0]
    return f"{longest['name']}, {longest['seconds'] / seconds:.0%}"
