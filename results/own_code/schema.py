"""Describe the types of the document of a comparison on a user's own code."""

from __future__ import annotations

from typing import Any, TypedDict

from results.records.schema import Estimate


class Mistake(TypedDict):
    """Why the case could not be run, and what to do."""

    file: str
    line: int | None
    message: str
    mend: str


class CaseName(TypedDict):
    """The function that was measured."""

    name: str  # file.py:function
    file: str
    line: int | None


class Reference(TypedDict):
    """What the gradients were held to, and what confirms that."""

    dtype: str  # float64, or float32 where the case does not run in float64
    central_difference_error: float | None  # relative, of the worst loss, network and direction
    allowed: float  # largest relative difference of a tensor
    note: str | None  # what the reference does not prove


class Row(TypedDict):
    """One way in one phase. A figure that could not be had is null."""

    kind: str  # backward: a strategy; freeze: a recipe
    way: str
    baseline: str  # the way that the ratio refers to
    phase: str
    outcome: str  # see `results.records.record.OUTCOMES`
    equivalence: str | None  # pass, or what is wrong
    gradient_error: float | None  # relative, of the worst tensor
    seconds: Estimate | None
    ratio: Estimate | None
    verdict: str | None  # slower, faster, equal, or "not told"
    predicted_ratio: float | None  # by FLOPs
    flops: float | None
    residual_bytes: int | None
    code: str  # what to write


class Framework(TypedDict):
    """All that was found out and measured in one framework."""

    framework: str
    version: str
    mode: str
    device: str
    dtype: str
    networks: dict[str, dict[str, Any]]
    losses: list[str]
    flow: dict[str, dict[str, str]]  # loss → network → value, zero or absent
    flow_problem: str | None  # where the flow is not the one that the case demands
    reference: Reference
    notes: list[str]
    rows: list[Row]


class Document(TypedDict):
    """One comparison. ``frameworks`` is empty where ``error`` says why nothing was measured."""

    schema: int
    kind: str  # own_code
    case: CaseName
    date: str  # ISO 8601, UTC
    machine: dict[str, Any]
    seconds: float
    answer: str
    exit_code: int | None  # null while it is measured
    error: Mistake | None
    frameworks: list[Framework]
