"""Declare the messages between a worker and its parent: JSON lines, one message a line.

The parent writes requests to the worker's stdin; the worker writes its answers to stdout, in order.
Arrays do not travel in messages but as ``.npz`` files, whose paths do. `operations` lists every
operation with the types of its request and of its result; ``docs/protocol.md`` is made from both.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from benchmarks.harness.protocol.case_messages import CaseMistake
from benchmarks.harness.protocol.count_messages import Communication, OperationCount

# Both sides of a comparison must speak the same version. A worker that does not name one in its
# hello speaks version 1.
VERSION = 1

Span = tuple[float, float]  # begin and end of work, in seconds of the machine's monotonic clock


class StartError(TypedDict):
    """The error of a worker that cannot load its framework; it answers with this and ends."""

    type: str  # name of the exception's class
    message: str  # text of the exception


class ErrorMessage(StartError):
    """An exception inside a request, which the worker survived."""

    case: CaseMistake | None  # the mistake in a case of the user's own; null elsewhere

    line: str | None  # one line with file and line number, for a user's own scenario
    cell: str | None  # the strategy or recipe that the worker was at
    unsupported: str | None  # why the framework cannot do this at all
    out_of_memory: bool  # whether the framework ran out of memory
    traceback: str  # the last six frames


class Answer(TypedDict):
    """The answer to a request, and the first message of a worker, whose result is a `Hello`."""

    ok: bool  # true: there is a result; false: there is an error
    result: NotRequired[Any]  # of the type that the table of operations names
    error: NotRequired[ErrorMessage | StartError]  # an exception in the worker
    worked: NotRequired[list[Span]]  # begin and end of each piece of work, by the monotonic clock


class CellEvent(TypedDict):
    """Sent before an answer: the worker has come to this cell, and its time limit begins anew."""

    event: Literal["at"]  # the only kind of event
    cell: str | None  # strategy or recipe; null where a user's file is imported or built
    part: NotRequired[str]  # what runs now, where it is no cell: `importing` or `open`


class NoArguments(TypedDict):
    """A request without arguments."""


class NoResult(TypedDict):
    """An empty result: that there is no error says all."""


class Hello(TypedDict):
    """The first message of a worker, sent unasked; its other keys describe the framework.

    These are versions, threads and precision, and stand in the machine part of a run.
    """

    pid: int  # process id of the worker
    protocol: NotRequired[int]  # version that the worker speaks; 1 where it names none


class ShapesRequest(TypedDict):
    """The scenario of which to list parameters and buffers."""

    family: str  # module of the implementation, or path of a user's own spec
    build: str  # function in this module that builds the networks
    arguments: dict[str, Any]  # sizes that the function takes
    names: NotRequired[list[str] | None]  # names that the scenario gives to parameters


class ProblemSpec(TypedDict):
    """A problem as an implementation sees it: a scenario in one variant and size."""

    family: str  # module of the implementation, or path of a user's own spec
    build: str  # function in this module that builds the networks
    arguments: dict[str, Any]  # sizes that the function takes
    networks: list[str]  # names, in the order of the data flow
    reach: dict[str, list[str]]  # loss → parameters that it depends on, frozen ones too
    flow: dict[str, list[str]]  # loss → parameters that it may change
    frozen: list[str]  # parameters that must not change
    optimizer: dict[str, Any]  # kind, settings, arrangement over networks, rates of layers
    layouts: NotRequired[dict[str, str]]  # input, target or network → image, sequence, as it is


class OpenRequest(TypedDict):
    """The problem to build, and the files of its weights and data."""

    facts: ProblemSpec  # the problem
    weights: str  # .npz: parameter or buffer → array
    data: str  # .npz: input or target → array


class LoadedRequest(TypedDict):
    """The folder of which to list the source files that this process has loaded."""

    folder: str  # absolute path of the folder


class SwitchChange(TypedDict):
    """A switch of the process that changes times or numerics, and was switched since the start."""

    switch: str  # name, of the framework or of the process
    before: bool | int | float | str | None  # value when the worker had started
    after: bool | int | float | str | None  # value now


class CellName(TypedDict):
    """A strategy or recipe of the open problem, in a phase and a mode."""

    kind: str  # backward (strategies), freeze (recipes) or distributed (strategies in ranks)
    name: str  # strategy or recipe
    phase: str  # backward, gradient or step
    mode: NotRequired[str | None]  # null: the mode that the framework is used in by default
    precision_mode: NotRequired[str]  # ieee, tf32 or bf16; absent: ieee, which is full float32


class GradientsRequest(CellName):
    """The cell to run, and the file for its gradients and, in phase step, its parameters."""

    out: str  # .npz to write: `gradient/…` and `updated/…`, by parameter
    again: NotRequired[bool]  # write the result of a second call; default false


class LossesAlongRequest(TypedDict):
    """The directions in parameter space along which to differentiate every loss."""

    weights: str  # .npz of the point at which to differentiate
    directions: str  # .npz: `direction/parameter` → array
    step: float  # half the length of a difference, in units of the direction


class OutRequest(TypedDict):
    """The file for the gradients of each loss."""

    out: str  # .npz to write: `loss/parameter` → gradient


class LossRequest(TypedDict):
    """The loss to differentiate."""

    loss: str  # name of the loss


class TrainFollower(TypedDict):
    """A network whose weights follow another's by a moving average, after each step."""

    network: str  # that follows
    leader: str  # that is followed
    share: float  # of the leader's value; the rest is the network's own
    buffers: bool  # whether the leader's buffers are copied


