"""Make comparisons of two versions, as `regress` would have saved them, from drawn times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.regression import document as regression

SCENARIOS = ("conv_cascade", "linear_cascade", "stacked_cascade", "gan", "autoencoder")


def cells(frameworks: Sequence[str] = ("torch", "jax")) -> list[dict[str, str]]:
    """Return five cells of each framework, in the order of `SCENARIOS`."""
    return [
        {
            "kind": "backward", "scenario": scenario, "variant": "-", "size": "small",
            "framework": framework, "mode": "eager" if framework == "torch" else "jit",
            "strategy": "summed", "phase": "gradient", "device": "cpu", "dtype": "float32",
            "precision_mode": "ieee",
        }
        for framework in frameworks
        for scenario in SCENARIOS
    ]  # fmt: skip


def comparison(
    slower: Mapping[int, float] | None = None,
    *,
    pairs: int = 24,
    taken: Sequence[int] = (10, 16, 24),
    spread: float = 0.009,
    control: Mapping[int, float] | None = None,
    frameworks: Sequence[str] = ("torch", "jax"),
    seed: int = 0,
) -> dict[str, Any]:
    """Return a comparison with drawn times.

    Args:
        slower: index of a cell → by what share head takes longer than base.
        pairs: launch pairs measured.
        taken: the numbers of pairs at which the comparison was looked at.
        spread: standard deviation of the logarithm of a time.
        control: index of a cell → by what share the second measurement of base takes longer.
        frameworks: whose cells there are.
        seed: of the drawn times.
    """
    rng = np.random.default_rng(seed)
    side = {"label": "main", "commit": "0" * 40, "changed": 0, "python": "python",
            "versions": {"python": "3.11.7", "torch": "2.13.0", "jax": "0.10.2"}}  # fmt: skip
    document = regression.new_document(
        cells(frameworks),
        id="20261121T010203-ab12cd",
        started="2026-11-21T01:02:03+00:00",
        machine={"id": "box-1"},
        arguments=["main", "--budget", "10m"],
        sides={"base": side, "head": {**side, "label": "the work tree"}},
        seed=0,
        budget_seconds=600.0,
        design=regression.new_design(),
    )
    shares = [min(1.0, count / 24) for count in taken]
    document["design"] |= {"looks": [], "taken": list(taken), "shares": shares}
    document["pairs"] = pairs
    for place, entry in enumerate(document["cells"]):
        more = np.log1p([0.0, (slower or {}).get(place, 0.0), (control or {}).get(place, 0.0)])
        for metric in ("wall", "cpu"):
            logs = np.log(2e-3) + rng.normal(0.0, spread, (pairs, 3)) + more
            entry["seconds"][metric] = np.exp(logs).tolist()
    return document
