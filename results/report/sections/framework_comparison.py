"""Build the section on PyTorch against JAX, and on the share of the matrix libraries in that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from results.estimates.cross_framework import SESSION_SPREAD, FrameworkRatio
from results.formatting import ratio_text, seconds_text, share_text, significant
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.model import Cell, Chart, Paragraph, Points, Row, Section, Table, missing
from results.report.ranking import largest_size
from results.report.record_cells import figure_cell, is_baseline, network_name

COLUMNS = (
    "network",
    "size",
    "phase",
    "strategy",
    "torch",
    "jax",
    "jax ÷ torch [95 %]",
    "faster",
    "torch's share of its peak",
    "jax's share of its peak",
    "GEMM libraries alone",
)
# the phase that represents a network: both passes say more of a framework than one of them
PHASE_PREFERENCE = ("gradient", "step", "backward")

PAIRING = (
    "Each framework has launches of its own, so these ratios are not paired: Welch's "
    "interval over launches, each at 95 % on its own, widened by what this ratio moves "
    f"from session to session (a standard deviation of {100 * SESSION_SPREAD:.0f} %, as "
    "measured on a 2-core virtual machine), as launches of one session cannot show it. "
    "Equal modes are compiled against compiled, or operation by operation against "
    "operation by operation; eager torch against jitted JAX is how most people use them, "
    "and not like for like. Recipes of a freeze are paired by the work they do, torch's name "
    "first where the two differ. Pairs are made within a run: what was timed in two different "
    "ones is not here."
)
SHARE_OF_PEAK = (
    "A difference can be the framework's, or that of the library it multiplies matrices "
    "with. The share of the peak is the time that the cell's products alone take at best, "
    "each in its own shape and layout, over the cell's time; a product alone may find its "
    "operands elsewhere in the caches, so a little more than 100 % is possible. Where both "
    "are near 100 % the ratio is that of the libraries, which the last column gives. Cells "
    "whose work is not matrix products, convolutions among them, have no such share, and "
    "whose merit the difference is cannot be told from these figures."
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
    others = [pair for pair in pairs if not is_baseline(pair.torch)]
    blocks: list[Any] = [
        [PAIRING],
        Points(
            [
                paragraph
                for modes, members in _by_modes(pairs).items()
                for paragraph in (_counts(modes, members), _networks(members))
            ]
        ),
        [SHARE_OF_PEAK],
        _chart([_mark(pair) for pair in baselines or pairs]),
    ]
    for modes, members in _by_modes(baselines).items():
        blocks.append(_table(f"{modes}: the baseline of each network", members))
    for modes, members in _by_modes(others).items():
        blocks.append(_table(f"{modes}: every other way", members, folded=True))
    return Section("frameworks", "Who wins where: PyTorch and JAX", blocks)


def winner(pair: FrameworkRatio) -> str:
    """Return the faster framework, ``torch`` or ``jax``.

    Returns an empty string where the interval of the ratio holds 1, or there is no interval.
    """
    low, high = pair.ratio["low"], pair.ratio["high"]
    if low is None or high is None:
        return ""
    return "torch" if low > 1 else "jax" if high < 1 else ""


def _by_modes(pairs: Iterable[FrameworkRatio]) -> dict[_Modes, list[FrameworkRatio]]:
    """Group pairs by the mode of each framework, such as eager torch against jitted JAX."""
    return group_by(pairs, lambda p: _Modes(p.torch["mode"], p.jax["mode"], p.equal_modes))


def _counts(modes: _Modes, pairs: Sequence[FrameworkRatio]) -> Paragraph:
    """Return the summary of the pairs of two modes, in words.

    It says in how many pairs each framework is faster, how many are undecided, and names the pair
    with the largest advantage of either framework.
    """
    counts = {name: sum(winner(pair) == name for pair in pairs) for name in ("torch", "jax", "")}
    pieces = [
        f"{modes}, {len(pairs)} pairs: torch is faster in {counts['torch']}, "
        f"jax in {counts['jax']}, {counts['']} cannot be told."
    ]
    decided = [pair for pair in pairs if winner(pair)]
    if decided:
        ends = min(decided, key=_estimate), max(decided, key=_estimate)
        pieces.append(f" From {_extreme(ends[0])} to {_extreme(ends[1])}.")
    return pieces


def _networks(pairs: Sequence[FrameworkRatio]) -> Paragraph:
    """Return the list, in words, of the networks that each framework is faster on.

    The baseline at the largest size measured stands for a network.

    Args:
        pairs: those of one combination of modes.
    """
    names: dict[str, list[str]] = {"torch": [], "jax": [], "": []}
    for name, members in group_by(pairs, lambda pair: str(pair.torch["scenario"])).items():
        pair = _representative(members)
        ratio, faster = _estimate(pair), winner(pair)
        times = significant(ratio if faster == "torch" else 1 / ratio, 2)
        factor = f", {times} times" if faster else ""
        names[faster].append(f"{name} ({pair.torch['size']}{factor})")
    parts = [
        f"{framework} is faster on {', '.join(networks)}"
        if framework
        else f"not told: {', '.join(networks)}"
        for framework, networks in names.items()
        if networks
    ]
    return [f"Network by network, the baseline at its largest size: {'; '.join(parts)}."]


def _representative(pairs: Sequence[FrameworkRatio]) -> FrameworkRatio:
    """Return the pair that stands for a scenario in the list of who is faster on which network.

    It is taken at the largest size: of the baseline if that was timed, else of another strategy.
    Of several phases the first one in `PHASE_PREFERENCE` counts.

    Args:
        pairs: all pairs of one scenario.
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


