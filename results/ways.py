"""Name the ways to run backward passes and to freeze a part, each with a few plain words beside it.

A way has one name: the one that ``--strategy`` takes and records hold. Wherever people read it,
`way_title` puts the words behind it in the same form, so that nobody has to know the names by
heart, and nobody meets the same way under two names.
"""

from __future__ import annotations

WORDS = {
    "summed": "one pass of the sum",
    "multi_root": "one pass from all losses",
    "separate_retained": "a pass for each loss",
    "separate_grad": "a gradient call for each loss",
    "separate_pullbacks": "a pullback for each loss",
    "boundary_split": "cut between networks",
    "reforward": "forward again for each loss",
    "reforward_no_sync": "reduced in the last pass",
    "batched": "all cotangents in one batch",
    "functional": "torch.func.vjp of the sum",
    "checkpointed": "inside of networks computed again",
    "unfrozen": "nothing frozen",
    "requires_grad_false": "autograd told",
    "no_grad_forward": "frozen under no_grad",
    "detach": "cut after the frozen part",
    "grad_of_trainable": "gradient of the rest",
    "optimizer_only": "not in the optimizer",
    "partition": "no update by optax",
    "stop_gradient": "frozen as constants",
    "selective_transform": "Adam on the rest",
    "masked": "two masks in optax",
    "chain_freeze": "update zeroed after Adam",
    "all_gradients": "no update, all returned",
    "rate_zero": "learning rate 0",
    "inference_mode": "frozen in inference mode",
    "scale_zero": "update times 0",
    "traced_mask": "update times a mask",
    "cond": "gradient by lax.cond",
}
JOINT = " · "  # between name and words, wherever both stand


def way_title(way: str) -> str:
    """Return a way's name with its words: ``separate_retained · a pass for each loss``.

    Args:
        way: its name. That of a user's own way stands alone; a repeated copy, ``summed@again``,
            has the words of the way that it repeats.
    """
    words = WORDS.get(way.partition("@")[0])
    return f"{way}{JOINT}{words}" if words else way


def way_titles(ways: list[str]) -> list[str]:
    """Return `way_title` of each of these ways, in their order."""
    return [way_title(way) for way in ways]