class TrainSegment(TypedDict):
    """A stretch of training: some steps of each turn, one turn after the other."""

    steps: int  # how often each turn is taken
    turns: list[ProblemSpec]  # what each turn of an alternation trains and freezes
    rate: float  # factor of the learning rates, applied before this segment
    renew: bool  # whether to begin with new optimizers, which have no state
    only: list[str]  # labels of the parameter groups that `rate` is for; empty for all
    share_forward: bool  # whether the network in front runs forward once for all turns of a step
    follower: TrainFollower | None  # null: no network follows another


class TrainPlan(TypedDict):
    """A training of the open problem."""

    optimizer: dict[str, Any]  # kind, settings, arrangement over networks, rates of layers
    recipe: str | None  # how parameters are frozen; null: the framework's usual recipe
    segments: list[TrainSegment]  # in order


class TrainRequest(TypedDict):
    """The training to run, and the file for the arrays that it ends with."""

    plan: TrainPlan  # the training
    out: str  # .npz to write: `weights/…`, `buffers/…`, `outputs/…` and `moments/…`


class TrainCounts(TypedDict):
    """Counts of a training."""

    steps: dict[str, int]  # parameter → updates that the optimizer has counted for it
    state_bytes: int  # size of the optimizer's state in the end


class LoadRequest(TypedDict):
    """The file of weights and buffers to load."""

    weights: str  # .npz: parameter or buffer → array


class ProductsRequest(TypedDict):
    """A strategy or recipe in a phase, in the framework's default mode."""

    kind: str  # backward (strategies) or freeze (recipes)
    name: str  # strategy or recipe
    phase: str  # backward, gradient or step


class LoadMatchingRequest(TypedDict):
    """A pretrained state to load as far as it fits, and the file for the weights afterwards."""

    pretrained: str  # .npz: parameter → array
    out: str  # .npz to write: parameter → array


class FactRequest(TypedDict):
    """The demonstration of a trap to run."""

    name: str  # function in backward_traps, freeze_traps or compile_traps


class GateRules(TypedDict):
    """The bounds of gradients and update: those of a group, and beside them those of a cell."""

    allowed: NotRequired[float]  # largest relative difference of a tensor
    dtype: NotRequired[str]  # dtype that gradients must have
    phase: NotRequired[str]  # backward, gradient or step, in which the update is checked too
    networks: NotRequired[list[str]]  # networks, whose norms are the scale of zero gradients
    zero_gradient: NotRequired[list[str]]  # parameters whose true gradient is 0
    exact_zero: NotRequired[list[str]]  # parameters whose gradient is 0 bit by bit
    optimizer: NotRequired[str]  # sgd, adam or adamw; the bound of an update depends on it
    still: NotRequired[list[str]]  # parameters that a step must leave bit-identical
    no_gradient: NotRequired[list[str]]  # parameters that must have no gradient
    gradients: NotRequired[list[str]]  # parameters that must have one, in cell and reference
    reduced_bytes: NotRequired[int]  # of gradients that each of several ranks must reduce in a call
    gathered_bytes: NotRequired[int]  # of sharded parameters that each must gather in a call
    # in a lower precision than float32 only; absent: the bounds of the dtype
    zero_allowed: NotRequired[float]  # largest element of a zero gradient, by its network's norm
    update_allowed: NotRequired[float]  # largest relative difference of an update, for sgd
    wrong_signs: NotRequired[float]  # share of a tensor that Adam may move the wrong way


