"""Choose the cells of a user's own case that a comparison of two versions measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.harness.protocol.case_messages import CaseFacts
from benchmarks.harness.protocol.cells import DEFAULT_MODES, Cell
from benchmarks.harness.selection.options import SelectionError
from benchmarks.own_code import plan
from benchmarks.own_code.plan import Group, Pace
from benchmarks.regression.case_request import ComparedCase

# The recipe that the optimizer's step is taken with, where something is frozen.
FREEZING = {"torch": "requires_grad_false", "jax": "partition"}

Way = tuple[str, str, str]  # kind, phase, and strategy or recipe


@dataclass(frozen=True)
class CaseCell(Cell):
    """Name one way to run a user's own case; ``scenario`` is the name of the case.

    It has no `spec`, as it stands in no catalogue.

    Attributes:
        file: path of the user's file.
        pace: how long a process and a call take, as it was seen.
    """

    file: str = ""
    pace: Pace = field(default=Pace(0.0), compare=False)

    @property
    def problem(self) -> tuple[str, str, str]:
        """Return what all cells share that are built from the same networks and data."""
        return self.scenario, self.framework, self.size

    @property
    def owner(self) -> str:
        """Return the path of the user's file."""
        return self.file


def choose(case: ComparedCase, framework: str, facts: CaseFacts, pace: Pace) -> list[CaseCell]:
    """Return the cells to measure in one framework: those that are selected, or two by default.

    The two are the gradient of the summed loss, and a training step.

    By default there are two, fewer than it takes to tell what cells have in common: what slows
    down a model slows down all of its cells, and is to be seen in each.

    Args:
        case: which case, and what is asked for.
        framework: ``torch`` or ``jax``.
        facts: what is known of the case.
        pace: seconds that a process and a call took when the case was examined; each cell keeps
            them, for planning.

    Raises:
        SelectionError: this case has nothing of what is asked for.
    """
    ways = (
        _selected_ways(case, framework, facts) if case.selects else _default_ways(framework, facts)
    )
    mode = DEFAULT_MODES[framework]
    return [
        CaseCell(
            kind, case.name, "-", "-", framework, mode, way, phase, "cpu",
            file=str(case.file), pace=pace,
        )
        for kind, phase, way in ways
    ]  # fmt: skip


def _default_ways(framework: str, facts: CaseFacts) -> list[Way]:
    """Return the gradient of the summed loss, and the step that trains by it."""
    frozen = bool(facts["frozen"])
    step = ("freeze", "step", FREEZING[framework]) if frozen else ("backward", "step", "summed")
    return [("backward", "gradient", "summed"), step]


def _selected_ways(case: ComparedCase, framework: str, facts: CaseFacts) -> list[Way]:
    """Return the ways that are asked for; no baseline is among them unless it is asked for too.

    Raises:
        SelectionError: there is none.
    """
    groups = [
        group
        for group in plan.groups_of(framework, facts, case.request)
        if case.kinds is None or group.kind in case.kinds
    ]
    chosen = [way for group in groups for way in _of_group(group, case.request.ways)]
    if not chosen:
        reasons = [f"{way}: {why}" for group in groups for way, why in group.unsupported.items()]
        why = "; ".join(dict.fromkeys(reasons)) or (
            "nothing is frozen" if not facts["frozen"] else f"{framework} has no such way"
        )
        raise SelectionError(f"{case.name} has no cell of this selection in {framework}: {why}")
    return chosen


def _of_group(group: Group, names: Sequence[str] | None) -> Iterator[Way]:
    """Yield the ways of a group that are named, all if None."""
    for way in group.ways:
        if names is None or way in names:
            yield group.kind, group.phase, way
