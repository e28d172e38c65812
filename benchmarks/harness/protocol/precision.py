"""Say in which precision modes a cell can be computed, and how far its gradients may be off there.

In every mode parameters, gradients and optimizer state are float32; the mode says in what the
networks compute. ``ieee`` is full float32, the default. ``tf32`` multiplies in TF32, which GPUs
alone have. ``bf16`` computes in bfloat16: in torch under autocast, in JAX by casting at the entry
of each network. ``docs/method.md`` says what is in which dtype.
"""

from __future__ import annotations

from benchmarks.harness.protocol.messages import GateRules

IEEE, TF32, BF16 = "ieee", "tf32", "bf16"
PRECISION_MODES = (IEEE, TF32, BF16)
NO_TF32 = "only a GPU multiplies in TF32, and the device is cpu"
# Scenarios with a binary cross-entropy of probabilities: on CUDA torch raises an error where it is
# called under autocast.
UNSAFE_LOSSES = ("three_network_cascade", "gan")
UNSAFE = (
    "torch refuses a binary cross-entropy of probabilities under autocast on CUDA, where 1 - p "
    "would lose its digits"
)
NOT_COMPILED = (
    "a forward pass that is compiled under autocast failed where it was tried, in torch 2.13: "
    "'Expected gradient function to be set'"
)
DEEP = ("n8", "n16", "front4", "back4")  # variants of `stacked_cascade`, of 15 layers and more
TOO_DEEP = (
    "in bfloat16 activations of so deep a stack fall on the other side of a kink, and change its "
    "gradients by 30 % and more: more than a missing loss would, so that nothing could be proven"
)
HIDDEN = (
    "the commitment loss changes every gradient by less than bfloat16 may, and a code near a tie "
    "may be another one: that this loss is missing could not be told"
)
# Largest relative error of one rounding, half the distance from 1 to the next number.
ROUNDING = {TF32: 2.0**-11, BF16: 2.0**-8}
# Bounds of a relative difference, in roundings: see `bounds`. With `MOST`, 0.28 in bfloat16, a loss
# that is left out or counted twice changes some tensor by more in every scenario at size `seed`,
# but in the stacks of `DEEP`.
FIXED, PER_LAYER, MOST = 16, 8, 72
MOST_OF_ONE = 128  # where there is one loss: to leave it out, or count it twice, changes all by 1
ZERO_GRADIENT = 16  # of an element whose true gradient is 0, as a share of its network's norm


def reason_against(
    precision_mode: str,
    dtype: str,
    device: str,
    framework: str,
    mode: str,
    scenario: str,
    variant: str,
) -> str | None:
    """Return why a cell with these fields cannot be computed in a precision mode; None if it can.

    Args:
        precision_mode: one of `PRECISION_MODES`.
        dtype: of weights and data.
        device: ``cpu`` or ``cuda``.
        framework, mode, scenario, variant: of the cell.
    """
    if precision_mode == IEEE:
        return None
    if dtype != "float32":
        return f"{precision_mode} lowers the precision of float32, and weights and data are {dtype}"
    if precision_mode == TF32:
        return NO_TF32 if device == "cpu" else None
    if scenario == "stacked_cascade" and variant in DEEP:
        return TOO_DEEP
    if scenario == "straight_through":
        return HIDDEN
    if framework == "torch" and mode != "eager":
        return NOT_COMPILED
    banned = framework == "torch" and device == "cuda" and scenario in UNSAFE_LOSSES
    return UNSAFE if banned else None


def bounds(mode: str, layers: int, losses: int, optimizer: str) -> GateRules:
    """Return the bounds of the gate for cells that are timed in a lower precision.

    They replace those of float32, by which the same cells are checked in float32 before. Each layer
    rounds its input, weight and output, and their cotangents: `PER_LAYER` roundings that may add
    up. `FIXED` are of the losses, and of activations that fall on the other side of a kink.

    Args:
        mode: ``tf32`` or ``bf16``.
        layers: how many layers with weights the problem has.
        losses: how many losses it has.
        optimizer: ``sgd``, ``adam`` or ``adamw``. A step of plain SGD is as far off as its
            gradient. Adam's first step has the size of its rate and the sign of the gradient,
            which is noise in a share of the elements: half of the relative error at most.
    """
    rounding = ROUNDING[mode]
    most = MOST if losses > 1 else MOST_OF_ONE
    allowed = min(most, FIXED + PER_LAYER * layers) * rounding
    update: GateRules = {"wrong_signs": min(allowed, MOST * rounding) / 2.0}
    if optimizer == "sgd":
        update = {"update_allowed": allowed}
    return {"allowed": allowed, "zero_allowed": ZERO_GRADIENT * rounding, **update}
