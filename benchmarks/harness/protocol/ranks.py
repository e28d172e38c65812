"""Say what there is of kind ``distributed``: wrappers, strategies, and what cannot be.

A cell of this kind is measured by several ranks, each with its share of the batch: in torch
processes, in JAX devices of one process. Its mode names the wrapper and how many ranks there are,
such as ``ddp_one_x2``, so that cells of 2 and of 4 ranks never share a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DISTRIBUTED = "distributed"  # the kind
DEFAULT_RANKS, MOST_RANKS = 2, 64
# What reduces the gradients. torch: DDP around everything, or around each network, or FSDP2 around
# each network, which shards parameters and gradients. JAX: shardings of the arguments of jit, or
# `shard_map` with one mean over the ranks at its end.
WRAPPERS = {"torch": ("ddp_one", "ddp_each", "fsdp_each"), "jax": ("sharded_jit", "shard_map")}
DDP, SHARDING = ("ddp_one", "ddp_each"), ("fsdp_each",)
STRATEGIES = {
    "torch": (
        "summed",
        "multi_root",
        "separate_retained",
        "boundary_split",
        "reforward",
        "reforward_no_sync",
    ),
    "jax": ("summed", "separate_retained", "separate_grad", "boundary_split", "reforward"),
}
PHASES = ("gradient", "step")  # a wrapper reduces in the backward pass of a forward pass of its own
# Every loss of these is a mean over the batch, and no layer looks across it: the gradient of the
# whole batch is the mean of the gradients of equal shares.
SCENARIOS = ("linear_cascade", "stacked_cascade")

READY_TWICE = (
    'one DDP wrapper raises RuntimeError: "Expected to mark a variable ready only once", as the '
    "second backward pass reaches again what the first has reduced; sum the losses"
)
NOT_REDUCED = (
    "silently wrong, and so never timed: DDP does not reduce what a second backward pass adds to "
    "gradients that it has reduced, and the ranks drift apart; sum the losses"
)
UNFINISHED = (
    'one DDP wrapper raises RuntimeError: "Expected to have finished reduction in the prior '
    'iteration", as the first pass does not reach every network; use reforward_no_sync'
)
RESIDUALS_LEAVE = (
    "the residuals of a pullback that leaves a mapped function would each need a spec of their "
    "own; use separate_grad, which pulls back inside"
)


def mode_name(wrapper: str, ranks: int) -> str:
    """Return the mode of a cell: the wrapper and the number of ranks."""
    return f"{wrapper}_x{ranks}"


def split_mode(mode: str) -> tuple[str, int]:
    """Return the wrapper and the number of ranks of a mode.

    Raises:
        ValueError: the mode is none of several ranks.
    """
    wrapper, _, ranks = mode.rpartition("_x")
    if not wrapper or not ranks.isdigit():
        raise ValueError(f"mode {mode!r} names no wrapper and number of ranks, as ddp_one_x2 does")
    return wrapper, int(ranks)


def reason_against(
    scenario: str,
    batch: int,
    device: str,
    mode: str,
    strategy: str,
    flow: Mapping[str, Sequence[str]],
) -> str | None:
    """Return why a cell of several ranks cannot exist, or is never timed; None if it can.

    Args:
        scenario: its name.
        batch: its size.
        device: ``cpu`` or ``cuda``.
        mode: wrapper and ranks.
        strategy: of the cell.
        flow: loss → the networks that it may change.
    """
    wrapper, ranks = split_mode(mode)
    if device != "cpu":
        return "several ranks are measured on a CPU alone"
    if scenario not in SCENARIOS:
        return f"its batch is not known to be divisible; those are {', '.join(SCENARIOS)}"
    if batch % ranks:
        return f"a batch of {batch} cannot be shared equally by {ranks} ranks"
    if (wrapper, strategy) == ("shard_map", "separate_retained"):
        return RESIDUALS_LEAVE
    if wrapper in DDP:
        return _reason_of_ddp(wrapper, strategy, [set(nets) for nets in flow.values() if nets])
    return None


def _reason_of_ddp(wrapper: str, strategy: str, passes: list[set[str]]) -> str | None:
    """Return why DDP rules a strategy out; None if it does not.

    Args:
        wrapper: ``ddp_one`` or ``ddp_each``.
        strategy: of the cell.
        passes: the trained networks that each backward pass reaches.
    """
    everything = set[str]().union(*passes)
    again = len(passes) > 1 and sum(map(len, passes)) > len(everything)
    whole = all(one == everything for one in passes)
    if strategy == "separate_retained" and again:
        return READY_TWICE if wrapper == "ddp_one" and passes[0] != everything else NOT_REDUCED
    if strategy == "reforward" and wrapper == "ddp_one" and not whole:
        return UNFINISHED
    return None
