"""Hold every way that a case has to the case's reference, in workers and without timing it."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement.group import measure_group
from benchmarks.own_code import plan
from benchmarks.own_code.request import Request
from benchmarks.paths import ROOT

CASES = ROOT / "tests" / "helpers" / "own_cases"
WAYS_FOR_JAX = ("summed", "separate_retained", "boundary_split", "unfrozen", "partition")


def check(pool: Pool, files: CaseFiles, phases: tuple[str, ...]) -> dict[str, tuple[str, Any]]:
    """Return ``kind/phase/way`` → outcome and why, of every way that the case has."""
    files.judge_the_sum(pool.launches(files.framework, "cpu", "float32", 1)[0])
    ways = WAYS_FOR_JAX if files.framework == "jax" else None
    request: Any = Request({}, None, "", 60, phases, ways, None, CASES, 0, 1)
    found = {}
    for group in plan.groups_of(files.framework, files.known_facts, request):
        job: Any = {
            "kind": group.kind,
            "scenario": "own",
            "variant": "-",
            "size": "own",
            "framework": files.framework,
            "mode": "eager" if files.framework == "torch" else "jit",
            "phase": group.phase,
            "device": "cpu",
            "dtype": "float32",
            "strategies": list(group.ways),
            "references": [],
            "launches": 1,
            "seconds": 0.0,
            "limit": 60.0,
            "seed": 0,
            "memory": False,
            "case": files.case,
        }
        for way, cell in measure_group(job, pool)["cells"].items():
            found[f"{group.kind}/{group.phase}/{way}"] = cell["outcome"], cell["why"]
    return found
