"""Make a whole run: hundreds of cells of both kinds and frameworks, estimated as in a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from results.estimates.run_estimates import compare, estimate_run, margins_for
from results.records.record import FIGURES, Record, Run, finish, new_record, sample_key
from results.statistics.verdict import ALPHA

CASCADES = (
    ("conv_cascade", "-"), ("linear_cascade", "-"), ("scaled_cascade", "-"),
    ("severed_cascade", "-"), ("three_network_cascade", "plain"),
    ("stacked_cascade", "n2"), ("stacked_cascade", "n4"),
)  # fmt: skip
FROZEN = (
    ("two_player", "turn_a"), ("gan", "turn_d"), ("gan", "turn_g"), ("frozen_prefix", "-"),
    ("attention_on_frozen_backbone", "gamma05"), ("only_new_layer", "-"),
)  # fmt: skip
MODES = {"torch": "eager", "jax": "jit"}
STRATEGIES = {
    "backward": ("summed", "separate_retained", "boundary_split"),
    "gradient": ("summed", "reforward"),
}
RECIPES = {
    "torch": (
        "unfrozen", "requires_grad_false", "no_grad_forward", "detach", "grad_of_trainable",
        "optimizer_only",
    ),
    "jax": (
        "unfrozen", "stop_gradient", "grad_of_trainable", "partition", "selective_transform",
        "masked", "chain_freeze", "all_gradients",
    ),
}  # fmt: skip
FACTORS = {"separate_retained": 1.5, "reforward": 1.9, "boundary_split": 1.01}


def cells() -> Iterator[dict[str, str]]:
    """Yield the cells of the run."""
    for size in ("seed", "medium"):
        for framework, mode in MODES.items():
            same = {"size": size, "framework": framework, "mode": mode}
            same |= {"device": "cpu", "dtype": "float32"}
            for scenario, variant in CASCADES:
                for phase, strategies in STRATEGIES.items():
                    problem = {"kind": "backward", "scenario": scenario, "variant": variant}
                    for strategy in strategies:
                        yield same | problem | {"phase": phase, "strategy": strategy}
            for scenario, variant in FROZEN:
                problem = {"kind": "freeze", "scenario": scenario, "variant": variant}
                for recipe in RECIPES[framework]:
                    yield same | problem | {"phase": "step", "strategy": recipe}


def whole_run(**known: Any) -> Run:
    """Return a run of 308 cells with six launches each; ``known`` are fields that differ."""
    rng = np.random.default_rng(7)
    records, samples = [], {}
    for cell in cells():
        record = _measured(cell)
        base = (3e-5 if cell["size"] == "seed" else 4e-3) * _factor(cell)
        base *= 1.2 if cell["framework"] == "jax" else 1.0
        record["first_call_seconds"] = 100 * base
        records.append(record)
        scales = base * np.exp(rng.normal(0, 0.004, (6, 1)))
        samples[sample_key(record)] = list(scales * np.exp(rng.normal(0, 0.003, (6, 8))))
    estimated = estimate_run(records, samples)
    standard: dict[str, Any] = {
        "started": "2026-11-21T01:02:03+00:00",
        "finished": "2026-11-21T01:10:15+00:00",
        "machine": MACHINE,
        "settings": {
            "launches": 6, "cell_seconds": 0.05, "seed": 0, "precision": None, "memory": False,
            "wall_seconds": 492.3, "alpha": ALPHA, "stopped": {},
            "margins": margins_for(compare(records, samples)), "canaries": CANARIES,
            "arguments": ["benchmarks", "--benchmark-only"],
        },
        "records": [finish(record) for record in estimated],
        "samples": samples,
    }  # fmt: skip
    return Run("20261121T010203-ab12cd", **(standard | known))


MACHINE = {
    "id": "0123456789ab", "cpu": "AMD EPYC 7763 64-Core Processor", "cores": 2,
    "platform": "Linux x86_64", "python": "3.11.9", "torch": "2.13.0", "jax": "0.10.2",
    "jaxlib": "0.10.2", "flax": "0.12.8", "optax": "0.2.8", "numpy": "2.4.6",
    "commit": "e7177d6f00ba11223344556677889900aabbccdd", "dirty": True,
}  # fmt: skip
CANARIES = [
    {
        "framework": framework, "device": "cpu", "dtype": "float32", "canary": name,
        "passed": True, "said": "as it should", "ratio": None, "tries": 1,
    }
    for framework in MODES
    for name in ("twice", "unsynchronised", "sleep", "wrong_gradient")
]  # fmt: skip


def _factor(cell: dict[str, str]) -> float:
    wasteful = ("unfrozen", "optimizer_only", "chain_freeze", "all_gradients")
    if cell["kind"] == "freeze" and cell["strategy"] not in wasteful:
        return 0.65
    return FACTORS.get(cell["strategy"], 1.0)


def _measured(cell: dict[str, str]) -> Record:
    share, freeze = _factor(cell), cell["kind"] == "freeze"
    figures: dict[str, Any] = {"flops": 1.5e9 * share, "predicted_ratio": share}
    if freeze:
        figures["optimizer_state_bytes"] = 3 * 2**20 if share == 0.65 else 6 * 2**20
        if cell["framework"] == "torch":
            figures["residual_bytes"] = 2**20 if share == 0.65 else 2**21
    command = " ".join(f"--{name}={value}" for name, value in cell.items() if name != "dtype")
    return new_record(
        cell,
        family="cascade",
        baseline="unfrozen" if freeze else "summed",
        rerun=f"pytest benchmarks --benchmark-only {command}",
        outcome="ok",
        equivalence="pass",
        gradient_error={"relative": 2.1e-7, "tensor": "net1.linear.weight"},
        steady=True,
        missing=dict.fromkeys(FIGURES, "not measured"),
        **figures,
    )
