"""Describe the types of the document of a comparison on a user's own code."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from results.records.schema import Estimate


class Mistake(TypedDict):
    """Why the case could not be run, and what to do."""

    file: str  # where it is
    line: int | None  # null where no line of that file is to blame
    message: str  # what is wrong
    mend: str  # what to do


class CaseName(TypedDict):
    """The function that was measured."""

    name: str  # file.py:function
    file: str  # its path
    line: int | None  # where the function begins; null if not known


class Reference(TypedDict):
    """What the gradients were held to, and what confirms that."""

    dtype: str  # float64, or float32 where the case does not run in float64
    central_difference_error: float | None  # relative, of the worst loss, network and direction
    allowed: float  # largest relative difference of a tensor
    note: str | None  # what the reference does not prove


class Row(TypedDict):
    """One way in one phase. A figure that could not be had is null."""

    kind: str  # backward: a strategy; freeze: a recipe
    way: str  # the name of the strategy or recipe
    baseline: str  # the way that the ratio refers to
    phase: str  # backward, gradient or step
    outcome: str  # see `results.records.record.OUTCOMES`
    equivalence: str | None  # pass, or what is wrong
    gradient_error: float | None  # relative, of the worst tensor
    seconds: Estimate | None  # per call
    ratio: Estimate | None  # its time over that of the baseline
    verdict: str | None  # slower, faster, equal, or "not told"
    predicted_ratio: float | None  # by FLOPs
    flops: float | None  # of one call
    residual_bytes: int | None  # saved by the forward pass for the backward pass
    code: str  # what to write


class Framework(TypedDict):
    """All that was found out and measured in one framework."""

    framework: str  # torch or jax
    version: str  # of the framework
    mode: str  # eager or jit
    device: str  # cpu or cuda
    dtype: str  # of what was timed
    networks: dict[str, dict[str, Any]]  # name → what is known of it
    losses: list[str]  # their names, in the case's order
    flow: dict[str, dict[str, str]]  # loss → network → value, zero or absent
    flow_problem: str | None  # where the flow is not the one that the case demands
    reference: Reference  # float64 gradients
    notes: list[str]  # what to know when reading the rows, a sentence each
    rows: list[Row]  # one for each way in each phase


class PairRow(TypedDict):
    """A way that both frameworks were timed in: JAX's time over torch's."""

    kind: str  # backward: a strategy; freeze: a recipe
    phase: str  # backward, gradient or step
    way: str  # its name in torch
    jax_way: str  # its name in JAX, which may be another
    ratio: Estimate  # of the times
    verdict: str  # of JAX: faster, slower, or "not told"


class Pair(TypedDict):
    """How the two frameworks' sides of one file compare."""

    weights: list[list[str]]  # each array of JAX: its name, how it is filled, names in torch
    batch: list[str]  # parts of JAX's batch whose values differed, and were replaced by torch's
    loss_error: float  # relative difference of the worst loss
    gradient_error: float  # relative difference of the worst gradient by a parameter
    gradient_of: str  # that parameter, by its name in torch
    allowed: float  # largest of these differences that is none
    problem: str | None  # what differs; then nothing is timed
    rows: list[PairRow]  # one for each way and phase that both have


class Document(TypedDict):
    """One comparison. ``frameworks`` is empty where ``error`` says why nothing was measured."""

    schema: int  # the version of the format
    kind: str  # own_code
    case: CaseName  # what was measured
    date: str  # ISO 8601, UTC
    machine: dict[str, Any]  # as a run's
    seconds: float  # that the comparison took
    answer: str  # what to write, in a sentence
    exit_code: int | None  # null while it is measured
    error: Mistake | None  # null where the case could be run
    frameworks: list[Framework]  # one for each that was measured
    pair: NotRequired[Pair | None]  # null where one framework was measured
    absent: NotRequired[list[str]]  # a line for each framework of the file that is not installed
