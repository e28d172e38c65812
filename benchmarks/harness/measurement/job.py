"""Declare the jobs of measuring and their results: plain JSON data, for any executor."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from benchmarks.harness.protocol.case_messages import CaseJob

OWN = "own"  # the size of a case of the user's own


class StoppingRule(TypedDict):
    """How precise the ratios of a group must be; see `stopping.PrecisionGoal`."""

    asked: float  # half the width of a 95 % interval, relative
    most: int  # launches at most
    seconds: float  # after which no further launch is started
    baseline: str
    prior: list[float] | None  # variance and degrees of freedom of the framework's cells


class GroupJob(TypedDict):
    """The cells of one group, which differ in nothing but the strategy or recipe."""

    kind: str
    scenario: str
    variant: str
    size: str
    framework: str
    mode: str
    phase: str
    device: str
    dtype: str
    precision_mode: NotRequired[str]  # absent: ieee, which is full float32
    strategies: list[str]  # or recipes; what stands before an "@" is what is built
    references: list[str]  # frameworks that compute a float64 reference
    launches: int
    seconds: float  # of sampling, for each cell and launch; 0: check only
    limit: float  # seconds that a worker may take for an answer about a cell
    seed: int  # of the order inside blocks
    memory: bool  # whether peak memory is measured, in a process of its own for each cell
    file: NotRequired[str | None]  # where a user's own spec stands
    case: NotRequired[CaseJob | None]  # in place of a scenario: a case of the user's own
    precision: NotRequired[StoppingRule | None]  # where more launches may follow


class CellOutcome(TypedDict):
    """The result of measuring a cell; see `cell_results.CellResult`."""

    outcome: str
    why: str | None
    figures: dict[str, Any]
    samples: list[list[float]]
    steady: list[bool | None]
    peak_seconds: list[float]


class GroupReport(TypedDict):
    """What concerns a group as a whole."""

    described: dict[str, Any]  # the hello of a worker, see `messages.Hello`
    spent: dict[str, float]  # wall seconds by activity: starting, references, preparing, timing …
    worker_seconds: float  # of them, in which a worker was busy, see `busy_time`
    stopped: str | None  # why no further launch was added, if `precision` was given
    flows: dict[str, dict[str, dict[str, str]]]  # framework → loss → network → proven state
    notes: list[str]  # what a user's own code switched in its process, see `own_code_notes`
    paused: list[float]  # seconds of a pause of the machine, for each block set aside for it


class GroupResult(TypedDict):
    """The result of a group's job."""

    about: GroupReport
    cells: dict[str, CellOutcome]  # strategy or recipe → its outcome


class CanaryJob(TypedDict):
    """Measure the canaries of one framework, device and dtype in all their launches."""

    framework: str
    device: str
    dtype: str
    launches: int
    limit: float  # seconds that a launch may take for its answer
    seed: int


class CanaryVerdict(TypedDict):
    """Whether the harness measured one canary correctly."""

    framework: str
    device: str
    dtype: str
    canary: str
    passed: bool | None  # None where it could not be decided
    said: str  # the figures that it was judged by
    ratio: dict[str, Any] | None  # of work done twice
    tries: int


class CanaryResult(TypedDict):
    """The verdicts of a framework's canaries, and what they cost."""

    verdicts: list[CanaryVerdict]
    # "framework device dtype" → seconds of one matrix product in each launch
    product_seconds: dict[str, list[float]]
    spent: dict[str, float]
    worker_seconds: float
