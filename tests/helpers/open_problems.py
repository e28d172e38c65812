"""Open a problem of the catalogue in this process, without a worker."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from benchmarks.scenarios import CATALOGUE


def open_problem(
    framework: str, scenario: str, variant: str, arrangement: str | None = None
) -> Any:
    """Return the `OpenProblem` of a framework at size ``seed``, in float32, its weights loaded.

    ``arrangement`` replaces that of the scenario's optimizer.
    """
    spec = CATALOGUE[scenario]
    chosen = spec.variants[variant]
    if arrangement:
        optimizer = replace(spec.optimizer_of(variant), arrangement=arrangement)
        spec = replace(spec, variants={variant: replace(chosen, optimizer=optimizer)})
    weights, data = spec.draw(variant, "seed")
    build = getattr(import_module(f"impl_{framework}.{spec.family}"), scenario)
    # torch's would otherwise make a folder for compiled code, which nothing here fills
    cache = "unused" if framework == "torch" else None
    session = import_module(f"impl_{framework}.session").Session("cpu", "float32", cache)
    problem = session.open(build, spec.problem_spec(variant, "seed"), data)
    problem.load(weights)
    return problem
