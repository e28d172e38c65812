"""Make whole runs to report on, as a session would have saved them, from drawn times."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from results.estimates.run_estimates import estimate_run
from results.records.record import FIGURES, Record, Run, finish, new_record, sample_key

COMMITS = ("a" * 40, "b" * 40)  # of the suite
# strategy → its true ratio to the summed loss, and the ratio of its FLOPs
STRATEGIES = {"summed": (1.0, 1.0), "separate_retained": (1.5, 1.45), "boundary_split": (1.0, 1.0)}
RECIPES = {
    "torch": {
        "unfrozen": (1.0, 1.0), "requires_grad_false": (0.63, 0.65), "optimizer_only": (1.0, 1.0),
    },
    "jax": {"unfrozen": (1.0, 1.0), "partition": (0.63, 0.65), "chain_freeze": (1.0, 1.0)},
}  # fmt: skip
SPEED = {"torch": 1.0, "jax": 0.8}
MODES = {"torch": "eager", "jax": "jit"}
SECONDS = {"seed": 5e-5, "medium": 8e-3, "large": 7e-2}


def whole_run(
    run_id: str = "20261121T010203-ab12cd",
    *,
    scenarios: Sequence[str] = ("stacked_cascade",),
    variants: Sequence[str] = ("n2", "n4"),
    sizes: Sequence[str] = ("seed", "medium"),
    launches: int = 6,
    machine: str = "box-1",
    modes: dict[str, str] | None = None,
    drift: float = 1.0,
    seed: int = 0,
) -> Run:
    """Return a run in which JAX takes 0.8 of torch's time and each strategy its true ratio.

    Args:
        run_id: of the run.
        scenarios: measured.
        variants: of each scenario.
        sizes: of each scenario, keys of `SECONDS`.
        launches: of each group.
        machine: id of the machine.
        modes: framework → mode.
        drift: by which every time is multiplied.
        seed: of the drawn times.
    """
    rng = np.random.default_rng(seed)
    records, samples = [], {}
    for cell, true, counted in _cells(scenarios, variants, sizes, modes or MODES):
        record = _record(cell, counted)
        records.append(record)
        time = drift * SECONDS[cell["size"]] * true * SPEED[cell["framework"]]
        samples[sample_key(record)] = _samples(rng, time, launches)
    return Run(
        id=run_id,
        started="2026-11-21T01:02:03+00:00",
        finished="2026-11-21T01:09:03+00:00",
        machine={"id": machine, "cpu": "a CPU", "cores": 2, "torch": "2.13.0", "jax": "0.10.2"},
        settings=settings(scenarios, launches),
        records=[finish(record) for record in estimate_run(records, samples)],
        samples=samples,
    )


def settings(scenarios: Sequence[str], launches: int) -> dict[str, Any]:
    """Return the settings of a session that measured these scenarios."""
    first = {"net1": "value", "net2": "absent"}
    both = {"net1": "value", "net2": "value"}
    flow = {"torch": {"loss1": first, "loss2": both}}
    flow["jax"] = {"loss1": {"net1": "value", "net2": "zero"}, "loss2": both}
    return {
        "launches": launches,
        "wall_seconds": 420.0,
        "worker_seconds": 380.0,
        "margins": {"torch": 0.01, "jax": 0.02},
        "alpha": 0.01,
        "canaries": [
            {"framework": "torch", "canary": "twice", "passed": True, "said": "2.00"},
            {"framework": "jax", "canary": "twice", "passed": True, "said": "2.00"},
        ],
        "flows": {f"{name}/n2": flow for name in scenarios},
        "scenarios": {
            name: {"summary": "deep supervision", "sizes": {"medium": {"width": 512}}}
            for name in scenarios
        },
    }


def _cells(
    scenarios: Sequence[str], variants: Sequence[str], sizes: Sequence[str], modes: dict[str, str]
) -> Iterator[tuple[dict[str, str], float, float]]:
    for scenario in scenarios:
        for variant in variants:
            for size in sizes:
                for framework, mode in modes.items():
                    where = {
                        "scenario": scenario, "variant": variant, "size": size,
                        "framework": framework, "mode": mode, "device": "cpu", "dtype": "float32",
                    }  # fmt: skip
                    for name, (true, counted) in STRATEGIES.items():
                        own = {"kind": "backward", "phase": "backward", "strategy": name}
                        yield {**where, **own}, true, counted
                    for name, (true, counted) in RECIPES[framework].items():
                        own = {"kind": "freeze", "phase": "step", "strategy": name}
                        yield {**where, **own}, true, counted


def _record(cell: dict[str, str], counted: float) -> Record:
    return new_record(
        cell,
        family="cascade",
        baseline="summed" if cell["kind"] == "backward" else "unfrozen",
        rerun=f"pytest benchmarks --benchmark-only --scenario={cell['scenario']}",
        outcome="ok",
        predicted_ratio=counted,
        flops=2e8 * counted,
        steady=True,
        equivalence="pass",
        gradient_error={
            "relative": 3e-7,
            "tensor": "net1.linear1.weight",
            "parameters": {"net1.linear1.weight": 3e-7, "net2.linear1.bias": 1e-7},
        },
        first_call_seconds=0.4,
        residual_bytes=2**20,
        missing=dict.fromkeys(FIGURES, "not measured"),
    )


LATER = "20261122T010203-ab12cd"


def later(drift: float = 1.0, seed: int = 1, machine: str = "box-1") -> Run:
    """Return a run that a later session measured; see `whole_run`."""
    return whole_run(LATER, drift=drift, seed=seed, machine=machine)


def slowed(run: Run, place: int, times: float) -> Run:
    """Multiply the samples of one record of a run, and return the run."""
    key = sample_key(run.records[place])
    run.samples[key] = [np.asarray(launch) * times for launch in run.samples[key]]
    return run


def hostile_run(name: str) -> Run:
    """Return a run in which every text that may come from a file is this name."""
    run = whole_run(sizes=("medium",))
    dashless = name.replace("-", "_")
    scenarios = {dashless: {"summary": name}}
    flow = {f"{dashless}/n2": {name: {name: {name: name}}}}
    settings = run.settings | {"scenarios": scenarios, "flows": flow}
    machine = run.machine | {"cpu": name, "kernel": name}
    records = [
        record | {"scenario": dashless, "family": name, "rerun": name,
                  "missing": dict.fromkeys(record["missing"], name),
                  "gradient_error": {"relative": 1e-6, "tensor": name, "parameters": {name: 1e-6}}}
        for record in run.records
    ]  # fmt: skip
    records[1] |= {"outcome": "crashed", "equivalence": None}
    return dataclasses.replace(run, settings=settings, machine=machine, records=records, samples={})


def _samples(rng: np.random.Generator, time: float, launches: int) -> list[np.ndarray]:
    level = rng.normal(0.0, 0.002, launches)
    return [time * np.exp(level[i] + rng.normal(0.0, 0.01, 8) ** 2) for i in range(launches)]


def run_of_day(day: int, drift: float = 1.0, *, seed: int = 0, **about: Any) -> Run:
    """Return a run of that day of a month; from the 13th on it is of another commit."""
    made = whole_run(f"202611{day:02d}T010203-ab12cd", drift=drift, seed=seed, **about)
    made.machine.update({"commit": COMMITS[day > 12], "dirty": False})
    return made
