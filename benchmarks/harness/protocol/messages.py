"""Declare the messages between a worker and its parent: JSON lines, one message a line.

The parent writes requests to the worker's stdin; the worker writes its answers to stdout, in order.
Arrays do not travel in messages but as ``.npz`` files, whose paths do. `OPERATIONS` lists every
operation with the types of its request and of its result; ``docs/protocol.md`` is made from it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

# Both sides of a comparison must speak the same version. A worker that does not name one in its
# hello speaks version 1.
VERSION = 1

Span = tuple[float, float]  # begin and end of work, in seconds of the machine's monotonic clock


class ErrorMessage(TypedDict):
    """An exception inside a request, which the worker survived."""

    type: str  # name of the exception's class
    message: str
    line: str | None  # one line with file and line number, for a user's own scenario
    cell: str | None  # the strategy or recipe that the worker was at
    unsupported: str | None  # why the framework cannot do this at all
    out_of_memory: bool
    traceback: str


class Answer(TypedDict):
    """The answer to a request: `result` where `ok`, else `error`."""

    ok: bool
    result: NotRequired[Any]
    error: NotRequired[ErrorMessage]
    worked: NotRequired[list[Span]]  # when the worker prepared, compiled, warmed up or measured


class CellEvent(TypedDict):
    """Sent before an answer: the worker has come to this cell, and its time limit begins anew."""

    event: Literal["at"]
    cell: str


class NoArguments(TypedDict):
    """A request without arguments."""


class Hello(TypedDict):
    """The first answer of a worker, which no request asks for; other keys describe the framework.

    Their values stand in the machine part of a run: versions, threads, precision.
    """

    pid: int
    protocol: NotRequired[int]  # see `VERSION`


class ShapesRequest(TypedDict):
    """Build a scenario and name its parameters."""

    family: str  # module of the implementation, or path of a user's own part
    build: str  # function in it
    arguments: dict[str, Any]  # sizes that the function takes


class ProblemSpec(TypedDict):
    """A problem as an implementation sees it; the key of the message is ``facts``."""

    family: str
    build: str
    arguments: dict[str, Any]
    networks: list[str]  # in order
    reach: dict[str, list[str]]  # loss → parameters that it depends on, frozen ones too
    flow: dict[str, list[str]]  # loss → parameters that it may change
    frozen: list[str]  # parameters
    optimizer: dict[str, Any]  # kind, settings, arrangement, rates of groups


class OpenRequest(TypedDict):
    """Build a problem and load weights and data; every later request is about it."""

    facts: ProblemSpec
    weights: str  # .npz: parameter → array
    data: str  # .npz: input → array


class LoadedRequest(TypedDict):
    """List the files under a folder that the worker's modules were loaded from."""

    folder: str


class CellName(TypedDict):
    """A strategy or recipe in a phase; without `mode`, in the framework's own mode."""

    kind: str
    name: str
    phase: str
    mode: NotRequired[str | None]


class GradientsRequest(CellName):
    """Run a strategy or recipe once and write ``gradient/…`` and ``updated/…``."""

    out: str  # .npz
    again: NotRequired[bool]  # write what a second run leaves, as in a block of calls


class LossesAlongRequest(TypedDict):
    """Take the central difference of every loss along directions in parameter space."""

    weights: str
    directions: str  # .npz: direction/parameter → array
    step: float


class OutRequest(TypedDict):
    """Write arrays to a file."""

    out: str


class LossRequest(TypedDict):
    """Ask about one loss."""

    loss: str


class TrainRequest(TypedDict):
    """Train by a plan of segments, steps and turns."""

    plan: dict[str, Any]
    out: str


class TrainCounts(TypedDict):
    """How many steps were made, and the bytes of optimizer state after them."""

    steps: int
    state_bytes: int


class LoadRequest(TypedDict):
    """Load weights and buffers into the open problem."""

    weights: str


class ProductsRequest(TypedDict):
    """List the matrix products of the timed part."""

    kind: str
    name: str
    phase: str


class LoadMatchingRequest(TypedDict):
    """Load those arrays of a pretrained state whose names and shapes fit."""

    pretrained: str
    out: str


class FactRequest(TypedDict):
    """Run a trap's demonstration."""

    name: str


class Counts(TypedDict):
    """What one call of a cell computes and keeps, counted and not timed."""

    flops: int | float | None
    residual_bytes: int | None
    optimizer_state_bytes: NotRequired[int | None]


class GateRules(TypedDict):
    """What a cell's gradients and update are held to; those of a cell come beside the group's."""

    allowed: NotRequired[float]  # relative difference of a tensor
    dtype: NotRequired[str]
    phase: NotRequired[str]
    networks: NotRequired[list[str]]
    zero_gradient: NotRequired[list[str]]  # parameters whose true gradient is 0
    exact_zero: NotRequired[list[str]]  # parameters whose gradient is 0 bit by bit
    optimizer: NotRequired[str]
    still: NotRequired[list[str]]  # parameters that a step must leave bit-identical
    no_gradient: NotRequired[list[str]]  # parameters that must have no gradient


class PrepareRequest(TypedDict):
    """Build each cell of a group, run it once and hold it to the reference."""

    kind: str
    phase: str
    mode: str
    cells: dict[str, GateRules]  # strategy or recipe → the rules of its own
    reference: str  # .npz of the float64 reference
    rules: GateRules
    count: bool  # whether FLOPs and saved bytes are counted
    products: bool  # whether matrix products are listed


