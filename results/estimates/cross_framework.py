"""The frameworks against each other: unpaired, and mode against its equal where it has one.

The launches of a session share what that session does to a framework: where its memory lies, how
its threads are placed, what the machine's neighbours do. They cannot show it, so an interval made
of them alone names winners that the next session does not confirm. `SESSION_SPREAD` is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from results.records.record import CELL_FIELDS, Record, sample_key
from results.statistics.estimators import welch_interval

# what the two have in common; framework and mode differ, and so may the strategy's name
_SAME = tuple(name for name in CELL_FIELDS if name not in ("framework", "mode"))
# compiled against compiled, operation by operation against operation by operation
EQUAL_MODES = {("compile", "jit"), ("compile_networks", "jit"), ("eager", "eager")}
# as each is used by most, and labelled as unequal
USUAL_MODES = {("eager", "jit")}

# how far the log ratio of the two frameworks moves from session to session, beyond what launches
# show: its standard deviation. Measured on a 2-core virtual machine, see docs/report.md
SESSION_SPREAD = 0.09


class FrameworkRatio(NamedTuple):
    """A cell in both frameworks: jax's time over torch's, and whether their modes are equals."""

    torch: Record
    jax: Record
    ratio: dict[str, Any]
    equal_modes: bool


def framework_ratios(
    records: Iterable[Record],
    samples: Mapping[str, Sequence[ArrayLike]],
    confidence: float = 0.95,
) -> Iterator[FrameworkRatio]:
    """Every pair of cells that differ in nothing but framework and mode, both with samples.

    Recipes of a frozen part have names of their own in each framework; only those of one name
    are paired.
    """
    timed = [r for r in records if r["outcome"] == "ok" and samples.get(sample_key(r))]
    jax: dict[tuple[str, ...], list[Record]] = {}
    for record in timed:
        if record["framework"] == "jax":
            jax.setdefault(_key(record), []).append(record)
    for one in timed:
        for other in jax.get(_key(one), []) if one["framework"] == "torch" else []:
            modes = one["mode"], other["mode"]
            if modes in EQUAL_MODES | USUAL_MODES:
                ratio = _ratio(samples[sample_key(one)], samples[sample_key(other)], confidence)
                if ratio is not None:
                    yield FrameworkRatio(one, other, ratio, modes in EQUAL_MODES)


def _ratio(
    torch: Sequence[ArrayLike], jax: Sequence[ArrayLike], confidence: float
) -> dict[str, Any] | None:
    """None where a launch holds no time that can be, such as 0: the records say so themselves."""
    try:
        return welch_interval(torch, jax, confidence, SESSION_SPREAD)
    except (ValueError, OverflowError):
        return None


def _key(record: Record) -> tuple[str, ...]:
    return tuple(record[name] for name in _SAME)
