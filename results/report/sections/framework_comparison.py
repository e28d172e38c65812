"""Build the section on PyTorch against JAX, and on the share of the matrix libraries in that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from results.estimates.cross_framework import SESSION_SPREAD, FrameworkRatio
from results.formatting import ratio_text, rounded_ratio, seconds_text, share_text, significant
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.by_size import charts_by_size, sorted_lines
from results.report.collection import Machine
from results.report.drawing import FRAMEWORK_COLOURS, Mark, reached_text, record_mark
from results.report.framework_counts import (
    TITLES,
    counts_table,
    layers_table,
    title,
    winner,
)
from results.report.model import (
    FIGURES,
    Block,
    Cell,
    Chart,
    Fold,
    Points,
    Row,
    Section,
    Table,
    missing,
)
from results.report.ranking import largest_size
from results.report.record_cells import figure_cell, is_baseline, network_name
from results.report.vocabulary import WITH_CONVOLUTIONS, layers_of
from results.ways import way_title

COLUMNS = (
    "network",
    "size",
    "phase",
    "way",
    "torch",
    "jax",
    "jax ÷ torch",
    "faster",
    "torch reaches",
    "jax reaches",
    "libraries alone",
)
# the phase that represents a network: both passes say more of a framework than one of them
PHASE_PREFERENCE = ("gradient", "step", "backward")
COLOURS = {
    TITLES["torch"]: FRAMEWORK_COLOURS["torch"],
    TITLES["jax"]: FRAMEWORK_COLOURS["jax"],
    TITLES[""]: "#8c8c8c",
}
ABOUT = (
    "Left of ×1 JAX is faster, right of it torch. Bars: 95 % intervals, sessions counted in. conv: "
    "with convolutions."
)
HOW = (
    [
        "Each framework has launches of its own, so these ratios are not paired: Welch's interval "
        "over launches at 95 %, widened by what the ratio moves from session to session "
        f"(a standard deviation of {100 * SESSION_SPREAD:.0f} %, measured on a virtual machine).",
    ],
    [
        "Eager torch against jitted JAX is how most people use them, and not like for like. Equal "
        "modes are compiled against compiled, or operation by operation against the same.",
    ],
    [
        "Recipes of a freeze are paired by the work they do, torch's name first where two differ. "
        "Pairs are made within a run: what was timed in two different runs is not here.",
    ],
    [
        "A difference can be the framework's, or that of the library it multiplies matrices with. "
        "Where both shares of the peak are near 100 %, the ratio is that of the libraries, which "
        "the last column gives.",
    ],
    [
        "A product alone may find its operands elsewhere in the caches, so a little more than "
        "100 % is possible. Convolutions and the like have no such share: whose merit their "
        "difference is cannot be told.",
    ],
)


class _Modes(NamedTuple):
    """Hold the modes of both frameworks, and whether both compile or neither."""

    torch: str
    jax: str
    equal: bool

    def __str__(self) -> str:
        equality = "equal" if self.equal else "unequal"
        return f"torch {self.torch} against jax {self.jax} ({equality} modes)"


def section(machine: Machine) -> Section | None:
    """Return the section that compares PyTorch with JAX; None where no cell was timed in both."""
    pairs = machine.pairs
    if not pairs:
        return None
    baselines = [pair for pair in pairs if is_baseline(pair.torch)]
    by_modes = _by_modes(baselines or pairs)
    usual, *others = sorted(by_modes, key=lambda modes: len(by_modes[modes]), reverse=True)
    ways = _by_modes(pair for pair in pairs if not is_baseline(pair.torch))
    tables = [_table(f"{modes}: each baseline", members) for modes, members in by_modes.items()]
    tables += [_table(f"{modes}: every other way", members) for modes, members in ways.items()]
    blocks: list[Any] = [
        *_charts(str(usual), by_modes[usual]),
        *layers_table(representatives(by_modes[usual])),
        *_chart_of_modes([pair for modes in others for pair in by_modes[modes]]),
        counts_table(_by_modes(pairs)),
        Fold(FIGURES, tables),
        Fold("How these ratios are made, and whose merit a difference is", [Points(HOW)]),
    ]
    return Section(
        "frameworks", title(representatives(by_modes[usual])), blocks, "torch against JAX"
    )


def representatives(pairs: Iterable[FrameworkRatio]) -> list[FrameworkRatio]:
    """Return the pair that stands for each network, see `representative`."""
    networks = group_by(pairs, lambda pair: network_name(pair.torch)).values()
    return [representative(members) for members in networks]


def _by_modes(pairs: Iterable[FrameworkRatio]) -> dict[_Modes, list[FrameworkRatio]]:
    """Group pairs by the mode of each framework, such as eager torch against jitted JAX."""
    return group_by(pairs, lambda p: _Modes(p.torch["mode"], p.jax["mode"], p.equal_modes))


def representative(pairs: Sequence[FrameworkRatio]) -> FrameworkRatio:
    """Return the pair that stands for a network where it is said who is faster on how many.

    It is taken at the largest size: of the baseline if that was timed, else of another strategy.
    Of several phases the first one in `PHASE_PREFERENCE` counts.

    Args:
        pairs: all pairs of one network.
    """
    largest = largest_size([pair.torch for pair in pairs])
    places = {phase: place for place, phase in enumerate(PHASE_PREFERENCE)}
    return min(
        (pair for pair in pairs if pair.torch in largest),
        key=lambda pair: (
            not is_baseline(pair.torch),
            places.get(pair.torch["phase"], len(places)),
        ),
    )


def _mark(pair: FrameworkRatio) -> Mark:
    """Return the data of one pair for the chart of ratios.

    It has no field ``framework``: it belongs to both, and a filter by framework would hide it.
    """
    mark = record_mark(pair.torch) | {end: pair.ratio[end] for end in ("low", "high")}
    modes = f"{pair.torch['mode']} / {pair.jax['mode']}"
    shares = [reached_text(record) for record in (pair.torch, pair.jax)]
    del mark["framework"]
    return mark | {
        "strategy": " / ".join(pair.names),
        "named": " / ".join(map(way_title, pair.names)),
        "line": f"{_conv(pair)}{mark['problem']} {mark['size']}, {mark['phase']}",
        "ratio": pair.ratio["estimate"],
        "way": modes + ("" if pair.equal_modes else " (unequal modes)"),
        "predicted": None,
        "faster": TITLES[winner(pair)],
        "ratio_text": ratio_text(pair.ratio),
        "time_text": f"{_time(pair.torch)} torch, {_time(pair.jax)} jax",
        "reached_text": f"torch {shares[0]}, jax {shares[1]}",
        "verdict": winner(pair) or "not told",
    }


def _charts(modes: str, pairs: Sequence[FrameworkRatio]) -> list[Block]:
    """Return the charts of jax's time over torch's: one mark a network, then all others by size.

    Args:
        modes: those of all pairs, in words.
        pairs: to draw; they differ in network, size and phase.
    """

    def make(suffix: str, words: str, marks: Sequence[Mark]) -> Chart:
        title = f"JAX's time ÷ torch's: {words}"
        return _chart(f"frameworks{suffix}", title, f"{modes}. {ABOUT}", marks)

    chosen = representatives(pairs)
    rest = [_mark(pair) for pair in pairs if not any(pair is one for one in chosen)]
    return charts_by_size([_mark(pair) for pair in chosen], rest, make)


def _chart_of_modes(pairs: Sequence[FrameworkRatio]) -> list[Chart]:
    """Return the chart of the pairs of all other modes; none without any."""
    marks = [_mark(pair) | {"line": _line_of_modes(pair)} for pair in pairs]
    ordered = [mark for line in sorted_lines(marks) for mark in line]
    title = "JAX's time ÷ torch's in other modes"
    return [_chart("frameworks-modes", title, ABOUT, ordered)] if marks else []


def _line_of_modes(pair: FrameworkRatio) -> str:
    """Return the label of a pair in the chart of other modes: modes, network, size and phase."""
    first = pair.torch
    modes = f"{first['mode']} / {pair.jax['mode']}"
    return f"{modes}: {_conv(pair)}{network_name(first)} {first['size']}, {first['phase']}"


def _conv(pair: FrameworkRatio) -> str:
    """Return what stands before the name of a network with convolutions; empty for others."""
    return "conv · " if layers_of(network_name(pair.torch)) == WITH_CONVOLUTIONS else ""


def _chart(name: str, title: str, about: str, marks: Sequence[Mark]) -> Chart:
    """Return a chart of jax's time over torch's, coloured by who is faster.

    Args:
        marks: one mark a pair, as `_mark` returns them.
    """
    return charts.ratios(
        name, title, about, marks, colour="faster", axis="jax ÷ torch", colours=COLOURS
    )


def _time(record: AnyRecord) -> str:
    """Return the record's time as text, such as ``1.23 ms``; a dash where it has none."""
    return seconds_text(record["seconds"]["estimate"] if record["seconds"] else None)


