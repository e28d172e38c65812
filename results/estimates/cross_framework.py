"""Compare the two frameworks with each other, each mode with its counterpart in the other.

The launches of one session share the session's effects on a framework: where its memory lies, how
its threads are placed, what else the machine does. Launches cannot show these effects, so an
interval from launches alone names winners that the next session does not confirm. The interval
therefore includes `SESSION_SPREAD`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from results.estimates.counterparts import counterpart
from results.records.record import Record, cell_fields, sample_key
from results.records.schema import Estimate
from results.statistics.estimators import CONFIDENCE, welch_interval

# Modes of torch and jax that are alike: compiled both, or dispatched operation by operation both.
EQUAL_MODES = {("compile", "jit"), ("compile_networks", "jit"), ("eager", "eager")}
# The mode in which each framework is mostly used; pages mark the comparison as unequal.
USUAL_MODES = {("eager", "jit")}

# The standard deviation of the log ratio of the two frameworks from session to session, beyond what
# launches show. Measured on a 2-core virtual machine, see docs/report.md.
SESSION_SPREAD = 0.09


class FrameworkRatio(NamedTuple):
    """Compare one cell in both frameworks.

    The strategies or recipes of the two may have different names, see `counterpart`.

    Attributes:
        torch: the record of torch.
        jax: that of jax.
        ratio: jax's time over torch's.
        equal_modes: whether the two modes are in `EQUAL_MODES`.
    """

    torch: Record
    jax: Record
    ratio: Estimate
    equal_modes: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The strategy's or recipe's one name, or that of torch and that of JAX."""
        return tuple(dict.fromkeys((self.torch["strategy"], self.jax["strategy"])))


def framework_ratios(
    records: Iterable[Record],
    samples: Mapping[str, Sequence[ArrayLike]],
    confidence: float = CONFIDENCE,
) -> Iterator[FrameworkRatio]:
    """Yield every pair of cells that do the same work in both frameworks, both with samples.

    The cells of a pair differ in framework and mode, and may in the name of the strategy or recipe:
    see `counterpart`.

    Args:
        samples: `sample_key` of a record to one row [samples] a launch, in seconds per call.
    """
    timed = [r for r in records if r["outcome"] == "ok" and samples.get(sample_key(r))]
    jax: dict[tuple[str, ...], list[Record]] = {}
    for record in timed:
        if record["framework"] == "jax":
            jax.setdefault(_key(record), []).append(record)
    for one in timed:
        for other in _others(one, jax.get(_key(one), ())) if one["framework"] == "torch" else []:
            ratio = _ratio(samples[sample_key(one)], samples[sample_key(other)], confidence)
            if ratio is not None:
                equal = (one["mode"], other["mode"]) in EQUAL_MODES
                yield FrameworkRatio(one, other, ratio, equal)


def _others(one: Record, jax: Iterable[Record]) -> Iterator[Record]:
    """Yield the cells of JAX that a cell of torch is compared with, of these."""
    for other in jax:
        alike = other["strategy"] == counterpart(one["kind"], one["strategy"], other["mode"])
        if alike and (one["mode"], other["mode"]) in EQUAL_MODES | USUAL_MODES:
            yield other


def _ratio(
    torch: Sequence[ArrayLike], jax: Sequence[ArrayLike], confidence: float
) -> Estimate | None:
    """Return jax's time over torch's with its interval.

    None where a launch holds an impossible time, such as 0; the records then say so.
    """
    try:
        return welch_interval(torch, jax, confidence, SESSION_SPREAD)
    except (ValueError, OverflowError):
        return None


def _key(record: Record) -> tuple[str, ...]:
    """Return the fields of the cell that both frameworks must share."""
    return cell_fields(record, without=("framework", "mode", "strategy"))
