"""Describe the types of what `cascade-bench check` finds out, and its document."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from results.own_code.schema import CaseName, Mistake


class Saving(TypedDict):
    """What a step costs as it is, and changed in one thing."""

    flops: float  # of matrix products, convolutions and attention, a step on average
    least_flops: float
    seconds: (
        float | None
    )  # the least of some steps; null where nothing is saved, or it is not timed
    least_seconds: float | None
    names: NotRequired[list[str]]  # frozen parameters that get gradients
    passes: NotRequired[int]  # backward passes that would be one
    difference: NotRequired[float]  # largest relative difference of a gradient
    where: NotRequired[str | None]  # the parameter that has it


class Move(TypedDict):
    """One change of a parameter by a step of an optimizer, of those that may be none of its own."""

    step: int  # from 0
    name: str
    by: str  # class of the optimizer
    optimizer: int  # the same number for the same one
    size: float  # largest change of an element
    gradient: str  # as the optimizer found it: none, zero, value
    fresh: bool  # whether it had grown since the last change
    accumulated: bool  # whether a backward pass of the observed steps has reached the parameter
    required: bool  # whether the parameter required a gradient then
    decay: float
    rate: float
    inside: bool  # whether the optimizer stepped inside a backward pass


class Tensor(TypedDict):
    """One parameter or buffer. What a framework cannot see is absent, or null."""

    name: str
    kind: str  # parameter, buffer
    elements: int
    shape: list[int]
    frozen: str | None  # stated: the case names it; unrequired: it required no gradient
    moved: list[float]  # for each step, the largest change of an element
    reach: NotRequired[dict[str, str]]  # loss → value, zero, absent: that loss alone
    cut: NotRequired[str | None]  # by what the losses that depend on it are cut off from it
    held: NotRequired[bool | None]  # whether an optimizer holds it; null: not known
    optimizers: NotRequired[list[str]]
    stepped: NotRequired[bool]  # whether one of them stepped
    rate: NotRequired[float]  # learning rate, the largest
    gradients: NotRequired[list[int] | None]  # for each step, how often a gradient was added
    slight: NotRequired[bool]  # whether its gradients are rounding beside all others'
    cleared: NotRequired[bool]  # whether one was not 0, and no optimizer found it so
    piled: NotRequired[int]  # steps along a gradient added to an earlier step's; 0: once cleared
    outside: NotRequired[list[float]]  # for each step, change that no optimizer made
    called: NotRequired[bool]  # whether its module ran in the steps
    stale_cast: NotRequired[bool]  # used in an autocast region after a step changed it there
    tied: NotRequired[list[str]]  # its other names
    cause: NotRequired[str | None]  # by what a frozen one moves, where that is told by its change
    in_forward: NotRequired[float]  # change of a buffer inside its module's forward passes
    beside_moved: NotRequired[bool]  # whether a parameter beside it has moved


class Observation(TypedDict):
    """What some training steps did, in one framework."""

    framework: str
    steps: int
    losses: dict[str, dict[str, Any]]  # name → value, whether it and its gradients are finite
    tensors: list[Tensor]
    passes: list[int]  # backward passes of each step; empty where they cannot be counted
    moves: list[Move]
    stepped: list[str] | None  # classes of the optimizers that stepped; null where not known
    strangers: list[list[int]]  # shapes of what these hold beside the networks' parameters
    clipped: list[dict[str, float]]  # gradients changed between backward pass and unscaling
    merged: Saving | None  # with the backward passes of each step merged
    frozen_gradients: Saving | None  # with no gradient for what is frozen
    zero_weight: dict[str, Any] | None  # flops, zero_flops: those for a loss of weight 0
    first_nonfinite: dict[str, Any] | None  # step, names, losses
    reduced: list[str] | None  # parameters that DDP reduces; null where there is none
    state_changes: NotRequired[bool]  # whether anything of a pure step's state changes
    notes: NotRequired[list[str]]


class Finding(TypedDict):
    """One thing that is wrong with a training step."""

    code: str  # CB101 …; stable
    title: str
    cause: str  # a word; the texts of `findings_texts` are chosen by it
    tensors: list[str]
    message: str  # what, with the evidence in numbers, in one line
    mend: str  # what to write
    page: str  # where docs explain it


class Checked(TypedDict):
    """What was found in one framework."""

    framework: str
    version: str
    findings: list[Finding]
    looked_at: str  # in one sentence
    notes: list[str]
    observation: Observation


class CheckDocument(TypedDict):
    """One check. ``frameworks`` is empty where ``error`` says why nothing was observed."""

    schema: int
    kind: str  # check
    case: CaseName
    date: str  # ISO 8601, UTC
    seconds: float
    answer: str
    exit_code: int | None
    error: Mistake | None
    frameworks: list[Checked]
