"""Describe in words the scenarios whose networks are no plain series."""

from __future__ import annotations

from benchmarks.evaluation.description import Description

ROUNDING = """\
x ──▶ encoder ──▶ z ──▶ codebook ──▶ code ──▶ z + stop(code − z) ──▶ decoder
                                      │                                 │
                                      ▼                                 ▼
               loss_codebook: stop(z), code                    loss_reconstruction
               loss_commitment: z, stop(code)"""
TEACHER = """\
other ──▶ teacher (frozen) ──[ stop ]──▶ loss_consistency
                                               ▲
x ──▶ student ─────────────────────────────────┴──▶ probe ──▶ loss_probe

after each step: teacher ← 0.99 · teacher + 0.01 · student"""
ENCODER = (
    "Conv(3→c, 3×3) without bias · BatchNorm · ReLU · Conv(c→2c, 3×3) · ReLU · mean over the "
    "pixels · Linear 2c→c, c = `channels`"
)


def _fork(backbone: str, second: str) -> str:
    """Return the drawing of a backbone with two heads.

    Args:
        backbone: what stands for it.
        second: what stands for its second head.
    """
    front = f"x ──▶ {backbone} ──"
    first = f"{front}┬──▶ heads.classes ──▶ loss1"
    return f"{first}\n{' ' * len(front)}└──▶ {second} ──▶ loss2"


BRANCHES = {
    "shared_backbone": Description(
        shows=(
            "The everyday case of several losses: heads on one backbone. A loss reaches the "
            "backbone and its own head, never the other's.",
            "A backward pass for each loss walks the backbone once more, and each head once "
            "either way. The products are counted by hand.",
            "A head that is frozen is passed through; on a frozen backbone nothing in front of "
            "the heads needs a gradient.",
        ),
        networks={
            "backbone": "Conv(1→6w, 5×5) · ReLU · pool · Conv(6w→16w, 5×5) · ReLU · pool, "
            "w = `width`",
            "heads.classes": "Linear 400w→10",
            "heads.values": "Linear 400w→4",
        },
        losses={
            "loss1": "cross-entropy over 10 classes",
            "loss2": "half of the mean squared error of 4 values",
        },
        data="Normal 1×32×32 images with random labels, and 4 normal values for each.",
        variants={
            "plain": "everything is trained",
            "frozen_head": "the second head keeps still; its loss trains the backbone, through it",
            "frozen_backbone": "both heads are trained on a backbone that keeps still",
        },
        drawings={
            "plain": _fork("backbone", "heads.values"),
            "frozen_head": _fork("backbone", "heads.values (frozen)"),
            "frozen_backbone": _fork("backbone (frozen)", "heads.values"),
        },
    ),
    "straight_through": Description(
        shows=(
            "Rounding has no gradient of use. It is passed straight through: the encoder gets the "
            "one that came for the rounded values, which is no slope of the loss.",
            "Three losses train a part each, by where a gradient is stopped: all nine entries of "
            "the flow are proven, and what each stop that is left out changes.",
            "No value lies so near between two codes that rounding would decide; seeds are chosen "
            "by that.",
        ),
        networks={
            "encoder": "Linear `inputs`→`hidden` · ReLU · Linear `hidden`→`width`",
            "codebook": "a table [`codes`, `width`]: the code that is nearest to each value",
            "decoder": "Linear `width`→`hidden` · ReLU · Linear `hidden`→`inputs`",
        },
        losses={
            "loss_codebook": "mean squared distance of the codes to the values that they stand "
            "for, these stopped",
            "loss_commitment": "a quarter of the mean squared distance of the values to their "
            "codes, these stopped",
            "loss_reconstruction": "mean squared error of the decoder's output to the input",
        },
        data="Normal numbers.",
        drawings={"-": ROUNDING},
    ),
    "momentum_teacher": Description(
        shows=(
            "The loss that holds the student to the teacher may not change the teacher. The ways "
            "to keep it out are the recipes: no gradients while it runs, its output detached, its "
            "parameters stopped, or no argument that is differentiated by.",
            "The teacher moves by the average alone: bit by bit what the formula gives.",
            "Buffers are no parameters. An average that leaves them behind gives the teacher new "
            "weights and old statistics (`buffers_forgotten`), and another output.",
            "The average stands outside what is timed as a step.",
        ),
        networks={
            "teacher": f"{ENCODER}; in eval mode, and equal to the student at the start",
            "student": f"{ENCODER}; in train mode",
            "probe": "Linear c→10, c = `channels`",
        },
        losses={
            "loss_consistency": "mean squared distance of the student's output to the teacher's "
            "for another view",
            "loss_probe": "cross-entropy of the probe over 10 classes",
        },
        data="Normal 3-channel images with edges of `side` and random labels; the other view is "
        "the image with noise upon it.",
        drawings={"-": TEACHER},
    ),
}
