"""Faults that somebody makes, as data: each must turn the check red that is there to notice it.

A check that stays green whatever is broken proves nothing. To add a fault, add a `Fault` to its
area: the line as it stands, the line as it should not, what mistake it is, and the test that must
fail. `python -m tests.audit NAME` tries it; `make audit` tries all and writes `docs/audit.md`.
"""

from __future__ import annotations

from tests.mutations import (
    both_frameworks,
    canaries,
    checks,
    client,
    clock,
    cluster,
    command_line,
    door,
    front_page,
    jax_side,
    limits,
    machine,
    modes,
    own_cases,
    own_code,
    own_networks,
    precision_modes,
    printed_code,
    records,
    regressions,
    report_sections,
    statistics,
    stopped,
    torch_side,
    training_steps,
    transformers,
    verdicts,
    versions,
    workers,
)
from tests.mutations.fault import Fault

AREAS: dict[str, tuple[Fault, ...]] = {
    "The implementation in PyTorch": torch_side.FAULTS,
    "The implementation in JAX": jax_side.FAULTS,
    "Printed code, and what a step leaves": printed_code.FAULTS,
    "The checks and the gate": checks.FAULTS,
    "Networks of one's own": own_networks.FAULTS,
    "The clock": clock.FAULTS,
    "Canaries, the guard and the test for a trend": canaries.FAULTS,
    "Modes, and when compiling pays": modes.FAULTS,
    "Precision modes": precision_modes.FAULTS,
    "The statistics": statistics.FAULTS,
    "Verdicts, precision, noise, and the frameworks' ratio": verdicts.FAULTS,
    "Two versions, and the report": versions.FAULTS,
    "Regressions and the history": regressions.FAULTS,
    "The records": records.FAULTS,
    "The door by which runs and texts enter": door.FAULTS,
    "Workers, launches and their pool": workers.FAULTS,
    "One file for both frameworks": both_frameworks.FAULTS,
    "A user's own code, kept apart": own_code.FAULTS,
    "Runs that are stopped or fail": stopped.FAULTS,
    "On a cluster": cluster.FAULTS,
    "Limits, full disks, pauses, and what a timed call returns": limits.FAULTS,
    "The machine and its memory": machine.FAULTS,
    "The first screen of a report": front_page.FAULTS,
    "The sections of a report": report_sections.FAULTS,
    "The command line": command_line.FAULTS,
    "The client, and how it is packaged": client.FAULTS,
    "Cases of a user's own code": own_cases.FAULTS,
    "Training steps of a user's own": training_steps.FAULTS,
    "The transformers": transformers.FAULTS,
}
FAULTS = {fault.name: fault for area in AREAS.values() for fault in area}
