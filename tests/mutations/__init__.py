"""Faults that somebody makes, as data: each must turn the check red that is there to notice it.

A check that stays green whatever is broken proves nothing. To add a fault, add a `Fault` to its
area: the line as it stands, the line as it should not, what mistake it is, and the test that must
fail. `python -m tests.audit NAME` tries it; `make audit` tries all and writes `docs/audit.md`.
"""

from __future__ import annotations

from tests.mutations import checks, clock, jax_side, records, statistics, torch_side, workers
from tests.mutations.fault import Fault

AREAS: dict[str, tuple[Fault, ...]] = {
    "The implementation in PyTorch": torch_side.FAULTS,
    "The implementation in JAX": jax_side.FAULTS,
    "The checks and the gate": checks.FAULTS,
    "The clock": clock.FAULTS,
    "The statistics": statistics.FAULTS,
    "The records": records.FAULTS,
    "Workers, launches and their pool": workers.FAULTS,
}
FAULTS = {fault.name: fault for area in AREAS.values() for fault in area}