class PrepareRequest(TypedDict):
    """The cells of a group to build, and the reference and the bounds to check them by."""

    kind: str  # backward or freeze
    phase: str  # backward, gradient or step
    mode: str  # eager, compile, compile_networks or jit
    cells: dict[str, GateRules]  # strategy or recipe → its own bounds
    reference: str  # .npz: `gradient/…`, masks `zero/…`; in phase step `start/…`, `updated/…`
    rules: GateRules  # bounds of all cells
    count: bool  # whether to count FLOPs and saved bytes
    products: bool  # whether to list matrix products as well
    precision_mode: NotRequired[str]  # tf32 or bf16, to time in; absent: full float32
    precision_rules: NotRequired[GateRules | None]  # bounds in it, in place of float32's


class GradientError(TypedDict):
    """Relative differences between gradients and reference."""

    relative: float  # difference of the worst tensor
    tensor: str  # name of the worst tensor
    parameters: dict[str, float]  # difference of each parameter whose true gradient is not 0
    allowed: NotRequired[float]  # largest difference that the check lets pass; old workers lack it


class PreparedCell(TypedDict):
    """A cell that was built and checked, or the error that ended this."""

    error: NotRequired[ErrorMessage]  # then every other key is absent
    first_call_seconds: NotRequired[float]  # with compilation, where the first call compiles
    trace_seconds: NotRequired[float | None]  # null where tracing is not timed apart
    compile_seconds: NotRequired[float | None]  # null where compiling is not timed apart
    equivalence: NotRequired[str]  # "pass", or a sentence about the wrong tensor
    gradient_error: NotRequired[GradientError | None]  # null where the program keeps no gradient
    products: NotRequired[list[list[float]] | None]  # FLOPs of each matrix product, its count
    flops: NotRequired[int | float | None]  # this and the following as in `Counts`
    residual_bytes: NotRequired[int | None]  # bytes saved for the backward pass
    optimizer_state_bytes: NotRequired[int | None]  # bytes of optimizer state
    communication: NotRequired[Communication]  # of several ranks
    operations: NotRequired[list[OperationCount] | None]  # null where they cannot be counted


class TimeRequest(TypedDict):
    """The prepared cells to sample interleaved, in blocks of random order."""

    calls: dict[str, int | None]  # cell → bytes that one call saves; bounds the calls in a batch
    seconds: float  # time to spend on samples
    least: int  # blocks to take in any case
    seed: list[int]  # seed of the order of cells
    products: str | None  # the cell whose matrix products are sampled as well


class TimedCells(TypedDict):
    """Samples of each cell."""

    samples: dict[str, list[float]]  # cell or `product/index` → seconds per call, in order
    steady: dict[str, bool | None]  # cell → whether its times had no trend left; null: not testable
    paused: NotRequired[list[float]]  # seconds of each pause for which a block was set aside


class WarmRequest(TypedDict):
    """The prepared cells to warm up."""

    calls: dict[str, int | None]  # cell → bytes that one call saves; bounds the calls in a batch


class TurnRequest(TypedDict):
    """The warm cell to sample, and for how long."""

    name: str  # strategy or recipe
    calls: int  # calls in a sample
    seconds: float  # time to spend; at least one sample is taken


class TurnTimes(TypedDict):
    """Samples of one turn, in seconds per call."""

    wall: list[float]  # wall time
    cpu: list[float]  # CPU time of all threads of the worker


class CanariesRequest(TypedDict):
    """How often to run programs whose right answers are known."""

    dtype: str  # of the session, on which the bounds of the gate depend
    least: int  # samples of the sleep; four times as many are taken of each chain of products
    seed: list[int]  # seed of the order of programs


class CanaryAnswers(TypedDict):
    """What clock, guard and gate of one worker say of programs whose right answers are known."""

    samples: dict[str, list[float]]  # `call`, `once`, `twice`, `sleep` → seconds per call
    products: int  # matrix products that `once` has more than `call`, and `twice` more than `once`
    slept: list[float]  # seconds of the same sleeps by the kernel's raw clock
    early: list[str]  # what the guard reports of calls that are waited for; should be empty
    synchronous: str | None  # why calls on this device always wait; null where they do not
    unwaited: list[dict[str, Any]]  # calls not waited for: seconds, caught, and asked by when
    paused: list[float]  # seconds for which the machine stood still in blocks that were set aside
    waited: float | None  # share of its time in which the worker waited for a processor
    gate: dict[str, str]  # `right`, `wrong` → what the gate says of such a gradient
