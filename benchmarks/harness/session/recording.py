"""Build the record of a cell from the results of its workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.protocol.cells import EAGER, Cell
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.protocol.ranks import DISTRIBUTED, PREDICTED_PHASE
from benchmarks.harness.worker import clock, trend
from results.records.record import LIMIT_FIGURES, Record, explain, new_record
from results.records.schema import GradientError

# Why a figure is missing
UNTESTED = (
    f"a trend cannot show in fewer than {trend.LEAST} calls, "
    f"which would take longer than the {clock.WARM_LIMIT} s of warming up"
)
NOT_COMPILED = {  # an eager cell has no time of tracing and compiling
    "torch": "eager torch neither traces nor compiles",
    "jax": "eager JAX compiles each operation alone, at its first use: part of the first call",
}
COMPILE_TIMES_UNKNOWN = "torch does not tell how long a program took that it found in its cache"
NO_WHOLE_PROGRAM = "no whole program for XLA to analyse: operations are dispatched one by one"
PASSED = (
    "every launch was faster than what its operations took alone: they were measured too slowly, "
    "as on a disturbed machine, or are not what they take in the cell"
)
NOTHING_COUNTED = "the counter saw no operation that it knows"
LIMITED_IN_FLOAT32 = "what operations must take is measured in float32 alone"
NOT_LIMITED = {  # framework → why its cells in other modes than these have no limit
    "torch": "Inductor does not tell what the operations that it fused read and write",
    "jax": NO_WHOLE_PROGRAM,
}
NOT_LIMITED_OVER_RANKS = (
    "ranks share the machine's memory and cores, so that no rate of one process limits them"
)
UNLIMITED = "its operations were not counted"
RESIDUALS_INSIDE_PROGRAM = (
    "XLA does not show what is saved inside a program; it is counted in phase backward"
)
RESIDUALS_HIDDEN = "torch.func hides what it saves from saved-tensor hooks"
RESIDUALS_OF_EAGER_JAX = (
    "what an eager call saves for its backward pass is not to be seen from outside"
)
NOT_TIMED = "not timed in this run"
ALONE = ("compute_seconds", "exchange_seconds")
UPDATE_NOT_PREDICTED = "the update of a step is neither FLOPs nor bytes that are exchanged"

# figures that a worker reports under the name that they have in a record
REPORTED = (
    "trace_seconds",
    "compile_seconds",
    "first_call_seconds",
    "residual_bytes",
    "peak_bytes",
    "optimizer_state_bytes",
)


def describe_scenarios(cells: Iterable[Cell]) -> dict[str, dict[str, Any]]:
    """Describe each scenario of the cells, for readers who have the run and not this project.

    Returns:
        Scenario → ``summary``, one sentence, and ``sizes``, size → the arguments that it stands
        for.
    """
    specs = {cell.scenario: cell.spec for cell in cells}
    return {
        name: {
            "summary": spec.summary,
            "sizes": {size: dict(arguments) for size, arguments in spec.sizes.items()},
        }
        for name, spec in specs.items()
    }


def record_failure(cell: Cell, outcome: str, why: str) -> Record:
    """Return the record of a cell without a time; every figure is null for the same reason."""
    record = new_record(
        asdict(cell),
        family=cell.spec.family,
        baseline=cell.baseline,
        rerun=cell.rerun_command(),
        outcome=outcome,
    )
    return explain(record, why)


def record_measurement(
    cell: Cell,
    result: Mapping[str, Any],
    baseline_flops: float | None,
    baseline_limit: float | None = None,
    baseline_alone: float | None = None,
) -> Record:
    """Return the record of a cell that was measured; it gets no estimates yet.

    Args:
        cell: the cell.
        result: its outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
        baseline_flops: FLOPs of one call of the group's baseline, None where they are unknown.
        baseline_limit: seconds of the limit of that baseline, None where there is none.
        baseline_alone: seconds of its parts over several ranks, see `alone_seconds`.
    """
    if result["outcome"] != "ok":
        record = record_failure(cell, result["outcome"], result["why"])
        checked = _checked(result["figures"])
        record["equivalence"] = checked["equivalence"]
        record["gradient_error"] = checked["gradient_error"]
        return record
    figures = _figures(result, baseline_flops) | limit_figures(result, baseline_limit)
    record = new_record(
        asdict(cell),
        family=cell.spec.family,
        baseline=cell.baseline,
        rerun=cell.rerun_command(),
        outcome="ok",
        missing=_reasons(cell, result),
        **figures,
    )
    communication = result["figures"].get("communication")
    if communication:
        prediction, reasons = _predicted_over_ranks(cell, result, baseline_alone)
        entry: Any = {**communication, **prediction}
        missing = {**record["missing"], **reasons}
        record = {**record, "communication": entry, "missing": missing}
    return explain(record, NOT_TIMED)


def alone_seconds(result: Mapping[str, Any]) -> float | None:
    """Return the seconds of a cell's parts one after the other; None where they were not timed.

    Args:
        result: the cell's outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
    """
    parts = result["figures"].get("alone")
    return float(sum(parts.values())) if parts else None


def _predicted_over_ranks(
    cell: Cell, result: Mapping[str, Any], baseline: float | None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return what `Communication` tells of a prediction, and why it tells nothing."""
    parts = result["figures"].get("alone") or dict.fromkeys(ALONE)
    prediction = {**parts, "predicted_ratio": _ratio(alone_seconds(result), baseline)}
    why = result["figures"].get("alone_why", NOT_TIMED)
    if cell.phase != PREDICTED_PHASE:
        why = UPDATE_NOT_PREDICTED
    return prediction, {
        f"communication.{key}": why for key, value in prediction.items() if value is None
    }


