"""Give each way one colour and one shape, which no chart uses for anything else.

The colours are none of those of the frameworks, and distinct for colour-blind readers together with
the shapes, on white and on black.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from results.report.drawing import Mark

if TYPE_CHECKING:
    import altair

VIOLET, OCHRE, TEAL, PINK = "#7c5cc9", "#a67c00", "#1a8f83", "#d1569b"
BROWN, MOSS, GREY, PLUM = "#8f5f3d", "#6b9440", "#868c95", "#a04a78"
STEEL, ROSE, OLIVE = "#5b7f95", "#c97064", "#8c8a2e"
# strategy or recipe → its colour and shape; those that stand in one chart have different colours
WAY_MARKS = {
    "separate_retained": (VIOLET, "circle"),
    "boundary_split": (OCHRE, "square"),
    "reforward": (TEAL, "diamond"),
    "separate_grad": (PINK, "triangle-up"),
    "separate_pullbacks": (BROWN, "triangle-down"),
    "batched": (MOSS, "cross"),
    "functional": (GREY, "triangle-right"),
    "multi_root": (PLUM, "triangle-left"),
    "checkpointed": (STEEL, "square"),
    "grad_of_trainable": (VIOLET, "square"),
    "requires_grad_false": (TEAL, "circle"),
    "no_grad_forward": (OCHRE, "triangle-up"),
    "detach": (PINK, "cross"),
    "optimizer_only": (GREY, "diamond"),
    "partition": (TEAL, "triangle-down"),
    "stop_gradient": (PINK, "triangle-right"),
    "selective_transform": (BROWN, "cross"),
    "masked": (OCHRE, "diamond"),
    "chain_freeze": (MOSS, "triangle-left"),
    "all_gradients": (GREY, "circle"),
    "rate_zero": (STEEL, "circle"),
    "scale_zero": (PLUM, "triangle-up"),
    "traced_mask": (ROSE, "square"),
    "cond": (OLIVE, "circle"),
}
# for ways from outside the suite, in the order of their first mark
OTHER_COLOURS = (PLUM, BROWN, MOSS, PINK, OCHRE, TEAL, VIOLET, GREY)
OTHER_SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


def way_scales(marks: Iterable[Mark]) -> tuple[altair.Scale, altair.Scale]:
    """Return the scales of colour and shape for the ways of these marks.

    Args:
        marks: with the fields ``strategy`` and ``named``, the title of the way.
    """
    import altair

    titles = {str(mark["named"]): str(mark["strategy"]) for mark in marks}
    marked = [_mark_of(way, place) for place, way in enumerate(titles.values())]
    domain, colours, shapes = list(titles), [one[0] for one in marked], [one[1] for one in marked]
    return altair.Scale(domain=domain, range=colours), altair.Scale(domain=domain, range=shapes)


def _mark_of(way: str, place: int) -> tuple[str, str]:
    """Return the colour and the shape of a way.

    Args:
        place: the index of the way in its chart, which decides for one from outside the suite.
    """
    other = OTHER_COLOURS[place % len(OTHER_COLOURS)], OTHER_SHAPES[place % len(OTHER_SHAPES)]
    return WAY_MARKS.get(way.partition("@")[0], other)
