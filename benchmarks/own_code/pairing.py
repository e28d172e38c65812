"""Compare the PyTorch and the JAX case of one file: losses, gradients, frozen parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.case_messages import BY_TORCH_PARAMETERS
from results.own_code.schema import Pair

Gradients = Mapping[str, NDArray[Any]]

# Largest relative difference of a loss, or of the gradient with respect to a parameter. In float64
# two implementations of one network differ by rounding alone; a different epsilon or activation
# changes results by 1e-7 and more.
FLOAT64_TOLERANCE = 1e-9
# Where either side computes anything in float32: too wide to notice a different epsilon.
FLOAT32_TOLERANCE = 1e-3
SINGLE_FRAMEWORK_HINT = "or measure one framework alone: --framework torch or --framework jax"
MISMATCH_HINT = (
    "check that both use the same epsilon, activation, loss reduction (mean or sum), and the same "
    f"layout of batch and weights; {SINGLE_FRAMEWORK_HINT}"
)
RANDOMNESS_HINT = (
    "the case is random, and the frameworks draw different numbers from the same seed: leave "
    f"Dropout and noise out of the case, {SINGLE_FRAMEWORK_HINT}"
)


def compare_sides(torch: CaseFiles, jax: CaseFiles) -> Pair:
    """Compare the losses and gradients that PyTorch and JAX compute from the same weights.

    Args:
        torch: losses and float64 gradients of the PyTorch case.
        jax: those of the JAX case, which started from torch's weights.

    Returns:
        The largest relative differences, what is allowed, and as ``problem`` the first thing that
        differs, in a line; None where nothing does. ``rows`` stays empty: nothing is timed yet.
    """
    in_float64 = is_float64(torch) and is_float64(jax)
    allowed = FLOAT64_TOLERANCE if in_float64 else FLOAT32_TOLERANCE
    losses = _loss_errors(torch.known_facts["values"], jax.known_facts["values"])
    gradients = gradient_errors(torch, jax)
    worst = max(gradients, key=lambda name: gradients[name], default="")
    return {
        "weights": jax.known_facts["weights"],
        "batch": jax.known_facts["taken"],
        "loss_error": max(losses.values(), default=0.0),
        "gradient_error": gradients.get(worst, 0.0),
        "gradient_of": worst,
        "allowed": allowed,
        "problem": next(_problems(torch, jax, losses, gradients, allowed), None),
        "rows": [],
    }


def is_float64(files: CaseFiles) -> bool:
    """Return whether a case computes in float64 throughout: no part of it is coarser."""
    return files.dtype == "float64" and not files.known_facts["coarse"]


def _loss_errors(torch: Mapping[str, float], jax: Mapping[str, float]) -> dict[str, float]:
    """Return the relative difference of each loss that both sides have."""
    scale = {name: max(abs(torch[name]), abs(jax[name])) for name in torch if name in jax}
    return {n: abs(torch[n] - jax[n]) / size if size else 0.0 for n, size in scale.items()}


def gradient_errors(torch: CaseFiles, jax: CaseFiles) -> dict[str, float]:
    """Return torch's name of a parameter → relative difference, see `relative_errors`."""
    of_jax = jax.gradient(BY_TORCH_PARAMETERS)  # under torch's names and in its layouts
    return relative_errors(torch.gradient(), of_jax, list(torch.known_facts["networks"]))


def relative_errors(true: Gradients, other: Gradients, networks: list[str]) -> dict[str, float]:
    """Return name of a parameter of ``other`` → relative difference from the true gradient.

    It is the L2 norm of the difference, divided by that of the true gradient with respect to the
    parameter, or by `equivalence.DEAD` times that of its whole network where this is larger: a
    parameter without influence has rounding for a gradient. Where both are 0, a difference is
    infinite. A gradient that ``true`` lacks is 0.
    """
    true = {name: true.get(name, np.zeros(array.shape)) for name, array in other.items()}
    scales = equivalence.norms(true, networks)
    errors = {}
    for name, array in other.items():
        least = equivalence.DEAD * scales[equivalence.network_of(name, networks)]
        scale = max(float(np.linalg.norm(true[name])), least)
        difference = float(np.linalg.norm(array - true[name].astype(np.float64)))
        without_scale = 0.0 if difference == 0 else float("inf")
        errors[name] = difference / scale if scale else without_scale
    return errors


def _problems(
    torch: CaseFiles,
    jax: CaseFiles,
    losses: Mapping[str, float],
    gradients: Mapping[str, float],
    allowed: float,
) -> Iterator[str]:
    """Yield a line for each difference between the two cases, with what to do."""
    of_torch, of_jax = torch.known_facts["values"], jax.known_facts["values"]
    for name in dict.fromkeys((*of_torch, *of_jax)):
        if name not in losses:
            where, other = ("torch", "JAX") if name in of_torch else ("JAX", "torch")
            yield (
                f"the loss {name!r} of {where} is missing in {other}; return it from that case "
                f"too, {SINGLE_FRAMEWORK_HINT}"
            )
    random = torch.known_facts["random"] or jax.known_facts["random"]
    for name, error in losses.items():
        if not error <= allowed:
            yield (
                f"from the same weights the loss {name!r} is {of_torch[name]:.9g} in torch and "
                f"{of_jax[name]:.9g} in JAX, relative difference {error:.2g}; "
                f"{RANDOMNESS_HINT if random else MISMATCH_HINT}"
            )
    yield from _frozen_problems(torch, jax)
    wrong = {name: error for name, error in gradients.items() if not error <= allowed}
    if wrong:
        worst = max(wrong, key=lambda name: wrong[name])
        yield (
            f"the gradients with respect to {worst} differ between torch and JAX: relative "
            f"difference {wrong[worst]:.2g}, allowed {allowed:.0e} ({len(wrong)} of "
            f"{len(gradients)} parameters differ); {RANDOMNESS_HINT if random else MISMATCH_HINT}"
        )


def _frozen_problems(torch: CaseFiles, jax: CaseFiles) -> Iterator[str]:
    """Yield a line for a parameter that one side freezes and the other trains."""
    in_torch, in_jax = set(torch.known_facts["frozen"]), set(jax.known_facts["frozen"])
    for name, _, *origins in jax.known_facts["weights"]:
        for origin in origins:
            if (origin in in_torch) != (name in in_jax):
                frozen, trained = ("torch", "JAX") if origin in in_torch else ("JAX", "torch")
                yield (
                    f"{origin} ({name} in JAX) is frozen in {frozen} and trained in {trained}; "
                    f"list it in frozen=[…] of both cases or of neither, {SINGLE_FRAMEWORK_HINT}"
                )
