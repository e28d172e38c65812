"""Count which framework is faster: over networks, by their layers, and over all that was paired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.estimates.cross_framework import FrameworkRatio
from results.formatting import significant
from results.grouping import group_by
from results.report.model import Cell, Row, Table, missing
from results.report.record_cells import network_name
from results.report.vocabulary import LINEAR_ALONE, WITH_ATTENTION, WITH_CONVOLUTIONS, layers_of

TITLES = {"torch": "torch faster", "jax": "JAX faster", "": "not told"}
KEY = "Orange: torch is faster, blue: JAX is, grey: not told."


def title(chosen: Sequence[FrameworkRatio]) -> str:
    """Return the finding: on how many networks each framework is faster.

    Networks with convolutions and others are told apart where there are both.

    Args:
        chosen: a pair for each network, all of one combination of modes.
    """
    modes = f"({chosen[0].torch['mode']} torch, {chosen[0].jax['mode']} JAX)"
    parts = layer_groups(chosen)
    if len(parts) < 2:
        faster = Counter(winner(pair) for pair in chosen)
        networks = f"{len(chosen)} network{'s' * (len(chosen) > 1)}"
        untold = f", {faster['']} cannot be told" if faster[""] else ""
        return (
            f"JAX is faster on {faster['jax']} of {networks}, torch on {faster['torch']}{untold} "
            f"{modes}"
        )
    text = "; ".join(f"{layers} {_in_words(members)}" for layers, members in parts.items())
    return f"{text[:1].upper()}{text[1:]} {modes}"


def _in_words(pairs: Sequence[FrameworkRatio]) -> str:
    """Return who is faster on how many: ``torch is faster on 7 of 8 networks, JAX on 0``."""
    faster = Counter(winner(pair) for pair in pairs)
    if not faster["torch"] and not faster["jax"]:
        return f"neither is shown to be faster on any of {len(pairs)} networks"
    first, second = ("torch", "jax") if faster["torch"] >= faster["jax"] else ("jax", "torch")
    names = {"torch": "torch", "jax": "JAX"}
    return (
        f"{names[first]} is faster on {faster[first]} of {len(pairs)} networks, "
        f"{names[second]} on {faster[second]}"
    )


def layer_groups(pairs: Sequence[FrameworkRatio]) -> dict[str, list[FrameworkRatio]]:
    """Group pairs by the layers of their network, those with convolutions first.

    Networks of which it is not known, from outside the suite, have an empty name at the end.
    """
    groups = group_by(pairs, lambda pair: layers_of(network_name(pair.torch)))
    order = (WITH_CONVOLUTIONS, WITH_ATTENTION, LINEAR_ALONE, "")
    return {name: groups[name] for name in order if name in groups}


def layers_table(pairs: Sequence[FrameworkRatio]) -> list[Table]:
    """Return the table of who is faster by the layers of the network; none where none is known.

    Args:
        pairs: a pair for each network.
    """
    rows = [
        Row([Cell(layers or "not known"), *_counts(members), Cell(_names(members))])
        for layers, members in layer_groups(pairs).items()
    ]
    if not any(layers_of(network_name(pair.torch)) for pair in pairs):
        return []
    columns = ["networks", "who is faster", "furthest for torch", "furthest for JAX", "which"]
    title = "By the layers of a network, each at its largest size"
    return [Table(title, columns, rows, about=KEY)]


def _names(pairs: Sequence[FrameworkRatio]) -> str:
    """Return the scenarios of these pairs, each once."""
    return ", ".join(sorted({str(pair.torch["scenario"]) for pair in pairs}))


def winner(pair: FrameworkRatio) -> str:
    """Return the faster framework, ``torch`` or ``jax``.

    Returns an empty string where the interval of the ratio holds 1, or there is no interval.
    """
    low, high = pair.ratio["low"], pair.ratio["high"]
    if low is None or high is None:
        return ""
    return "torch" if low > 1 else "jax" if high < 1 else ""


def _estimate(pair: FrameworkRatio) -> float:
    """Return the ratio of a pair: jax's time over torch's."""
    estimate: float = pair.ratio["estimate"]
    return estimate


def counts_table(by_modes: Mapping[Any, Sequence[FrameworkRatio]]) -> Table:
    """Return the table of how often each framework is faster, a row for each pair of modes."""
    rows = [Row([Cell(str(modes)), *_counts(pairs)]) for modes, pairs in by_modes.items()]
    columns = ["modes", "who is faster", "furthest for torch", "furthest for JAX"]
    return Table("Every network, size, phase and way: who is faster", columns, rows)


def _counts(pairs: Sequence[FrameworkRatio]) -> list[Cell]:
    """Return the counts of who is faster as a bar, and the pair furthest from 1 on either side."""
    counts = {name: sum(winner(pair) == name for pair in pairs) for name in ("torch", "", "jax")}
    words = ", ".join(f"{count} {TITLES[name]}" for name, count in counts.items() if count)
    bar = [(name or "inconclusive", count) for name, count in counts.items()]
    furthest = {name: [pair for pair in pairs if winner(pair) == name] for name in ("torch", "jax")}
    ends = [
        Cell(extreme(max(wins, key=lambda pair: abs(np.log(_estimate(pair))))))
        if wins
        else missing("no pair")
        for wins in furthest.values()
    ]
    return [Cell(words, bar=bar), *ends]


def extreme(pair: FrameworkRatio) -> str:
    """Return how much faster a framework is in a pair: ``jax 2.1 times as fast (lenet, large)``."""
    ratio = _estimate(pair)
    faster, times = ("torch", ratio) if ratio > 1 else ("jax", 1 / ratio)
    network = f"{network_name(pair.torch)}, {pair.torch['size']}"
    return f"{faster} {significant(times, 2)} times as fast ({network})"
