"""Check and time the groups of a user's case in rounds, as many as its budget of seconds allows.

A round is one kind and phase: the groups of one framework, or of two that take turns. What was
measured is saved after each round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.own_code import plan
from benchmarks.own_code.case_group import take_turns
from benchmarks.own_code.measure import FrameworkRun
from benchmarks.own_code.plan import Group

Member = tuple[FrameworkRun, Group]  # a group of one framework
TELL_SECONDS = 3.0  # at least, between two lines about launches that were timed


class Rounds:
    """Measure the groups of one framework or two, those of one kind and phase at the same time.

    Args:
        runs: one for each framework, examined.
        until: when all should be done, by ``time.monotonic``.
        save: is called after each round.
    """

    def __init__(
        self, runs: Sequence[FrameworkRun], until: float, save: Callable[[], None]
    ) -> None:
        self.runs, self.until, self.save = runs, until, save
        self.request, self.pool = runs[0].request, runs[0].pool
        self._overheads: dict[str, float] = {}  # framework → seconds of a way in a launch

    def measure(self) -> None:
        """Check and time all groups that fit into the time.

        Raises:
            KeyboardInterrupt: after what was measured so far has been kept.
        """
        paces = [run.pace() for run in self.runs]
        parts = [(run.groups(), pace) for run, pace in zip(self.runs, paces, strict=True)]
        plans = plan.fit_together(parts, self.until - time.monotonic(), self.request)
        for run, pace, chosen in zip(self.runs, paces, plans, strict=True):
            run.measured.left_out = chosen.left_out
            self._overheads[run.framework] = plan.EACH_SECONDS + pace.later
        launches, rounds = plans[0].launches, plan.rounds(plans)
        for run in self.runs if rounds else ():
            run.start(launches)
        cells = [sum(len(group.ways) for group in one if group) for one in rounds]
        for index, groups in enumerate(rounds):
            if index and not self._has_time_for(groups, paces):
                self._leave_out(rounds[index:])
                break
            members = [(run, one) for run, one in zip(self.runs, groups, strict=True) if one]
            share = (self.until - time.monotonic()) * cells[index] / sum(cells[index:])
            self._measure_round(members, launches, time.monotonic() + share)
            self.save()

    def _has_time_for(self, groups: Sequence[Group | None], paces: Sequence[plan.Pace]) -> bool:
        """Return whether a launch of each group may begin; those that the user names always may."""
        if self.request.launches is not None:
            return True
        pairs = zip(groups, paces, strict=True)
        least = sum(pace.seconds(plan.Plan((one,), 1)) for one, pace in pairs if one)
        left = self.until - time.monotonic()
        return left > 0.0 and least <= left + plan.late_seconds(self.request.budget)

    def _leave_out(self, rounds: Sequence[Sequence[Group | None]]) -> None:
        """Note what these rounds would have measured as left out for lack of time."""
        for run, *groups in zip(self.runs, *rounds, strict=True):
            names = plan.nothing(group for group in groups if group)
            run.measured.left_out = (*run.measured.left_out, *names)

    def _measure_round(self, members: Sequence[Member], launches: int, until: float) -> None:
        """Check and time the groups of one kind and phase, and keep what there is after Ctrl-C."""
        self.runs[0].report_line(_progress_line(members, launches))
        groups = [
            run.group(group, launches, self._overheads[run.framework]) for run, group in members
        ]
        try:
            for one in groups:
                one.begin()
            late = plan.late_seconds(self.request.budget)
            take_turns(groups, until, late, self._tell_of(launches))
            for one in groups:
                one.end()
        except BaseException:
            self.pool.end_workers()
            raise
        finally:
            for (run, group), one in zip(members, groups, strict=True):
                run.measured.groups.append((group, one.results.outcomes()))
                self._overheads[run.framework] = one.overhead

    def _tell_of(self, launches: int) -> Callable[[int], None]:
        """Return a function that reports how many launches were timed, but not every moment."""
        last_report = time.monotonic()

        def tell(timed: int) -> None:
            nonlocal last_report
            if timed < launches and time.monotonic() - last_report >= TELL_SECONDS:
                last_report = time.monotonic()
                self.runs[0].report_line(f"launch {timed} of {launches} timed")

        return tell


def _progress_line(members: Sequence[Member], launches: int) -> str:
    """Return a line about what is measured now."""
    first = members[0][1]
    what = "strategies" if first.kind == "backward" else "ways to freeze"
    counts = " and ".join(f"{run.framework}: {len(group.ways)}" for run, group in members)
    turns = ", in turns" if len(members) > 1 else ""
    processes = "1 launch" if launches == 1 else f"{launches} launches"
    return f"{counts} {what}, phase {first.phase}, {processes}{turns}"
