"""Hold the two frameworks' sides of one file to each other: losses, gradients, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.protocol import equivalence
from results.own_code.schema import Pair

Gradients = Mapping[str, NDArray[Any]]

# Largest relative difference of a loss, or of the gradient by a parameter. Two programs of one
# network differ in float64 by rounding; another epsilon or activation differs by 1e-7 and more.
ALLOWED = 1e-9
ALLOWED_IN_FLOAT32 = 1e-3  # where either side computes in float32, in whole or in part
ALONE = "or measure one framework alone: --framework torch"
LOOK = (
    "look for another epsilon, activation, mean or sum, and for another layout of the batch or of "
    f"the weights; {ALONE}"
)
RANDOM = (
    "the frameworks draw other random numbers from the same seed: leave Dropout and noise out of "
    f"the case, {ALONE}"
)


def prove(torch: CaseFiles, jax: CaseFiles) -> Pair:
    """Return whether both sides compute the same losses and gradients from the same weights.

    Args:
        torch: the examined case in PyTorch.
        jax: the one in JAX, which started from torch's weights.
    """
    allowed = ALLOWED if _exact(torch) and _exact(jax) else ALLOWED_IN_FLOAT32
    losses = _loss_errors(torch.known["values"], jax.known["values"])
    gradients = gradient_errors(torch, jax)
    worst = max(gradients, key=lambda name: gradients[name], default="")
    return {
        "weights": jax.known["weights"],
        "batch": jax.known["taken"],
        "loss_error": max(losses.values(), default=0.0),
        "gradient_error": gradients.get(worst, 0.0),
        "gradient_of": worst,
        "allowed": allowed,
        "problem": next(_problems(torch, jax, losses, gradients, allowed), None),
        "rows": [],
    }


def _exact(files: CaseFiles) -> bool:
    """Return whether a reference is of float64 throughout."""
    return files.dtype == "float64" and not files.known["coarse"]


def _loss_errors(torch: Mapping[str, float], jax: Mapping[str, float]) -> dict[str, float]:
    """Return the relative difference of each loss that both sides have."""
    scale = {name: max(abs(torch[name]), abs(jax[name])) for name in torch if name in jax}
    return {n: abs(torch[n] - jax[n]) / size if size else 0.0 for n, size in scale.items()}


def gradient_errors(torch: CaseFiles, jax: CaseFiles) -> dict[str, float]:
    """Return the relative difference of the gradient by each parameter, under torch's names.

    It is relative to the gradient by that parameter, or to a small share of its network's where
    that is larger: the gradient by a parameter without influence is rounding.
    """
    true, found = torch.gradient(), jax.gradient("pulled.npz")
    true = {name: true.get(name, np.zeros(array.shape)) for name, array in found.items()}
    networks = list(torch.known["networks"])
    scales = equivalence.norms(true, networks)
    errors = {}
    for name, array in found.items():
        least = equivalence.DEAD * scales[equivalence.network_of(name, networks)]
        scale = max(float(np.linalg.norm(true[name])), least)
        difference = float(np.linalg.norm(array - true[name].astype(np.float64)))
        nothing = 0.0 if difference == 0 else float("inf")
        errors[name] = difference / scale if scale else nothing
    return errors


def _problems(
    torch: CaseFiles,
    jax: CaseFiles,
    losses: Mapping[str, float],
    gradients: Mapping[str, float],
    allowed: float,
) -> Iterator[str]:
    """Yield in a line each what differs between the two sides, and what to do."""
    ours, theirs = torch.known["values"], jax.known["values"]
    for name in dict.fromkeys((*ours, *theirs)):
        if name not in losses:
            where, other = ("torch", "JAX") if name in ours else ("JAX", "torch")
            yield f"the loss {name!r} of {where} is missing in {other}; return it there, {ALONE}"
    random = torch.known["random"] or jax.known["random"]
    for name, error in losses.items():
        if not error <= allowed:
            yield (
                f"from the same weights the loss {name!r} is {ours[name]:.9g} in torch and "
                f"{theirs[name]:.9g} in JAX, relative difference {error:.2g}; "
                f"{RANDOM if random else LOOK}"
            )
    yield from _frozen_problems(torch, jax)
    wrong = {name: error for name, error in gradients.items() if not error <= allowed}
    if wrong:
        worst = max(wrong, key=lambda name: wrong[name])
        yield (
            f"the gradients by {worst} differ between torch and JAX: relative difference "
            f"{wrong[worst]:.2g}, allowed {allowed:.0e} ({len(wrong)} of {len(gradients)} "
            f"parameters differ); {RANDOM if random else LOOK}"
        )


def _frozen_problems(torch: CaseFiles, jax: CaseFiles) -> Iterator[str]:
    """Yield a line for a parameter that one side freezes and the other trains."""
    ours, theirs = set(torch.known["frozen"]), set(jax.known["frozen"])
    for name, _, *origins in jax.known["weights"]:
        for origin in origins:
            if (origin in ours) != (name in theirs):
                frozen, trained = ("torch", "JAX") if origin in ours else ("JAX", "torch")
                yield (
                    f"{origin} is frozen in {frozen} and trained in {trained}; give both the same "
                    f"frozen=[…], {ALONE}"
                )
