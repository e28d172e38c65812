"""Run the workers of one launch pair: base, head and a control for every framework.

The control is a second worker of base. Base against the control shows how far two launches of the
same code differ.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.launches import affinity, own_code_notes, requests
from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.worker_errors import format_error, outcome_of
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.messages import Span
from benchmarks.regression import plan
from benchmarks.regression.failures import WRONG_GRADIENTS, CellFailed
from benchmarks.regression.pace import PartTimer
from benchmarks.regression.versions import Side
from results.regression.document import launch_quantile

ROLES = ("base", "head", "control")
METRICS = ("wall", "cpu")
ANSWER_SECONDS = 300.0  # compiling takes minutes; a cell that takes longer than this hangs

Files = ProblemFiles | CaseFiles
Turns = dict[str, list[list[float]]]  # metric → the samples of each turn, seconds per call
# metric → seconds per call of base, head and the control, None where there was no control
LaunchTimes = dict[str, list[float | None]]


class WorkerPairs:
    """Measure cells in fresh workers of both sides, which take turns on one core.

    Args:
        launches: framework → its workers by role.
        device: ``cpu`` or ``cuda``.
        spans: to which the workers add when they build.
        part_timer: to which the seconds spent are added.
        cell_seconds: for how long each role is timed in each cell.
    """

    def __init__(
        self,
        launches: Mapping[str, Mapping[str, Launch]],
        device: str,
        spans: list[Span],
        part_timer: PartTimer,
        cell_seconds: float,
    ) -> None:
        self.launches, self.device = launches, device
        self.spans, self.part_timer, self.cell_seconds = spans, part_timer, cell_seconds
        self.roles = tuple(role for role in ROLES if role in next(iter(launches.values())))

    def measure(
        self,
        cell: Cell,
        files: Mapping[str, Files],
        reference: str,
        rng: np.random.Generator,
    ) -> dict[str, Turns]:
        """Check the gradients of the cell in every role, then time it in alternating turns.

        Args:
            cell: what to measure.
            files: the problem's arrays, for ``base`` and for ``head``.
            reference: the file of float64 gradients that every role must agree with.
            rng: draws the order of the roles, anew in each round.

        Returns:
            The turns of each role that has a worker.

        Raises:
            CellFailed: wrong gradients, an exception, or a worker that died or hangs.
        """
        limit = ANSWER_SECONDS
        with self.part_timer.preparing(self.spans):
            self._prepare(cell, files, reference, limit)
        with self.part_timer.spending("warming up"):
            calls = self._warm(cell, limit)
        with self.part_timer.spending("timing"):
            return self._take_turns(cell, calls, rng, limit)

    def _take_turns(
        self, cell: Cell, calls: int, rng: np.random.Generator, limit: float
    ) -> dict[str, Turns]:
        """Time a cell that is warm in all roles, in rounds of one turn each, in random order."""
        turns: dict[str, Turns] = {role: {metric: [] for metric in METRICS} for role in self.roles}
        spent, rounds = 0.0, 0
        while rounds < plan.LEAST_TURNS or spent < self.cell_seconds * len(self.roles):
            for place in rng.permutation(len(self.roles)):
                role = self.roles[place]
                samples = self._turn(cell, role, calls, limit)
                for metric in METRICS:
                    turns[role][metric].append(samples[metric])
                spent += calls * sum(samples["wall"])
            rounds += 1
        return turns

    def _turn(self, cell: Cell, role: str, calls: int, limit: float) -> dict[str, list[float]]:
        """Time one turn of one role; return the samples of each metric, seconds per call."""
        with _attribute_failure(cell, role):
            samples: dict[str, list[float]] = self.launches[cell.framework][role].ask(
                "turn", limit, name=cell.strategy, calls=calls, seconds=plan.TURN_SECONDS
            )
        return samples

    def _prepare(
        self, cell: Cell, files: Mapping[str, Files], reference: str, limit: float
    ) -> None:
        """Prepare the cell in all roles at once, each on its own core, as nothing is timed yet.

        Args:
            cell: what to measure.
            files: the problem's files, for ``base`` and for ``head``.
            reference: the file of float64 gradients that every role must agree with.
            limit: seconds that a worker may take for its answer.

        Raises:
            CellFailed: the cell cannot be built in a role, or its gradients are wrong.
        """
        launches, cores = self.launches[cell.framework], affinity.available_cores()
        for place, role in enumerate(self.roles):
            with _attribute_failure(cell, role):
                if self.device == "cpu":
                    affinity.pin(launches[role], cores[place % len(cores)])
                problem = files[side_of(role)]
                problem.open_in(launches[role])
                request = requests.prepare_request(vars(cell), problem, reference, [cell.strategy])
                launches[role].send("prepare", **request)
        answers = {}
        for role in self.roles:
            with _attribute_failure(cell, role):
                answers[role] = launches[role].receive(limit)[cell.strategy]
                if self.device == "cpu":
                    affinity.pin(launches[role], cores[-1])
        _check_answers(cell, answers)

    def _warm(self, cell: Cell, limit: float) -> int:
        """Warm the cell up in every role.

        Returns:
            The number of calls that make up a sample, the largest of any role, so the same for all.
        """
        calls = []
        for role, launch in self.launches[cell.framework].items():
            with _attribute_failure(cell, role):
                calls.append(launch.ask("warm", limit, calls={cell.strategy: None})[cell.strategy])
        return int(max(calls))

    def notes(self, owner: str) -> dict[str, list[str]]:
        """Return for ``base`` and ``head`` what the code of a user's file has switched.

        A version whose workers cannot say it yet has no notes.
        """
        return {
            side: own_code_notes.notes(owner, [roles[side] for roles in self.launches.values()])
            for side in ("base", "head")
        }

    def close(self, cell: Cell) -> None:
        """Close the cell's problem in every worker; one that fails to ends with its launch pair."""
        for launch in self.launches[cell.framework].values():
            with contextlib.suppress(WorkerError):
                launch.ask("close")


