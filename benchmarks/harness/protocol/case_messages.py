"""Declare the messages about a case of a user's own; the others stand in `messages`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

# File of a JAX case that starts from a torch case: its gradients, turned back into those by torch's
# parameters, under their names and in their layouts.
BY_TORCH_PARAMETERS = "gradient_by_torch_parameters.npz"


class CaseMistake(TypedDict):
    """A mistake in a case of the user's own: where it is, and what to do."""

    file: str  # the user's file
    line: int | None  # in it; null where it is not known
    message: str  # what is wrong, in one line
    mend: str  # what to write, in one line


class CaseSource(TypedDict):
    """Where a user's function stands: in a file, in a module, or in a pickle."""

    file: NotRequired[str]  # absolute path, or relative to the user's folder
    module: NotRequired[str]  # importable name
    pickle: NotRequired[str]  # path of the function, pickled by cloudpickle on this machine
    function: NotRequired[str]  # its name in the file or module; default: make


class CaseJob(TypedDict):
    """A case of a user's own, as every worker builds it."""

    source: CaseSource  # the function that builds it
    folder: str  # the user's working folder
    seed: int  # set before the function and before each forward pass
    start: NotRequired[str]  # file of the other framework's weights and batch, to start from
    path: NotRequired[list[str]]  # folders that packages come from before the installed ones


class CaseFacts(TypedDict):
    """What an examination has found out about a case, in float64 where that runs."""

    file: str  # in which the function is defined
    line: int | None  # at which it begins
    networks: dict[str, dict[str, Any]]  # elements, tensors, what is frozen, what is tied
    losses: list[str]  # names
    values: dict[str, float]  # loss → its value at the start
    reach: dict[str, list[str]]  # loss → parameters that it reaches, frozen ones too
    states: dict[str, dict[str, str]]  # loss → parameter → value, zero or absent
    frozen: list[str]  # parameters that are not trained
    untouched: list[str]  # parameters that no loss reaches
    moved: list[str]  # buffers that a forward pass changes
    random: bool  # whether a forward pass draws random numbers of the framework's own state
    draws: bool  # whether a pass draws from any generator that is seeded before it
    series: str | None  # why there are no boundaries to cut at; null where there are
    notes: list[str]  # sentences for the reader
    expected: dict[str, dict[str, str]]  # loss → network → state that the user's case demands
    device: str  # on which the parameters are
    slope_errors: dict[str, dict[str, float | None]]  # loss → network; null: cut off
    coarse: dict[str, dict[str, dict[str, Any]]]  # loss → network: noise, and whether it hides all
    prints: dict[str, str]  # parameter, buffer or part of the batch → its hash
    weights: list[list[str]]  # of a case with `start`: name here, how it is filled, names there
    filled: str  # of a case with `start`: file of the values of its arrays; empty otherwise
    taken: list[str]  # of a case with `start`: parts of the batch that differed, and were replaced


class OpenCaseRequest(TypedDict):
    """The case to build, and what is known about it."""

    case: CaseJob  # the case
    facts: CaseFacts  # from `examine_case` in another worker


class CheckCaseRequest(TypedDict):
    """The case whose own training step is to be observed."""

    case: CaseJob  # the case
    steps: int  # to take


class CaseObservation(TypedDict):
    """What some training steps of a case did, and where the case and its step stand."""

    file: str  # in which the function is defined
    line: int | None  # at which it begins
    step_file: str  # in which the step is defined
    step_line: int | None  # at which it begins
    observation: dict[str, Any]  # `results.own_code.check_schema.Observation`


class ExamineCaseRequest(TypedDict):
    """The case to examine, and where to write the references."""

    case: CaseJob  # the case
    out: str  # folder of reference.npz, reference-<kind>.npz, and what else is written
    kinds: list[str]  # whose reference includes an optimizer step: backward, freeze
    seconds: float | None  # after which no central difference is begun; null: no limit
    hand_over: NotRequired[bool]  # whether to write start.npz, which another case starts from