class Checked(TypedDict):
    """The figures of the check against the reference, which a failed cell has too."""

    equivalence: str | None
    gradient_error: GradientError | None


def _checked(figures: Mapping[str, Any]) -> Checked:
    """Return the figures of the check against the reference; None where there was no check."""
    return {
        "equivalence": figures.get("equivalence"),
        "gradient_error": _rounded(figures.get("gradient_error")),
    }


def _figures(result: Mapping[str, Any], baseline_flops: float | None) -> dict[str, Any]:
    """Return the fields of a timed cell's record: counts, compile times, check, steadiness.

    Args:
        result: the cell's outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
        baseline_flops: FLOPs of one call of the group's baseline, None where they are unknown.
    """
    figures = result["figures"]
    return {
        "flops": figures.get("flops") or None,
        "predicted_ratio": _ratio(figures.get("flops"), baseline_flops),
        "peak_share": _peak_share(result),
        "steady": steady_in_all(result["steady"]),
        **_checked(figures),
        **{name: figures.get(name) for name in REPORTED},
    }


def limit_figures(result: Mapping[str, Any], baseline: float | None) -> dict[str, Any]:
    """Return the fields of a record about its limit: what its operations must take at least.

    Args:
        result: the cell's outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
        baseline: seconds of the limit of the group's baseline, None where there is none.
    """
    limit = result["figures"].get("limit") or {}
    seconds = sound_limit(result)
    return {
        "limit_ratio": _ratio(seconds, baseline),
        "limit_seconds": seconds,
        "limit_share": _limit_share(seconds, result["samples"]),
        "bytes": limit.get("bytes"),
        "operations": limit.get("operations") if seconds else None,
    }


def sound_limit(result: Mapping[str, Any]) -> float | None:
    """Return the seconds of a cell's limit; None where there is none, or every launch passed it.

    A limit that is passed is none: what its operations take was then measured too slowly, as on a
    machine that was disturbed, or is not what they take in the cell.

    Args:
        result: the cell's outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
    """
    seconds: float | None = (result["figures"].get("limit") or {}).get("seconds") or None
    if seconds and result.get("samples") and (seconds > _lower_quartiles(result["samples"])).all():
        return None
    return seconds


def _limit_share(seconds: float | None, samples: Sequence[Sequence[float]]) -> float | None:
    """Return the limit over the time: the median over launches, by their lower quartiles."""
    if not seconds or not samples:
        return None
    return float(np.median(seconds / _lower_quartiles(samples)))


