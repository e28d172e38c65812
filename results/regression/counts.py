"""Compare what two versions of a cell do and hold, by counts that have no noise.

The counts of a cell are those of the operation ``footprint`` of a worker. They say in seconds what
a clock needs minutes for, and some of them, such as memory, no clock would tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MORE, FEWER = "more", "fewer"
WORSE, BETTER, OTHER = "worse", "better", "other"
# Compiling is timed once on each side: only a change beyond both of these is one.
COMPILE_FACTOR, COMPILE_SECONDS = 1.5, 0.2
# packages of which the same release counts alike: another may count the same work differently
COUNTED_BY = {"torch": ("torch",), "jax": ("jax", "jaxlib")}


@dataclass(frozen=True)
class Metric:
    """Describe one of the counts.

    Attributes:
        label: its name in tables.
        worse: whether more of it is worse, or fewer; None where only the clock can tell.
        unit: ``flops``, ``bytes``, ``seconds`` or ``number``.
    """

    label: str
    worse: str | None
    unit: str


METRICS = {
    "flops": Metric("FLOPs", MORE, "flops"),
    "residual_bytes": Metric("bytes saved for backward", MORE, "bytes"),
    "held_bytes": Metric("bytes held at once", MORE, "bytes"),
    "aliased_bytes": Metric("bytes overwritten in place", FEWER, "bytes"),
    "optimizer_state_bytes": Metric("bytes of optimizer state", MORE, "bytes"),
    "operations": Metric("operations", None, "number"),
    "compile_seconds": Metric("time to compile", MORE, "seconds"),
}


@dataclass(frozen=True)
class CountChange:
    """A count of a cell that is not the same on both sides.

    Attributes:
        metric: a key of `METRICS`.
        base, head: its value on either side.
        verdict: `WORSE` or `BETTER` for head, or `OTHER` where only the clock can tell.
        decides: whether it makes a regression by itself.
        operations: of a changed number of operations, those whose number changed → base, head.
    """

    metric: str
    base: float
    head: float
    verdict: str
    decides: bool
    operations: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return the name of the count in tables."""
        return METRICS[self.metric].label


def values_of(footprint: Mapping[str, Any]) -> dict[str, float]:
    """Return metric → value, for those that a worker's footprint has.

    Args:
        footprint: the result of ``footprint``, or of ``count`` of an older worker.
    """
    values = {name: footprint.get(name) for name in METRICS}
    operations = footprint.get("operations")
    values["operations"] = None if operations is None else sum(operations.values())
    parts = [footprint.get(name) for name in ("trace_seconds", "compile_seconds")]
    values["compile_seconds"] = None if None in parts else sum(parts)  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not None}


def is_changed(metric: str, base: float, head: float) -> bool:
    """Return whether two values of a count are not the same; times must differ by a lot."""
    if metric != "compile_seconds":
        return base != head
    low, high = sorted((base, head))
    return high - low > COMPILE_SECONDS and high > COMPILE_FACTOR * low


def joined(rounds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the part of a cell's entry in a document that is about counts.

    Args:
        rounds: of counting, each ``base`` and ``head`` → footprint. Where anything changed in the
            first, there is a second, by other processes, without code compiled before.

    Returns:
        ``counts``, metric → base and head; ``operations``, name → base and head, of those whose
        number changed; and ``not_repeated``, the metrics that changed, but were not the same in
        both rounds of one side, if there are any.
    """
    both = [{side: values_of(one) for side, one in each.items()} for each in rounds]
    counts: dict[str, list[float]] = {}
    not_repeated = []
    for metric in METRICS:
        pairs = [[one["base"].get(metric), one["head"].get(metric)] for one in both]
        known = [(base, head) for base, head in pairs if base is not None and head is not None]
        if not known:
            continue
        if metric == "compile_seconds":
            counts[metric] = _nearest(known)
        elif len(set(known)) == 1:
            counts[metric] = list(known[0])
        else:
            not_repeated.append(metric)
    part: dict[str, Any] = {"counts": counts}
    if "operations" in counts and is_changed("operations", *counts["operations"]):
        part["operations"] = _changed_operations(rounds[0])
    return part | ({"not_repeated": not_repeated} if not_repeated else {})


def _nearest(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Return the time of base and the time of head that are nearest, of one or more of each."""
    bases, heads = ([pair[side] for pair in pairs] for side in (0, 1))
    both = [[base, head] for base in bases for head in heads]
    return min(both, key=lambda pair: abs(pair[0] - pair[1]))


def _changed_operations(footprints: Mapping[str, Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return operation → its number in base and head, of those whose number changed."""
    base, head = (footprints[side]["operations"] for side in ("base", "head"))
    both = {name: [base.get(name, 0), head.get(name, 0)] for name in {**base, **head}}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def changes_of(entry: Mapping[str, Any], sides: Mapping[str, Any]) -> list[CountChange]:
    """Return the counts of a cell that changed, in the order of `METRICS`.

    Args:
        entry: the cell in the document of a comparison; it may have no counts.
        sides: the two versions; a count is no regression by itself where their releases of the
            framework differ, as these may count the same work differently.
    """
    counts = entry.get("counts", {})
    same = _same_release(entry["cell"]["framework"], sides)
    changes = []
    for metric in METRICS:
        if metric in counts and is_changed(metric, *counts[metric]):
            base, head = counts[metric]
            verdict = _verdict(METRICS[metric].worse, base, head)
            named = entry.get("operations", {}) if metric == "operations" else {}
            decides = same and verdict == WORSE
            changes.append(CountChange(metric, base, head, verdict, decides, named))
    return changes


def _verdict(worse: str | None, base: float, head: float) -> str:
    """Return whether head's value is worse or better, or `OTHER`."""
    if worse is None:
        return OTHER
    return WORSE if (head > base) == (worse == MORE) else BETTER


def _same_release(framework: str, sides: Mapping[str, Any]) -> bool:
    """Return whether both sides have the same release of what counts."""
    versions = [side.get("versions", {}) for side in sides.values()]
    named = COUNTED_BY.get(framework, ())
    return all(len({one.get(package) for one in versions}) <= 1 for package in named)
