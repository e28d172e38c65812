"""Section 2: torch and jax side by side, and whose merit a difference is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from results.estimates.cross_framework import SESSION_SPREAD, FrameworkRatio
from results.formatting import NOTHING, ratio_text, seconds_text, share_text, significant
from results.report import charts
from results.report.answers import largest
from results.report.collection import Machine
from results.report.drawing import Mark, mark_of
from results.report.model import Cell, Paragraph, Points, Row, Section, Table, missing, problem

COLUMNS = (
    "network", "size", "phase", "strategy", "torch", "jax", "jax ÷ torch [95 %]", "faster",
    "torch's share of its peak", "jax's share of its peak", "GEMM libraries alone",
)  # fmt: skip


def section(machine: Machine) -> Section | None:
    """None where no cell was timed in both frameworks."""
    pairs = machine.pairs
    if not pairs:
        return None
    blocks: list[Any] = [
        [
            "Each framework has launches of its own, so these ratios are not paired: Welch's "
            "interval over launches, each at 95 % on its own, widened by what this ratio moves "
            f"from session to session (a standard deviation of {100 * SESSION_SPREAD:.0f} %, as "
            "measured on a 2-core virtual machine), as launches of one session cannot show it. "
            "Equal modes are compiled against compiled, or operation by operation against "
            "operation by operation; eager torch against jitted JAX is how most people use them, "
            "and not like for like. Pairs are made within a run: what was timed in two different "
            "ones is not here.",
        ],
        Points(
            [
                line
                for modes, found in _by_modes(pairs).items()
                for line in (_sentence(modes, found), _networks(found))
                if line
            ]
        ),
        [
            "A difference can be the framework's, or that of the library it multiplies matrices "
            "with. The share of the peak is the time that the cell's products alone take at best, "
            "each in its own shape and layout, over the cell's time; a product alone may find its "
            "operands elsewhere in the caches, so a little more than 100 % is possible. Where both "
            "are near 100 % the ratio is that of the libraries, which the last column gives. Cells "
            "whose work is not matrix products, convolutions among them, have no such share, and "
            "whose merit the difference is cannot be told from these figures.",
        ],
    ]
    base = [pair for pair in pairs if pair.torch["strategy"] == pair.torch["baseline"]]
    marks = [_mark(pair) for pair in base or pairs]
    if marks:
        blocks.append(_chart(marks))
    for modes, found in _by_modes(base).items():
        blocks.append(_table(f"{_modes(modes)}: the baseline of each network", found))
    rest = [pair for pair in pairs if pair.torch["strategy"] != pair.torch["baseline"]]
    for modes, found in _by_modes(rest).items():
        blocks.append(_table(f"{_modes(modes)}: every other way", found, folded=True))
    return Section("frameworks", "Who wins where: PyTorch and JAX", blocks)


def winner(pair: FrameworkRatio) -> str:
    """The framework whose times are lower, the interval leaving out 1; empty where none is."""
    low, high = pair.ratio["low"], pair.ratio["high"]
    if low is None or high is None:
        return ""
    return "torch" if low > 1 else "jax" if high < 1 else ""


def _by_modes(pairs: Iterable[FrameworkRatio]) -> dict[tuple[str, str, bool], list[FrameworkRatio]]:
    found: dict[tuple[str, str, bool], list[FrameworkRatio]] = {}
    for pair in pairs:
        modes = pair.torch["mode"], pair.jax["mode"], pair.equal_modes
        found.setdefault(modes, []).append(pair)
    return found


def _sentence(modes: tuple[str, str, bool], pairs: Sequence[FrameworkRatio]) -> Paragraph:
    counts = {name: sum(winner(pair) == name for pair in pairs) for name in ("torch", "jax", "")}
    said = [
        f"{_modes(modes)}, {len(pairs)} pairs: torch is faster in {counts['torch']}, "
        f"jax in {counts['jax']}, {counts['']} cannot be told."
    ]
    told = [pair for pair in pairs if winner(pair)]
    if told:
        ends = min(told, key=_estimate), max(told, key=_estimate)
        said += [f" From {_extreme(ends[0])} to {_extreme(ends[1])}."]
    return said


def _networks(pairs: Sequence[FrameworkRatio]) -> Paragraph:
    """Which networks each framework is faster on, at the largest size that was measured."""
    told: dict[str, list[str]] = {"torch": [], "jax": [], "": []}
    for name in dict.fromkeys(pair.torch["scenario"] for pair in pairs):
        mine = [pair for pair in pairs if pair.torch["scenario"] == name]
        pair = _telling(mine)
        ratio, won = _estimate(pair), winner(pair)
        times = significant(ratio if won == "torch" else 1 / ratio, 2)
        told[won].append(f"{name} ({pair.torch['size']}{f', {times} times' if won else ''})")
    said = [
        f"{who} is faster on {', '.join(names)}" if who else f"not told: {', '.join(names)}"
        for who, names in told.items()
        if names
    ]
    return [f"Network by network, the baseline at its largest size: {'; '.join(said)}."]


def _telling(pairs: Sequence[FrameworkRatio]) -> FrameworkRatio:
    """The one pair that stands for a network: largest size, the baseline, both passes timed."""
    top = largest([pair.torch for pair in pairs])
    places = {phase: place for place, phase in enumerate(("gradient", "step", "backward"))}
    return min(
        (pair for pair in pairs if pair.torch in top),
        key=lambda pair: (
            pair.torch["strategy"] != pair.torch["baseline"],
            places.get(pair.torch["phase"], len(places)),
        ),
    )


def _modes(modes: tuple[str, str, bool]) -> str:
    torch, jax, equal = modes
    return f"torch {torch} against jax {jax} ({'equal' if equal else 'unequal'} modes)"


def _estimate(pair: FrameworkRatio) -> float:
    estimate: float = pair.ratio["estimate"]
    return estimate


def _extreme(pair: FrameworkRatio) -> str:
    ratio = _estimate(pair)
    who, times = ("torch", ratio) if ratio > 1 else ("jax", 1 / ratio)
    return (
        f"{who} {significant(times, 2)} times as fast ({problem(pair.torch)}, {pair.torch['size']})"
    )


def _mark(pair: FrameworkRatio) -> Mark:
    mark = mark_of(pair.torch) | {k: pair.ratio[k] for k in ("low", "high")}
    modes = f"{pair.torch['mode']} / {pair.jax['mode']}"
    del mark["framework"]
    return mark | {
        "line": f"{mark['problem']} {mark['size']}, {mark['phase']}",
        "ratio": _estimate(pair),
        "modes": modes + ("" if pair.equal_modes else " (unequal)"),
        "way": modes,
        "predicted": None,
        "told_ratio": ratio_text(pair.ratio),
        "told_time": f"{_time(pair.torch)} torch, {_time(pair.jax)} jax",
        "told_peak": f"{share_text(pair.torch['peak_share'])} torch, "
        f"{share_text(pair.jax['peak_share'])} jax",
        "verdict": winner(pair) or "not told",
    }


def _chart(marks: Sequence[Mark]) -> Any:
    return charts.ratios(
        "frameworks",
        "JAX's time over torch's",
        "Left of 1 JAX is faster, right of it torch. Bars are 95 % intervals, sessions counted in.",
        marks,
        colour="modes",
        axis="jax ÷ torch",
    )


def _time(record: Any) -> str:
    return seconds_text(record["seconds"]["estimate"] if record["seconds"] else None)


def _table(title: str, pairs: Sequence[FrameworkRatio], *, folded: bool = False) -> Table:
    return Table(title, COLUMNS, [_row(pair) for pair in pairs], (4, 5, 6, 8, 9, 10), folded)


def _row(pair: FrameworkRatio) -> Row:
    torch, jax, won = pair.torch, pair.jax, winner(pair)
    cells = [
        *(
            Cell(text)
            for text in (problem(torch), torch["size"], torch["phase"], torch["strategy"])
        ),
        Cell(_time(torch)),
        Cell(_time(jax)),
        Cell(ratio_text(pair.ratio)),
        Cell(won, "", won) if won else missing("the interval holds 1, or there is none"),
        _share(torch),
        _share(jax),
        _libraries(torch, jax),
    ]
    return Row(cells, {name: torch[name] for name in ("scenario", "size")})


def _share(record: Any) -> Cell:
    if record["peak_share"] is None:
        return missing(record["missing"].get("peak_share", "not measured"))
    return Cell(share_text(record["peak_share"]))


def _libraries(torch: Any, jax: Any) -> Cell:
    """The ratio of the two libraries' best times for the cell's products."""
    if not torch["peak_share"] or not jax["peak_share"]:
        return Cell(NOTHING, "no share of the peak on both sides", "missing")
    best = [one["peak_share"] * one["seconds"]["estimate"] for one in (torch, jax)]
    return Cell(significant(best[1] / best[0]))
