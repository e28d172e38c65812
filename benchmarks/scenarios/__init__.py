"""The catalogue: every scenario by its name, a family a file."""

from __future__ import annotations

from benchmarks.scenarios import cascade
from benchmarks.scenarios.spec import FRAMEWORKS, SIZES, Scenario, Variant

CATALOGUE: dict[str, Scenario] = {scenario.name: scenario for scenario in cascade.SCENARIOS}

__all__ = ["CATALOGUE", "FRAMEWORKS", "SIZES", "Scenario", "Variant"]
