"""Describe the types of everything that a run's files hold: records, estimates, canaries, the run.

These are contracts for readers and for the type checker; at run time they are plain dictionaries,
since other programs read the files. `results.records.validation` checks what was read from a file.
This module imports the standard library only, so that tools start fast.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Estimate(TypedDict):
    """An estimate over launches (worker processes), with its confidence interval."""

    estimate: float  # seconds per call, or a ratio
    low: float | None  # the ends of the interval, as the estimate; null with too few launches
    high: float | None  # as low
    confidence: float  # between 0 and 1
    launches: int  # how many launches it rests on


class GradientError(TypedDict):
    """The error of a cell's gradients against float64 references."""

    relative: float | None  # of the worst tensor, relative to the norm of its reference
    tensor: str  # the name of the worst tensor
    parameters: NotRequired[dict[str, float | None]]  # of each parameter; older runs lack it
    allowed: NotRequired[float]  # the largest that the check lets pass; older runs lack it


class Operation(TypedDict):
    """Equal operations of a cell, and what all of them together take at best."""

    name: str  # the operation and its shapes
    count: int  # how often a call runs it
    seconds: float  # of the cell's limit
    flops: int  # of products and convolutions
    bytes: int  # read and written


class CanaryResult(TypedDict, total=False):
    """The result of one canary: a program whose right answer is known, run in the session itself.

    What a file holds may lack any key. Further keys are numbers that the canary measured.
    """

    framework: str  # that ran it
    device: str  # as in a record
    dtype: str  # as in a record
    canary: str  # its name
    passed: bool | None  # null where the session could not judge it
    said: str  # what it measured, or why it could not be judged
    node: str  # of a cluster, that ran it


class Communication(TypedDict):
    """What one of several ranks reduces in a call: gradients, into their mean over all ranks."""

    ranks: int  # processes, or devices, that shared the batch
    reductions: int  # how often; gradients are reduced in buckets
    reduced_bytes: int  # of gradients, each time that they are reduced
    predicted_bytes: int  # the same, worked out from the flow and the strategy
    gatherings: NotRequired[int]  # how often parameters that are sharded are gathered
    gathered_bytes: NotRequired[int]  # of parameters, each time that they are gathered
    predicted_gathered_bytes: NotRequired[int]  # the same, worked out as ``predicted_bytes``
    # what the FLOPs and the bytes take, each timed alone by the same ranks; older runs lack them
    compute_seconds: NotRequired[float | None]  # FLOPs, at the rate of a sum that is not reduced
    exchange_seconds: NotRequired[float | None]  # all that is reduced and gathered
    predicted_ratio: NotRequired[float | None]  # of the two together, over the baseline's


class Record(TypedDict):
    """The record of one cell.

    A figure that could not be had is null, never 0, and ``missing`` says why.
    """

    schema: int  # the version of the format
    # the cell
    kind: str  # of the benchmark, such as "backward"
    scenario: str  # as `cascade-bench list` names it
    variant: str  # "-" where the scenario has none
    size: str  # of the problem, such as "small"
    framework: str  # "torch" or "jax"
    mode: str  # "eager", "compile", "jit", ...
    strategy: str  # or recipe, where something is frozen
    phase: str  # the part of a training step that is timed
    device: str  # "cpu" or "cuda"
    dtype: str  # of weights and data
    precision_mode: str  # in what its networks compute: "ieee", "tf32" or "bf16"
    family: str  # of the scenario
    baseline: str | None  # the strategy that the ratio refers to; null: compared with none
    # figures
    seconds: Estimate | None  # per call
    ratio: Estimate | None  # the cell's time over its baseline's
    verdict: str | None  # one of `results.statistics.verdict.VERDICTS`
    predicted_ratio: float | None  # the cell's FLOPs over its baseline's
    flops: float | None  # floating-point operations of one call
    limit_ratio: float | None  # the cell's limit over its baseline's; older runs lack it
    limit_seconds: float | None  # what its operations must take at least; older runs lack it
    limit_share: float | None  # the limit over the time; older runs lack it
    bytes: int | None  # that its operations read and write; older runs lack it
    operations: list[Operation] | None  # that take most of the limit; older runs lack it
    peak_share: float | None  # the best times of its matrix products alone over its time
    trace_seconds: float | None  # of the first call; null where nothing is traced
    compile_seconds: float | None  # of the first call; null where nothing is compiled
    first_call_seconds: float | None  # tracing and compiling included
    steady: bool | None  # whether no launch showed a trend over its samples
    residual_bytes: int | None  # saved by the forward pass for the backward pass
    peak_bytes: int | None  # the most memory a call holds at once, above what was held before it
    optimizer_state_bytes: int | None  # what the optimizer keeps for its parameters
    gradient_error: GradientError | None  # of what was timed
    equivalence: str | None  # "pass", or what is wrong with the gradients
    # the rest
    outcome: str  # one of `results.records.record.OUTCOMES`
    rerun: str  # the exact command that measures this cell again
    missing: dict[str, str]  # path of a null ("flops", "ratio.low") to its reason
    notes: NotRequired[list[str]]  # what to know when reading the figures, a sentence each
    node: NotRequired[str]  # of a cluster, that measured the cell
    communication: NotRequired[Communication]  # of a cell of kind "distributed"


class RunFile(TypedDict):
    """The JSON file of a run; its raw samples are in a file beside it (`records.samples`)."""

    schema: int  # the version of the format
    id: str  # as `results.records.record.new_run_id` makes it
    started: str  # ISO 8601, UTC
    finished: str | None  # ISO 8601, UTC; null while the run goes on
    interrupted: bool  # stopped before the last cell
    settings: dict[str, Any]  # how it was measured: launches, seed, canaries, ...
    machine: dict[str, Any]  # what it was measured on; "id" names the folder of its runs
    records: list[Record]  # one for each cell, whatever its outcome