def side_of(role: str) -> str:
    """Return the side whose code runs in a role: ``head``, or ``base`` for the other two."""
    return "head" if role == "head" else "base"


def launch_times(turns: Mapping[str, Turns], metrics: Sequence[str]) -> LaunchTimes:
    """Return metric → the time of base, head and control, in seconds per call.

    The time of the control is None where the launch pair had none.

    Args:
        turns: role → its samples by metric and turn.
        metrics: the metrics to return.
    """
    return {
        metric: [
            launch_quantile(turns[role][metric], plan.QUANTILE, plan.DROPPED)
            if role in turns
            else None
            for role in ROLES
        ]
        for metric in metrics
    }


def _check_answers(cell: Cell, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `CellFailed` unless the cell's gradients are right in every role.

    Wrong gradients in head are reported first, even if base cannot run the cell. If neither side
    can run it, the failure belongs to both: head has gained and lost nothing.

    Args:
        cell: the cell.
        answers: role → its worker's answer to ``prepare``.
    """
    failures = {role: _failure(cell, role, answer) for role, answer in answers.items()}
    head, base = failures["head"], failures["base"] or failures.get("control")
    if head and base and (head.outcome != WRONG_GRADIENTS or base.outcome == WRONG_GRADIENTS):
        message = f"base: {base}; head: {head}"
        raise CellFailed(cell, "both", head.outcome, message, repeatable=True, idle=True)
    failure = head or base
    if failure:
        raise failure


def _failure(cell: Cell, role: str, answer: Mapping[str, Any]) -> CellFailed | None:
    """Return the failure that a worker's answer to ``prepare`` reports, or None."""
    if "error" in answer:
        outcome, message = outcome_of(answer["error"]), format_error(answer["error"])
        reported = outcome != "out_of_memory"
    elif answer["equivalence"] != "pass":
        outcome, message, reported = WRONG_GRADIENTS, str(answer["equivalence"]), True
    else:
        return None
    return CellFailed(cell, role, outcome, message, repeatable=True, idle=True, reported=reported)


@contextlib.contextmanager
def _attribute_failure(cell: Cell, role: str) -> Iterator[None]:
    """Turn an error of the worker of this role into a `CellFailed` of this cell."""
    try:
        yield
    except WorkerError as error:
        reported = isinstance(error, WorkerFailed)
        # something outside may have killed a worker that died; one that hung had all its time
        repeatable = reported or error.outcome == "timeout"
        raise CellFailed(
            cell, role, error.outcome, str(error), repeatable=repeatable, reported=reported
        ) from error
    except OSError as error:  # the process is gone, or the disk is full
        message = f"{type(error).__name__}: {error}"
        raise CellFailed(cell, role, "crashed", message, repeatable=False) from error


@contextlib.contextmanager
def start_worker_pairs(
    sides: Mapping[str, Side],
    frameworks: Sequence[str],
    device: str,
    index: int,
    part_timer: PartTimer,
    owner: str | None = None,
    *,
    roles: Sequence[str] = ROLES,
    cell_seconds: float = plan.CELL_SECONDS,
) -> Iterator[WorkerPairs]:
    """Start the workers of launch pair number ``index``, and kill them at the end.

    The role that starts first changes from one launch pair to the next.

    Args:
        sides: ``base`` and ``head``.
        frameworks: of the cells that will be measured.
        device: ``cpu`` or ``cuda``.
        index: number of the launch pair.
        part_timer: to which the seconds spent are added.
        owner: path of the user's spec that they run; None: this suite's own scenarios.
        roles: those of `ROLES` that are measured.
        cell_seconds: for how long each of them is timed in each cell.

    Raises:
        WorkerError: a worker does not start.
    """
    launches: dict[str, dict[str, Launch]] = {framework: {} for framework in frameworks}
    cores, spans = affinity.available_cores(), list[Span]()
    order = [roles[(place + index) % len(roles)] for place in range(len(roles))]
    try:
        with part_timer.spending("starting"):
            for framework in frameworks:
                for place, role in enumerate(order):
                    core = cores[place % len(cores)] if device == "cpu" else None
                    side = sides[side_of(role)]
                    launches[framework][role] = start_worker(
                        side, framework, device, core=core, owner=owner, busy_spans=spans
                    )
            for launch in _all(launches):
                launch.wait_until_ready()
        spans.clear()
        yield WorkerPairs(launches, device, spans, part_timer, cell_seconds)
    finally:
        with part_timer.spending("other"):
            for launch in _all(launches):
                launch.kill()


def start_worker(
    side: Side,
    framework: str,
    device: str,
    dtype: str = "float32",
    core: int | None = None,
    owner: str | None = None,
    busy_spans: list[Span] | None = None,
) -> Launch:
    """Start a fresh worker of a side, with that side's code, interpreter and cache.

    On a given ``core`` all its threads stay on that core. The ``owner`` and the ``busy_spans`` are
    those of `Launch`.
    """
    return Launch(
        framework,
        device=device,
        dtype=dtype,
        cache=side.cache,
        environment=side.environment,
        prefix=() if core is None else affinity.taskset_prefix(core),
        root=side.root,
        python=side.python,
        owner=owner,
        busy_spans=busy_spans,
    )


def _all(launches: Mapping[str, Mapping[str, Launch]]) -> list[Launch]:
    """Return the workers of all frameworks and roles."""
    return [launch for roles in launches.values() for launch in roles.values()]
