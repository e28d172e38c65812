"""List the operations of a worker with the types of their requests and results."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.harness.protocol import (
    case_messages,
    count_messages,
    messages,
    profile_messages,
)


class Operation(NamedTuple):
    """One operation: the `TypedDict` of its arguments, the type of its result, a sentence."""

    request: type
    result: Any
    does: str


# A request is a JSON object: ``op`` is a name of this table, and beside it stand the keys of the
# operation's request type. A worker's method ``do_<op>`` carries it out.
OPERATIONS = {
    "hello": Operation(
        messages.NoArguments, messages.Hello, "Describe the process and its framework again."
    ),
    "shapes": Operation(
        messages.ShapesRequest,
        dict[str, list[int]],
        "Return the shape of each parameter and buffer of a scenario.",
    ),
    "open": Operation(
        messages.OpenRequest,
        messages.NoResult,
        "Build a problem, compare it with its spec, load weights and data; later requests use it.",
    ),
    "open_case": Operation(
        case_messages.OpenCaseRequest,
        messages.NoResult,
        "Build a case of the user's own, and compare it with the one that was examined.",
    ),
    "examine_case": Operation(
        case_messages.ExamineCaseRequest,
        case_messages.CaseFacts,
        "Build a case, find out what its losses reach, and write its reference gradients.",
    ),
    "check_case": Operation(
        case_messages.CheckCaseRequest,
        case_messages.CaseObservation,
        "Build a case, take training steps of its own, and observe what they do.",
    ),
    "probe": Operation(
        messages.NoArguments,
        messages.NoResult,
        "Run forward and check that each loss is a finite scalar.",
    ),
    "loaded": Operation(
        messages.LoadedRequest,
        list[str],
        "List the source files under a folder that modules were loaded from.",
    ),
    "switched": Operation(
        messages.NoArguments,
        list[messages.SwitchChange],
        "List what was switched in the process since the worker started, and may change its times.",
    ),
    "close": Operation(
        messages.NoArguments, messages.NoResult, "Drop the open problem and its programs."
    ),
    "gradients": Operation(
        messages.GradientsRequest,
        messages.NoResult,
        "Run a strategy or recipe and write its gradients and updated parameters.",
    ),
    "losses": Operation(messages.NoArguments, dict[str, float], "Compute every loss."),
    "losses_along": Operation(
        messages.LossesAlongRequest,
        dict[str, dict[str, float]],
        "Take central differences: direction → loss → slope.",
    ),
    "loss_gradients": Operation(
        messages.OutRequest,
        list[str],
        "Write the gradients of each loss alone; return the losses that have any.",
    ),
    "flow": Operation(
        messages.NoArguments,
        dict[str, dict[str, str]],
        "Find out which loss changes what: loss → parameter → absent, zero or value.",
    ),
    "gradient_of_nothing": Operation(
        messages.LossRequest,
        list[str],
        "Differentiate a loss that reaches no trained parameter; name what has a gradient.",
    ),
    "kink_distance": Operation(
        messages.NoArguments,
        float,
        "Return the smallest distance of an activation to its kink, relative to its scale.",
    ),
    "train": Operation(
        messages.TrainRequest, messages.TrainCounts, "Train by a plan and write the final arrays."
    ),
    "load": Operation(
        messages.LoadRequest, messages.NoResult, "Load weights and buffers into the open problem."
    ),
    "count": Operation(
        messages.CellName, count_messages.Counts, "Count FLOPs and bytes of one call."
    ),
    "footprint": Operation(
        messages.CellName,
        profile_messages.Footprint,
        "Count what one call does and holds, beside the counts of `count`, after it ran once.",
    ),
    "profile": Operation(
        profile_messages.ProfileRequest,
        profile_messages.ProfiledCalls,
        "Write a trace of some calls by the framework's profiler; nothing else is timed after it.",
    ),
    "products": Operation(
        messages.ProductsRequest,
        list[list[float]],
        "List the FLOPs of each matrix product, and how often a call computes it.",
    ),
    "built_frozen": Operation(
        messages.NoArguments,
        list[str],
        "Name the parameters that the function that builds the networks froze.",
    ),
    "load_matching": Operation(
        messages.LoadMatchingRequest,
        dict[str, list[str]],
        "Load the part of a pretrained state whose names and shapes fit; report the rest.",
    ),
    "fact": Operation(
        messages.FactRequest, dict[str, Any], "Run the demonstration of a trap; return its values."
    ),
    "prepare": Operation(
        messages.PrepareRequest,
        dict[str, messages.PreparedCell],
        "Build each cell, run it once, and compare its gradients with the reference.",
    ),
    "time": Operation(
        messages.TimeRequest, messages.TimedCells, "Warm up prepared cells and sample them."
    ),
    "warm": Operation(
        messages.WarmRequest,
        dict[str, int],
        "Warm up cells that are sampled in turns; return the calls in a sample of each.",
    ),
    "turn": Operation(
        messages.TurnRequest,
        messages.TurnTimes,
        "Sample one warm cell for some time, in turns with another worker.",
    ),
    "canaries": Operation(
        messages.CanariesRequest,
        messages.CanaryAnswers,
        "Run programs whose right answers are known, through clock, guard and gate.",
    ),
    "rates": Operation(
        count_messages.RatesRequest,
        count_messages.MeasuredRates,
        "Measure the rates of memory and calls, and operations alone; in a worker that times none.",
    ),
    "peak": Operation(
        messages.CellName, int, "Measure the bytes that one call holds at most, beyond the start."
    ),
}
