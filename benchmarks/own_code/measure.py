"""Examine a case in one framework, and prepare what is measured of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed, WorkerTimeout
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement.job import OWN, CellOutcome, GroupJob
from benchmarks.harness.protocol.case_messages import CaseJob, CaseSource
from benchmarks.harness.protocol.cells import DEFAULT_MODES
from benchmarks.own_code import plan
from benchmarks.own_code.case_group import CaseGroup
from benchmarks.own_code.plan import Group
from benchmarks.own_code.request import Request

ReportLine = Callable[[str], None]


EXAMINATION = 0.8  # of the time left, after which no central difference is begun
# seconds that an answer may take at the end of a budget, and where the user has named launches
LEAST_LIMIT, NAMED_LIMIT = 15.0, 60.0


@dataclass
class Measured:
    """Hold what is known of one framework so far.

    Attributes:
        framework: ``torch`` or ``jax``.
        files: facts and bounds.
        described: a worker's description of the framework; see `messages.Hello`.
        groups: each with the outcome of its ways, of as many launches as were timed.
        left_out: what there was no time for.
        absent: a sentence about each way that was asked for and does not exist here.
        hurry: what else the budget did not allow, in a sentence; None where it allowed all.
        float64_error: why the case does not run in float64; None where it does.
    """

    framework: str
    files: CaseFiles
    described: dict[str, Any] = field(default_factory=dict)
    groups: list[tuple[Group, dict[str, CellOutcome]]] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    hurry: str | None = None
    float64_error: str | None = None


class FrameworkRun:
    """Examine a case in one framework; `benchmarks.own_code.rounds` times it.

    Args:
        request: the user's.
        framework: ``torch`` or ``jax``.
        source: the function.
        pool: the workers.
        deadline: when all must be done, by ``time.monotonic``.
        report_line: shows a line of progress.
        start: file that the case takes its weights and batch from; see `CaseFiles.start`.
    """

    def __init__(
        self,
        request: Request,
        framework: str,
        source: CaseSource,
        pool: Pool,
        deadline: float,
        report_line: ReportLine,
        start: Path | None = None,
    ) -> None:
        self.request, self.framework, self.pool = request, framework, pool
        self.case: CaseJob = {"source": source, "folder": request.folder, "seed": request.seed}
        if start is not None:
            self.case["start"] = str(start)
        self.deadline, self.report_line = deadline, report_line
        self.measured = Measured(framework, pool.case_files(self.case, framework))
        self._start, self._first = 0.0, 0.0  # seconds; see `plan.Pace`
        self._hand_over = False

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - time.monotonic()

    @property
    def _limit(self) -> float:
        """Return the seconds that an answer may take from now on.

        Launches that the user has named are taken beyond the budget too.
        """
        least = NAMED_LIMIT if self.request.launches else LEAST_LIMIT
        return max(least, self.seconds_left + plan.late_seconds(self.request.budget))

    def examine(self, *, hand_over: bool = False, start_all: bool = True) -> None:
        """Find out what the case is.

        Args:
            hand_over: whether to write the file that the other framework's case starts from.
            start_all: whether the workers that measure load their framework meanwhile.

        Raises:
            WorkerError: the case cannot be run.
        """
        files = self.measured.files
        self._hand_over = hand_over
        if start_all:  # the others load their framework while the first examines
            self._launches(alone=self.seconds_left <= 25.0)
        self.report_line(f"{self.framework}: examining in float64")
        kinds = self._kinds_with_steps()
        # No flags that compile faster: with them `jax.random` draws other last bits, so that this
        # process would examine another case than the others time.
        where64: tuple[str, str, str, dict[str, str]] = (self.framework, "cpu", "float64", {})
        try:
            with self.pool.separate_worker(*where64) as reference:
                self.measured.described = reference.wait_until_ready()
                files.limit = self._limit
                share = EXAMINATION * max(0.0, self.seconds_left)
                files.examine(reference, "float64", kinds, share, hand_over=hand_over)
        except WorkerFailed as error:
            self._examine_in_float32(error, kinds)

    def judge(self) -> bool:
        """Set the bounds of the gate by the summed loss in float32; return whether time is left.

        Raises:
            WorkerError: the case cannot be run in float32.
        """
        files = self.measured.files
        if files.dtype != "float64":
            return True
        if self.seconds_left <= 0.0 and self.request.launches is None:
            self.measured.hurry = "Nothing was timed: the budget was spent on the examination"
            return False
        files.limit = self._limit
        start = time.monotonic()
        launch = self.pool.launch(self.framework, "cpu", "float32", 0)
        try:
            launch.wait_until_ready()
            self._first = files.judge_the_sum(launch)
        except WorkerTimeout:
            self.measured.hurry = "Nothing was timed: the budget was spent on building the case"
            return False
        self._start = time.monotonic() - start - self._first
        if files.sum_error is None or files.sum_error > files.allowed:
            self.measured.float64_error = f"the summed loss in float32 {files.off_from_float64}"
            kinds = self._kinds_with_steps()
            files.examine(launch, "float32", kinds, hand_over=self._hand_over)
        return True

    def _launches(self, *, alone: bool = False) -> list[Launch]:
        """Return the workers that measure, all started; the first ``alone`` where time is short."""
        count = 1 if alone else self.request.launches or plan.LAUNCHES
        return self.pool.launches(self.framework, "cpu", "float32", count)

    def _examine_in_float32(self, error: WorkerFailed, kinds: list[str]) -> None:
        """Examine in float32, as float64 failed; raise its error where that fails too."""
        launch = self.pool.launch(self.framework, "cpu", "float32", 0)
        try:
            self.measured.files.examine(launch, "float32", kinds, hand_over=self._hand_over)
        except WorkerFailed as second:
            raise (error if _is_same(error, second) else second) from error
        self.measured.float64_error = error.case["message"] if error.case else str(error)

    def _kinds_with_steps(self) -> list[str]:
        """Return the kinds that are measured in phase ``step``."""
        if self.request.phases is None:
            return ["freeze"]
        return ["backward", "freeze"] if "step" in self.request.phases else []

    def restart(self, until: float) -> None:
        """Start the first worker that measures anew, and wait until it has loaded its framework.

        Args:
            until: the new deadline, by ``time.monotonic``.

        Raises:
            WorkerError: it cannot start.
        """
        self.deadline = until
        self._launches(alone=True)[0].wait_until_ready()

    def start(self, launches: int) -> None:
        """Start so many workers at once, those that are missing: none starts beside a timed one.

        One that cannot start fails when it is prepared, and that is told then.
        """
        for launch in self.pool.launches(self.framework, "cpu", "float32", launches):
            with contextlib.suppress(WorkerError):
                launch.wait_until_ready()

    def groups(self) -> list[Group]:
        """Return the groups that are asked for, and that this case has; note the ways it lacks."""
        asked = self.framework, self.measured.files.known_facts, self.request
        self.measured.absent = tuple(plan.absent_ways(*asked))
        return plan.groups_of(*asked)

    def pace(self) -> plan.Pace:
        """Return about how long a process, a way and a call take."""
        call, once = self._call_seconds()
        if self.framework != "jax":
            return plan.Pace(call, self._start)
        later = max(plan.COMPILING["jax"], once)
        return plan.Pace(call, self._start, max(later, self._first), later)

    def _call_seconds(self) -> tuple[float, float]:
        """Return the seconds of one forward and backward pass, and of the first beside it."""
        launch = self.pool.launch(self.framework, "cpu", "float32", 0)
        try:
            self.measured.files.open_in(launch)
            return self.measured.files.pass_seconds(launch)
        except WorkerError:
            return 0.0, 0.0  # the group will meet it again, and say so

    def group(self, group: Group, launches: int, overhead: float) -> CaseGroup:
        """Return the measurement of a group, which has not begun.

        Args:
            group: the ways.
            launches: how many to time if the time suffices.
            overhead: seconds for each way and launch beside sampling.
        """
        self.measured.files.limit = self._limit
        return CaseGroup(self._job(group), self.pool, launches, overhead)

    def _job(self, group: Group) -> GroupJob:
        """Return the job of measuring a group, of which one launch is prepared at first."""
        return {
            "kind": group.kind,
            "scenario": OWN,
            "variant": "-",
            "size": OWN,
            "framework": self.framework,
            "mode": DEFAULT_MODES[self.framework],
            "phase": group.phase,
            "device": "cpu",
            "dtype": "float32",
            "strategies": list(group.ways),
            "references": [],
            "launches": 1,
            "seconds": plan.LEAST_SECONDS,
            "limit": self.measured.files.limit,
            "seed": self.request.seed,
            "memory": False,
            "case": self.case,
        }


def _is_same(error: WorkerFailed, second: WorkerFailed) -> bool:
    """Return whether an examination in float64 and one in float32 have met the same mistake."""
    messages = [one.case["message"] if one.case else "" for one in (error, second)]
    return messages[0].replace("float64", "float32") == messages[1]