def _table(title: str, pairs: Sequence[FrameworkRatio]) -> Table:
    """Return the table of these pairs: both times, their ratio, and shares of the limit."""
    return Table(title, COLUMNS, [_row(pair) for pair in pairs], (4, 5, 6, 8, 9, 10), folded=True)


def _row(pair: FrameworkRatio) -> Row:
    """Return the row of one pair in `_table`."""
    torch, jax, faster = pair.torch, pair.jax, winner(pair)
    names = (
        network_name(torch),
        torch["size"],
        torch["phase"],
        " / ".join(map(way_title, pair.names)),
    )
    cells = [
        *map(Cell, (*names, _time(torch), _time(jax))),
        Cell(rounded_ratio(pair.ratio), f"interval {ratio_text(pair.ratio)}"),
        Cell(faster, "", faster) if faster else missing("the interval holds 1, or there is none"),
        *map(_reached_cell, (torch, jax)),
        _libraries_cell(torch, jax),
    ]
    return Row(cells, {name: torch[name] for name in ("scenario", "size")})


def _reached_cell(record: AnyRecord) -> Cell:
    """Return the cell of the share of its limit that a record reached, or of the peak."""
    if record["limit_share"]:
        return Cell(share_text(record["limit_share"]), reached_text(record))
    cell = figure_cell(record, "peak_share", share_text(record["peak_share"]))
    return cell._replace(note=reached_text(record)) if record["peak_share"] else cell


def _libraries_cell(torch: AnyRecord, jax: AnyRecord) -> Cell:
    """Return the cell with jax's time over torch's for the matrix products alone.

    That time is the record's share of the peak of the matrix library times its whole time. A dash
    stands where either record has no such share.
    """
    if not torch["peak_share"] or not jax["peak_share"]:
        return missing("no share of the peak on both sides")
    best = [record["peak_share"] * record["seconds"]["estimate"] for record in (torch, jax)]
    return Cell(significant(best[1] / best[0]))