def _estimate(pair: FrameworkRatio) -> float:
    """Return the ratio of a pair: jax's time over torch's."""
    estimate: float = pair.ratio["estimate"]
    return estimate


def _extreme(pair: FrameworkRatio) -> str:
    """Return how much faster a framework is in a pair: ``jax 2.1 times as fast (lenet, large)``."""
    ratio = _estimate(pair)
    faster, times = ("torch", ratio) if ratio > 1 else ("jax", 1 / ratio)
    network = f"{network_name(pair.torch)}, {pair.torch['size']}"
    return f"{faster} {significant(times, 2)} times as fast ({network})"


def _mark(pair: FrameworkRatio) -> Mark:
    """Return the data of one pair for the chart of ratios.

    It has no field ``framework``: it belongs to both, and a filter by framework would hide it.
    """
    mark = record_mark(pair.torch) | {end: pair.ratio[end] for end in ("low", "high")}
    modes = f"{pair.torch['mode']} / {pair.jax['mode']}"
    shares = [share_text(record["peak_share"]) for record in (pair.torch, pair.jax)]
    del mark["framework"]
    return mark | {
        "strategy": " / ".join(pair.names),
        "line": f"{mark['problem']} {mark['size']}, {mark['phase']}",
        "ratio": _estimate(pair),
        "modes": modes + ("" if pair.equal_modes else " (unequal)"),
        "way": modes,
        "predicted": None,
        "told_ratio": ratio_text(pair.ratio),
        "told_time": f"{_time(pair.torch)} torch, {_time(pair.jax)} jax",
        "told_peak": f"{shares[0]} torch, {shares[1]} jax",
        "verdict": winner(pair) or "not told",
    }


def _chart(marks: Sequence[Mark]) -> Chart:
    """Return the chart of jax's time over torch's.

    Args:
        marks: one mark a pair, as `_mark` returns them.
    """
    return charts.ratios(
        "frameworks",
        "JAX's time over torch's",
        "Left of 1 JAX is faster, right of it torch. Bars are 95 % intervals, sessions counted in.",
        marks,
        colour="modes",
        axis="jax ÷ torch",
    )


def _time(record: AnyRecord) -> str:
    """Return the record's time as text, such as ``1.23 ms``; a dash where it has none."""
    return seconds_text(record["seconds"]["estimate"] if record["seconds"] else None)


def _table(title: str, pairs: Sequence[FrameworkRatio], *, folded: bool = False) -> Table:
    """Return the table of these pairs: both times, their ratio, and shares of the peak speed."""
    return Table(title, COLUMNS, [_row(pair) for pair in pairs], (4, 5, 6, 8, 9, 10), folded)


def _row(pair: FrameworkRatio) -> Row:
    """Return the row of one pair in `_table`."""
    torch, jax, faster = pair.torch, pair.jax, winner(pair)
    names = network_name(torch), torch["size"], torch["phase"], " / ".join(pair.names)
    cells = [
        *map(Cell, (*names, _time(torch), _time(jax), ratio_text(pair.ratio))),
        Cell(faster, "", faster) if faster else missing("the interval holds 1, or there is none"),
        *(figure_cell(r, "peak_share", share_text(r["peak_share"])) for r in (torch, jax)),
        _libraries_cell(torch, jax),
    ]
    return Row(cells, {name: torch[name] for name in ("scenario", "size")})


def _libraries_cell(torch: AnyRecord, jax: AnyRecord) -> Cell:
    """Return the cell with jax's time over torch's for the matrix products alone.

    That time is the record's share of the peak of the matrix library times its whole time. A dash
    stands where either record has no such share.
    """
    if not torch["peak_share"] or not jax["peak_share"]:
        return missing("no share of the peak on both sides")
    best = [record["peak_share"] * record["seconds"]["estimate"] for record in (torch, jax)]
    return Cell(significant(best[1] / best[0]))
