"""Decide which strategy or recipe of JAX does the work of which one of torch.

Two cells are compared across the frameworks where both compute the same gradients by the same
products, and their optimizers hold the same parameters. Strategies that do so have one name.
Recipes of a freeze often have not, as each framework freezes by other means. No cell has more than
one counterpart in a mode.
"""

from __future__ import annotations

from typing import NamedTuple


class Counterpart(NamedTuple):
    """Name a recipe of torch and the one of JAX that does the same work, with the reason.

    ``saves`` is whether the two compute fewer gradients than with nothing frozen. The times of
    those that do not say what those of the baseline say already.
    """

    torch: str
    jax: str
    saves: bool
    reason: str


COUNTERPARTS = (
    Counterpart("unfrozen", "unfrozen", False, "nothing is frozen"),
    Counterpart(
        "requires_grad_false",
        "grad_of_trainable",
        True,
        "the frozen parameters are not differentiated, the usual way in each framework",
    ),
    Counterpart(
        "detach",
        "stop_gradient",
        True,
        "the frozen part runs as it always does, and the gradient is stopped on its way into it",
    ),
    Counterpart(
        "optimizer_only",
        "all_gradients",
        False,
        "every gradient is computed, and the optimizer holds the trained parameters alone",
    ),
    Counterpart(
        "rate_zero",
        "rate_zero",
        False,
        "every gradient is computed, and the optimizer holds all parameters, some at a rate of 0",
    ),
)
# Recipes without a counterpart, with the reason.
ALONE = {
    "torch": {
        "no_grad_forward": "JAX records nothing of what it does not differentiate anyway",
        "inference_mode": "JAX has no such mode",
        "grad_of_trainable": "JAX's recipe of this name is torch's `requires_grad_false`: JAX "
        "keeps nothing for the frozen part, torch keeps all",
    },
    "jax": {
        "partition": "written like `optimizer_only`; XLA removes the gradients that nothing reads",
        "selective_transform": "as `partition`",
        "masked": "as `partition`",
        "chain_freeze": "the optimizer keeps a state for what is frozen, too",
        "scale_zero": "as `all_gradients`, and nothing is returned",
        "traced_mask": "as `chain_freeze`, by an argument",
        "cond": "torch decides anew in each step anyway, by `requires_grad_`",
    },
}
# Strategies of one name that do different work in a mode of JAX, with the reason.
UNLIKE = {
    ("separate_grad", "eager"): "each jax.grad has a forward pass of its own, torch's share one",
}


def counterpart(kind: str, torch: str, jax_mode: str) -> str | None:
    """Return the name in JAX of what does the work of a strategy or recipe of torch.

    None if there is none. The counterpart of a copy, such as ``summed@again``, is that copy.

    Args:
        kind: ``backward`` or ``freeze``.
        torch: the strategy's or recipe's name in torch.
        jax_mode: the mode of JAX.
    """
    name, at, copy = torch.partition("@")
    if kind != "freeze":
        return None if (name, jax_mode) in UNLIKE else torch
    jax = next((pair.jax for pair in COUNTERPARTS if pair.torch == name), None)
    return None if jax is None else f"{jax}{at}{copy}"


def saves(torch: str) -> bool:
    """Return whether a recipe of torch and its counterpart compute fewer gradients."""
    return any(pair.saves for pair in COUNTERPARTS if pair.torch == torch.partition("@")[0])
