"""Choose what is measured of a case: groups of ways, launches, and the seconds for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.harness.protocol.case_messages import CaseFacts
from benchmarks.harness.protocol.cells import (
    FRONT_ONLY,
    ON_REQUEST,
    OWN_FORWARD,
    RECIPES,
    STRATEGIES,
    UNFROZEN,
)
from benchmarks.own_code.request import Request

BASELINES = {"backward": "summed", "freeze": UNFROZEN}
# Groups in the order of their importance: kind and phase. Phases that are not asked for are those
# without a star.
GROUPS = (
    ("backward", "backward"),
    ("freeze", "gradient"),
    ("backward", "gradient"),
    ("freeze", "step"),
    ("freeze", "backward"),
    ("backward", "step"),
)
USUAL = GROUPS[:4]
# Ways that are left out first where time is short.
DISPENSABLE = ("batched", "functional", "separate_pullbacks", "multi_root", "all_gradients")
LAUNCHES, FEWEST = 6, 3  # an interval needs 6
LATE_SHARE, MOST_LATE = 0.25, 15.0  # of a budget, and seconds, by which it may be exceeded
CALLS = 12.0  # of a way in each launch, to check, warm up and time it
EACH_SECONDS = 0.15  # of a way in each launch beside its calls
LEAST_SECONDS, MOST_SECONDS = 0.02, 0.5  # of sampling, for a way in each launch
COMPILING = {"torch": 0.0, "jax": 0.5}  # seconds of a way in each launch


@dataclass(frozen=True)
class Pace:
    """Hold how long the parts of a measurement take here, in seconds, as it was seen.

    Attributes:
        call: one forward and backward pass.
        start: a further process, until the case is built in it: packages are loaded anew.
        first: a way's first call in the first process, beside its later calls: JAX compiles.
        later: the same in each other process, which finds what was compiled.
    """

    call: float
    start: float = 0.0
    first: float = 0.0
    later: float = 0.0

    def seconds(self, plan: Plan) -> float:
        """Return how long a plan takes at least."""
        ways = sum(len(group.ways) for group in plan.groups)
        each = CALLS * self.call + EACH_SECONDS + LEAST_SECONDS
        further = plan.launches - 1
        return further * self.start + ways * (
            plan.launches * each + self.first + further * self.later
        )


def late_seconds(budget: float) -> float:
    """Return by how many seconds a budget may be exceeded, to keep what is nearly done."""
    return min(MOST_LATE, LATE_SHARE * budget)


@dataclass(frozen=True)
class Group:
    """The ways of one kind in one phase, which are timed in turns.

    ``unsupported`` maps a way that cannot exist here to the reason; it is not in ``ways``.
    """

    kind: str
    phase: str
    ways: tuple[str, ...]
    unsupported: dict[str, str]

    @property
    def baseline(self) -> str:
        """Return the way that the others are compared with."""
        return BASELINES[self.kind]


@dataclass(frozen=True)
class Plan:
    """What is measured: groups in order, launches, and what was left out for lack of time."""

    groups: tuple[Group, ...]
    launches: int
    left_out: tuple[str, ...] = ()


def groups_of(framework: str, facts: CaseFacts, request: Request) -> list[Group]:
    """Return the groups that are asked for, and that this case has."""
    chosen = []
    for kind, phase in GROUPS:
        asked = phase in request.phases if request.phases else (kind, phase) in USUAL
        if asked and not (kind == "freeze" and not facts["frozen"]):
            group = _group(framework, facts, request.ways, kind, phase)
            if group is not None:
                chosen.append(group)
    return chosen


def _group(
    framework: str, facts: CaseFacts, asked: Sequence[str] | None, kind: str, phase: str
) -> Group | None:
    """Return one group, with the baseline in any case; None where nothing of it is asked for."""
    if framework == "jax" and (kind, phase) == ("freeze", "backward"):
        return None  # a recipe of JAX is one jit of forward and backward pass
    names = STRATEGIES[framework] if kind == "backward" else RECIPES[framework]
    wanted = [n for n in names if (n not in ON_REQUEST if asked is None else n in asked)]
    if not wanted:
        return None
    wanted = list(dict.fromkeys([BASELINES[kind], *wanted]))
    reasons = {n: _unsupported(framework, facts, n, phase) for n in wanted}
    return Group(
        kind,
        phase,
        tuple(n for n in wanted if reasons[n] is None),
        {n: why for n, why in reasons.items() if why is not None},
    )


def absent_ways(framework: str, facts: CaseFacts, request: Request) -> list[str]:
    """Return a sentence about each way that the user has named and that no group here can have."""
    groups = groups_of(framework, facts, request)
    present = {way for group in groups for way in (*group.ways, *group.unsupported)}
    return [
        f"{way} is not timed: {_absence(framework, facts, way)}"
        for way in request.ways or ()
        if way not in present
    ]


def _absence(framework: str, facts: CaseFacts, way: str) -> str:
    """Return why a way has no place in any group."""
    if way not in (*STRATEGIES[framework], *RECIPES[framework]):
        return f"there is no such way in {framework}"
    if way in RECIPES[framework] and not facts["frozen"]:
        return "it freezes, and nothing of this case is frozen; see frozen= of Case"
    return "it does not exist in the phases that were asked for"


def _unsupported(framework: str, facts: CaseFacts, way: str, phase: str) -> str | None:
    """Return why a way does not exist for this case; None if it does."""
    if phase == "backward" and way in OWN_FORWARD[framework]:
        return f"{way} runs a forward pass of its own inside the backward phase"
    if way == "checkpointed" and facts["moved"]:
        return "what is computed once more would move the buffers once more, such as BatchNorm's"
    if way in ("boundary_split", "checkpointed") or way in FRONT_ONLY:
        if facts["series"]:
            return facts["series"]
        if way in FRONT_ONLY and not frozen_in_front(facts):
            return "what is frozen does not stand in front of all that is trained"
    if way == "functional" and facts["moved"]:
        return "torch.func takes no module that changes its buffers in place, such as BatchNorm"
    if way == "functional" and facts["random"]:
        return "torch.func draws other random numbers than eager code from the same seed"
    return None


def frozen_in_front(facts: CaseFacts) -> bool:
    """Return whether everything frozen is in networks before the first that is trained.

    Tied weights stand in each network that uses them.
    """
    still = {*facts["frozen"], *facts["untouched"]}
    tied = [pair for network in facts["networks"].values() for pair in network.get("tied", ())]
    still |= {other for other, name in tied if name in still}
    names = {name for reached in facts["reach"].values() for name in reached} | still
    seen_trained = False
    for network in facts["networks"]:
        own = {name for name in names if name.startswith(f"{network}.")}
        if own - still:
            seen_trained = True
        if seen_trained and own & still:
            return False
    return True


def fit(groups: Iterable[Group], pace: Pace, left: float, request: Request) -> Plan:
    """Return what fits into the time that is left; see `fit_together`, for one framework."""
    return fit_together([(groups, pace)], left, request)[0]


def fit_together(
    parts: Sequence[tuple[Iterable[Group], Pace]], left: float, request: Request
) -> list[Plan]:
    """Return what fits into the time that is left, of one framework or of two that take turns.

    Less important ways go first, then less important groups, then launches; of two frameworks those
    of the one that takes longer. Both have the same number of launches. Where not even one
    launch of the most important group fits, nothing is measured.

    Args:
        parts: of each framework the groups that are asked for, most important first, and the pace
            of this case in it on this machine.
        left: seconds for all of them.
        request: the user's; ways and launches that it names are never left out.
    """
    plans = [Plan(tuple(groups), request.launches or LAUNCHES) for groups, _ in parts]
    paces = [pace for _, pace in parts]

    def total() -> float:
        return sum(map(Pace.seconds, paces, plans))

    while total() > left and (smaller := _smaller_together(plans, paces, request)):
        plans = smaller
    if request.launches is None and total() > left + late_seconds(request.budget):
        return [Plan((), p.launches, (*p.left_out, *nothing(p.groups))) for p in plans]
    return plans


def _smaller_together(
    plans: Sequence[Plan], paces: Sequence[Pace], request: Request
) -> list[Plan] | None:
    """Return plans of which the longest that can be is made shorter; None where none can be."""
    by_length = sorted(range(len(plans)), key=lambda i: -paces[i].seconds(plans[i]))
    for index in by_length:
        if less := _smaller(plans[index], request):
            launches = less.launches
            return [
                less if i == index else replace(one, launches=launches)
                for i, one in enumerate(plans)
            ]
    return None


def rounds(plans: Sequence[Plan]) -> list[list[Group | None]]:
    """Return the groups in order of importance, those of one kind and phase side by side.

    Args:
        plans: one for each framework.

    Returns:
        For each kind and phase the group of each plan, None where a plan has none.
    """
    tables = [{(group.kind, group.phase): group for group in plan.groups} for plan in plans]
    keys = [key for key in GROUPS if any(key in table for table in tables)]
    return [[table.get(key) for table in tables] for key in keys]


def nothing(groups: Iterable[Group]) -> tuple[str, ...]:
    """Return the names of all that is left out with these groups."""
    return tuple(_name(group) for group in groups)


def _name(group: Group) -> str:
    """Return what a group is called among what was left out."""
    return f"{group.kind} in phase {group.phase}" if group.kind == "freeze" else group.phase


def _smaller(plan: Plan, request: Request) -> Plan | None:
    """Return a plan that takes less time; None where there is none."""
    if request.ways is None:
        for way in DISPENSABLE:
            if any(way in group.ways for group in plan.groups):
                groups = tuple(
                    replace(g, ways=tuple(w for w in g.ways if w != way)) for g in plan.groups
                )
                return replace(plan, groups=groups, left_out=(*plan.left_out, way))
    if request.phases is None and len(plan.groups) > 1:
        left_out = (*plan.left_out, _name(plan.groups[-1]))
        return replace(plan, groups=plan.groups[:-1], left_out=left_out)
    if request.launches is None and plan.launches > 1:
        return replace(plan, launches=FEWEST if plan.launches > FEWEST else 1)
    return None


def sampling_seconds(left: float, cells: int, overhead: float) -> float:
    """Return the seconds of sampling for each way in each launch.

    Args:
        left: seconds for all that is still to be measured.
        cells: ways × launches that are still to be measured.
        overhead: seconds for each of them beside sampling.
    """
    if not cells:
        return LEAST_SECONDS
    return min(MOST_SECONDS, max(LEAST_SECONDS, left / cells - overhead))
