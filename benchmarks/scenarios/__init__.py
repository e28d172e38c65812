"""Hold the catalogue: every scenario by its name, one file for each family.

The order is that of ``docs/scenarios.md``, which numbers the scenarios by it.
"""

from __future__ import annotations

from benchmarks.scenarios import (
    alternation,
    branches,
    cascade,
    parameter_groups,
    partial_freeze,
    transformer,
)
from benchmarks.scenarios.spec import FRAMEWORKS, SIZES, Scenario, Variant

FAMILIES = (cascade, alternation, partial_freeze, parameter_groups, transformer, branches)
CATALOGUE: dict[str, Scenario] = {
    scenario.name: scenario for family in FAMILIES for scenario in family.SCENARIOS
}

__all__ = ["CATALOGUE", "FRAMEWORKS", "SIZES", "Scenario", "Variant"]
