"""Compare two versions with the fake framework, whose faults are known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import Cell
from benchmarks.paths import ROOT
from benchmarks.regression import plan
from benchmarks.regression.counting import Counting
from benchmarks.regression.session import ComparisonSession
from benchmarks.regression.versions import Side
from results.regression.document import new_design, new_document
from tests.helpers.fake_framework import fake_framework

LOOKS = (3, 4)
Measure = Callable[..., dict[str, Any]]


def cell(strategy: str = "summed") -> Cell:
    return Cell(
        "backward", "linear_cascade", "-", "seed", "fake", "eager", strategy, "gradient", "cpu"
    )


def measure_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Return a function that measures cells; ``base`` and ``head`` are the faults of that side.

    Nothing is counted before the clock unless ``counting`` is true: two more processes for each.
    """
    count = Counting.count
    monkeypatch.setattr(plan, "FIRST_LOOK", LOOKS[0])
    monkeypatch.setattr(plan, "MOST_PAIRS", LOOKS[-1])
    monkeypatch.setattr(plan, "CELL_SECONDS", 0.02)
    monkeypatch.setattr(plan, "MOST_CELL_SECONDS", 0.02)

    def side(name: str, faults: str) -> Side:
        python = tmp_path / f"{name}-python"
        python.write_text(f"#!/bin/sh\nFAKE_FAULTS='{faults}' exec {sys.executable} \"$@\"\n")
        python.chmod(0o755)
        cache = tmp_path / f"{name}.cache"
        cache.mkdir(exist_ok=True)
        return Side(name, name, None, 0, str(python), {}, ROOT, str(cache), {})

    def run(
        *cells: Cell, base: str = "", head: str = "", budget: float = 120.0, **hooks: Any
    ) -> dict[str, Any]:
        document = new_document(
            plan.plain_cells(cells),
            sides={}, machine={"id": "box"}, seed=0, budget_seconds=budget,
            confirm_seconds=hooks.get("confirm", 0.0),
            design=new_design(), arguments=[], counts_only=hooks.get("counts_only", False),
        )  # fmt: skip
        counting = count if hooks.get("counting") else lambda self, cells: {}
        monkeypatch.setattr(Counting, "count", counting)
        sides = {"base": side("base", base), "head": side("head", head)}
        saved: list[int] = hooks.get("saved", [])
        measuring = ComparisonSession(
            sides, cells, document, began=hooks.get("began", time.monotonic()),
            save=lambda one: saved.append(one["pairs"]), report=hooks.get("report", lambda _: None),
            warn=hooks.get("warn", lambda _: None),
        )  # fmt: skip
        try:
            measuring.run()
        finally:
            document["saved"] = saved
        return document

    with fake_framework(monkeypatch):
        yield run