def _rounded(error: GradientError | None) -> GradientError | None:
    """Round the error of each parameter to three digits: a cell may have a hundred of them."""
    if error is None:
        return None
    errors = error["parameters"].items()
    rounded = {name: None if e is None else float(f"{e:.3g}") for name, e in errors}
    return {**error, "parameters": rounded}


def _why_none_is_sound(cell: Cell, result: Mapping[str, Any]) -> str:
    """Return why a cell has no limit, or none that holds."""
    if result["figures"].get("limit"):
        return PASSED
    why: str = result["figures"].get("limit_why") or _why_no_limit(cell)
    return why


def _reasons(cell: Cell, result: Mapping[str, Any]) -> dict[str, str]:
    """Return figure → the reason to record if this figure is missing, for all that may be."""
    torch = cell.framework == "torch"
    eager = cell.mode == EAGER or (torch and cell.kind == DISTRIBUTED)
    untraced = COMPILE_TIMES_UNKNOWN
    if eager:
        untraced = NOT_COMPILED.get(cell.framework, "not compiled")
    reasons = {
        "flops": NO_WHOLE_PROGRAM if eager and not torch else NOTHING_COUNTED,
        "predicted_ratio": "no FLOPs counted for this cell or its baseline",
        "peak_share": "not dominated by matrix products large enough to have a peak",
        **dict.fromkeys(LIMIT_FIGURES, _why_none_is_sound(cell, result)),
        "trace_seconds": untraced,
        "compile_seconds": untraced,
        "residual_bytes": _why_no_residuals(cell),
        "peak_bytes": result["figures"].get("peak_why") or NOT_TIMED,
        "optimizer_state_bytes": "no optimizer in this phase",
        "gradient_error": "the optimizer keeps no gradient; its update was checked instead",
    }
    if cell.kind == DISTRIBUTED:
        reasons["peak_share"] = "a share of the peak is not told of several ranks"
        reasons |= dict.fromkeys(LIMIT_FIGURES, NOT_LIMITED_OVER_RANKS)
    return reasons | ({"steady": UNTESTED} if result["steady"] else {})


def _why_no_limit(cell: Cell) -> str:
    """Return why a cell has no limit, should it have none."""
    if cell.precision_mode != IEEE:
        return LIMITED_IN_FLOAT32
    eager, torch = cell.mode == EAGER, cell.framework == "torch"
    return NOT_LIMITED.get(cell.framework, UNLIMITED) if eager != torch else UNLIMITED


def _why_no_residuals(cell: Cell) -> str:
    """Return why the bytes saved for the backward pass are unknown, should they be."""
    if cell.framework == "torch":
        return RESIDUALS_HIDDEN
    return RESIDUALS_OF_EAGER_JAX if cell.mode == EAGER else RESIDUALS_INSIDE_PROGRAM


def steady_in_all(launches: Sequence[bool | None]) -> bool | None:
    """Return whether the times had no trend in any launch.

    One launch with a trend may have moved a ratio's mean.

    Args:
        launches: for each launch whether its times had no trend; None: too few calls to test.

    Returns:
        None where no launch showed a trend, but at least one could not be tested.
    """
    if False in launches:
        return False
    return None if None in launches or not launches else True


def _ratio(flops: float | None, baseline: float | None) -> float | None:
    """Return a figure over the baseline's, a predicted ratio; None where either is unknown."""
    return flops / baseline if flops and baseline else None


def _peak_share(result: Mapping[str, Any]) -> float | None:
    """Return the share of a call's time that its matrix products would take at their best.

    This is the median over launches of that best time over the lower quartile of the samples; None
    where the best time was not measured.
    """
    if not result["peak_seconds"]:
        return None
    return float(np.median(np.array(result["peak_seconds"]) / _lower_quartiles(result["samples"])))


def _lower_quartiles(samples: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return the lower quartile of each launch's samples, in seconds: [launches]."""
    return np.array([np.quantile(launch, 0.25) for launch in samples])
