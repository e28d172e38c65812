"""Collect how far the gradients of a run are from the float64 reference, in units of epsilon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from results.records.record import AnyRecord, precision_mode
from results.report.record_cells import network_name

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}  # distance from 1 to the next number
# of what the networks compute in, where that is less than the dtype of weights and data
LOWER_EPSILON = {"tf32": 2.0**-10, "bf16": 2.0**-7}


def epsilon_of(record: AnyRecord) -> float:
    """Return the epsilon of what the networks of a record's cell compute in."""
    usual = EPSILON.get(record["dtype"], EPSILON["float32"])
    return LOWER_EPSILON.get(precision_mode(record), usual)


class Limit(NamedTuple):
    """Hold how far off a gradient may be, relative to its tensor's norm, and where that holds."""

    allowed: float
    dtype: str
    where: str


# Those of `benchmarks.harness.protocol.equivalence`, which nothing here may import. A record of an
# older run does not say which of them its check had.
LIMITS = (
    Limit(100 * EPSILON["float32"], "float32", "no activation near a kink: sizes seed and small"),
    Limit(1e-3, "float32", "sums of 60,000 terms and more: from size medium up"),
    Limit(1e-2, "float32", "an activation may fall on the other side of its kink"),
    Limit(1e-11, "float64", "everywhere"),
)


class GradientError(NamedTuple):
    """Hold the worst relative error of one parameter's gradient, and the record that has it.

    Attributes:
        epsilons: the error relative to the tensor's norm, over the epsilon of its dtype.
        allowed: the largest error that the check of the record lets pass, in the same unit; None
            where the record, of an older run, does not say it.
    """

    epsilons: float
    parameter: str
    record: AnyRecord
    allowed: float | None = None


def gradient_errors(records: Iterable[AnyRecord]) -> list[GradientError]:
    """Return the worst error of each network, size, framework, mode and parameter, worst first."""
    worst: dict[tuple[str, ...], GradientError] = {}
    for record in records:
        names = network_name(record), record["size"], record["framework"], record["mode"]
        for error in _errors_of(record):
            key = *names, error.parameter
            worst[key] = max(worst.get(key, error), error, key=lambda one: one.epsilons)
    return sorted(worst.values(), key=lambda one: one.epsilons, reverse=True)


def _errors_of(record: AnyRecord) -> Iterator[GradientError]:
    """Yield the gradient error of each parameter of a record.

    Older records have the error of the worst tensor only.
    """
    error = record["gradient_error"]
    if not error or error.get("relative") is None:
        return
    epsilon = epsilon_of(record)
    by_parameter = error.get("parameters") or {error["tensor"]: error["relative"]}
    allowed = error.get("allowed")
    limit = None if allowed is None else allowed / epsilon
    for parameter, relative in by_parameter.items():
        if relative is not None:
            yield GradientError(relative / epsilon, parameter, record, limit)