class GradientError(TypedDict):
    """The relative difference to the reference: of the worst tensor, and of every parameter."""

    relative: float
    tensor: str
    parameters: dict[str, float]


class PreparedCell(TypedDict):
    """A cell that was built and checked, or the error at which that ended."""

    error: NotRequired[ErrorMessage]
    first_call_seconds: NotRequired[float]
    trace_seconds: NotRequired[float | None]
    compile_seconds: NotRequired[float | None]
    equivalence: NotRequired[str]  # "pass", or what is wrong
    gradient_error: NotRequired[GradientError | None]
    products: NotRequired[list[list[float]] | None]  # FLOPs of a product, how often it is computed
    flops: NotRequired[int | float | None]
    residual_bytes: NotRequired[int | None]
    optimizer_state_bytes: NotRequired[int | None]


class TimeRequest(TypedDict):
    """Warm up the prepared cells, then sample them interleaved, in blocks of random order."""

    calls: dict[str, int | None]  # cell → bytes that one of its graphs keeps
    seconds: float  # to spend on samples
    least: int  # blocks at least
    seed: list[int]  # of the order
    products: str | None  # the cell whose matrix products are sampled along


class TimedCells(TypedDict):
    """Samples of each cell in seconds per call, in the order taken."""

    samples: dict[str, list[float]]
    steady: dict[str, bool | None]  # whether the times had no trend left; None: not testable


class WarmRequest(TypedDict):
    """Warm up cells that will be measured in turns with another worker's."""

    calls: dict[str, int | None]


class TurnRequest(TypedDict):
    """Measure a warm cell for one turn."""

    name: str
    calls: int  # in a sample
    seconds: float


class TurnTimes(TypedDict):
    """Samples of one turn, in seconds per call."""

    wall: list[float]
    cpu: list[float]  # of all threads of the worker


class CanariesRequest(TypedDict):
    """Time, guard and gate programs whose right answers are known."""

    dtype: str
    least: int  # samples
    seed: list[int]


class CanaryAnswers(TypedDict):
    """What the clock, the guard and the gate made of the canaries in one launch."""

    samples: dict[str, list[float]]  # of call, once, twice and sleep
    products: int
    slept: list[float]
    early: list[str]
    synchronous: str | None
    unwaited: list[dict[str, Any]]
    gate: dict[str, str]


class Operation(NamedTuple):
    """One operation of a worker: the types of its request and of its result, and what it does."""

    request: type
    result: str
    does: str


OPERATIONS = {
    "hello": Operation(NoArguments, "Hello", "Describe the process and its framework again."),
    "shapes": Operation(ShapesRequest, "dict[str, list[int]]", "Name a scenario's parameters."),
    "open": Operation(OpenRequest, "{}", "Build a problem, check its names, load its weights."),
    "probe": Operation(NoArguments, "{}", "Run forward; every loss must be a finite scalar."),
    "loaded": Operation(LoadedRequest, "list[str]", "List loaded source files under a folder."),
    "close": Operation(NoArguments, "{}", "Drop the open problem and its programs."),
    "gradients": Operation(GradientsRequest, "{}", "Run a cell once; write gradients and update."),
    "losses": Operation(NoArguments, "dict[str, float]", "Compute every loss."),
    "losses_along": Operation(
        LossesAlongRequest,
        "dict[str, dict[str, float]]",
        "Take central differences of the losses: direction → loss → slope.",
    ),
    "loss_gradients": Operation(
        OutRequest,
        "list[str]",
        "Write ``loss/parameter`` gradients; name losses that have any.",
    ),
    "flow": Operation(
        NoArguments,
        "dict[str, dict[str, str]]",
        "Find out loss → parameter → absent, zero or value.",
    ),
    "gradient_of_nothing": Operation(
        LossRequest, "list[str]", "Differentiate a loss that reaches no trained parameter."
    ),
    "kink_distance": Operation(
        NoArguments, "float", "Measure how near an activation is to a kink, relative to its scale."
    ),
    "train": Operation(TrainRequest, "TrainCounts", "Train by a plan; write what it ends with."),
    "load": Operation(LoadRequest, "{}", "Load other weights into the open problem."),
    "count": Operation(CellName, "Counts", "Count FLOPs and bytes of one call."),
    "products": Operation(
        ProductsRequest, "list[list[float]]", "List FLOPs and count of each matrix product."
    ),
    "built_frozen": Operation(
        NoArguments, "list[str]", "Name the parameters that the constructor froze."
    ),
    "load_matching": Operation(
        LoadMatchingRequest, "dict[str, list[str]]", "Load what fits of a pretrained state."
    ),
    "fact": Operation(FactRequest, "dict[str, Any]", "Run a trap and return what it showed."),
    "prepare": Operation(
        PrepareRequest, "dict[str, PreparedCell]", "Build cells and hold them to the reference."
    ),
    "time": Operation(TimeRequest, "TimedCells", "Warm up and sample cells, interleaved."),
    "warm": Operation(WarmRequest, "dict[str, int]", "Warm up cells; return calls a sample."),
    "turn": Operation(TurnRequest, "TurnTimes", "Sample one warm cell for some time."),
    "canaries": Operation(CanariesRequest, "CanaryAnswers", "Measure what is known."),
    "peak": Operation(CellName, "int", "Measure the bytes that one call holds at its peak."),
}
