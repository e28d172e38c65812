"""From what a worker measured to the record of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.harness.protocol.cells import EAGER, Cell
from benchmarks.harness.worker import clock, trend
from results.records.record import Record, explain, new_record

UNTESTED = (
    f"a trend cannot show in fewer than {trend.LEAST} calls, "
    f"which would take longer than the {clock.WARM_LIMIT} s of warming up"
)
# why an eager cell has no time of tracing and compiling
NOT_COMPILED = {
    "torch": "eager torch neither traces nor compiles",
    "jax": "eager JAX compiles each operation alone, at its first use: part of the first call",
}
NOT_TOLD = "torch does not tell how long a program took that it found in its cache"
UNSEEN_BY_XLA = "no whole program for XLA to analyse: operations are dispatched one by one"


def scenarios(cells: Iterable[Cell]) -> dict[str, dict[str, Any]]:
    """What a reader of the run alone must know of each scenario: what it is, and its sizes."""
    found = {cell.scenario: cell.spec for cell in cells}
    return {
        name: {"summary": spec.summary, "sizes": {s: dict(a) for s, a in spec.sizes.items()}}
        for name, spec in found.items()
    }


def failed(cell: Cell, outcome: str, why: str) -> Record:
    """A record of a cell that has no time, every figure with the reason."""
    record = new_record(
        asdict(cell),
        family=cell.spec.family,
        baseline=cell.baseline,
        rerun=cell.rerun(),
        outcome=outcome,
    )
    return explain(record, why)


def measured(cell: Cell, result: Mapping[str, Any], baseline_flops: float | None) -> Record:
    """A record of what `measure_group` returned for the cell; estimates come from the samples."""
    figures = result["figures"]
    known = {
        "flops": figures.get("flops") or None,
        "predicted_ratio": _ratio(figures.get("flops"), baseline_flops),
        "peak_share": _peak_share(result),
        "steady": steady_in_all(result["steady"]),
        "equivalence": figures.get("equivalence"),
        "gradient_error": _rounded(figures.get("gradient_error")),
        **{
            name: figures.get(name)
            for name in (
                "trace_seconds",
                "compile_seconds",
                "first_call_seconds",
                "residual_bytes",
                "peak_bytes",
                "optimizer_state_bytes",
            )
        },
    }
    if result["outcome"] != "ok":
        return failed(cell, result["outcome"], result["why"]) | {
            "equivalence": known["equivalence"],
            "gradient_error": known["gradient_error"],
        }
    record = new_record(
        asdict(cell),
        family=cell.spec.family,
        baseline=cell.baseline,
        rerun=cell.rerun(),
        outcome="ok",
        missing=_reasons(cell, figures, known) | ({"steady": UNTESTED} if result["steady"] else {}),
        **known,
    )
    return explain(record, "not timed in this run")


def _rounded(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The error of each parameter in three digits: there may be a hundred of them in each cell."""
    if error is None:
        return None
    rounded = {name: float(f"{e:.3g}") for name, e in error["parameters"].items()}
    return {**error, "parameters": rounded}


def _reasons(cell: Cell, figures: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    eager, torch = cell.mode == EAGER, cell.framework == "torch"
    fused = "XLA does not show what is saved inside a program; it is counted in phase backward"
    unseen = "torch.func hides what it saves from saved-tensor hooks"
    inside = "what an eager call saves for its backward pass is not to be seen from outside"
    unstaged = NOT_COMPILED.get(cell.framework, "not compiled") if eager else NOT_TOLD
    uncounted = "the counter saw no operation that it knows"
    return {
        "flops": UNSEEN_BY_XLA if eager and not torch else uncounted,
        "predicted_ratio": "no FLOPs counted for this cell or its baseline",
        "peak_share": "not dominated by matrix products large enough to have a peak",
        "trace_seconds": unstaged,
        "compile_seconds": unstaged,
        "residual_bytes": unseen if torch else inside if eager else fused,
        "peak_bytes": figures.get("peak_why") or "not timed in this run",
        "optimizer_state_bytes": "no optimizer in this phase",
        "gradient_error": "the optimizer keeps no gradient; its update was checked instead",
    }


def steady_in_all(launches: Sequence[bool | None]) -> bool | None:
    """Whether every launch was steady: one that was not may have moved a ratio's mean.

    None where none showed a trend, but one or more could not be tested.
    """
    if False in launches:
        return False
    return None if None in launches or not launches else True


def _ratio(flops: float | None, baseline: float | None) -> float | None:
    return flops / baseline if flops and baseline else None


def _peak_share(result: Mapping[str, Any]) -> float | None:
    """Median over launches of the products' best times over the lower quartile measured."""
    if not result["peak_seconds"]:
        return None
    quartiles = [np.quantile(launch, 0.25) for launch in result["samples"]]
    return float(np.median(np.array(result["peak_seconds"]) / np.array(quartiles)))
