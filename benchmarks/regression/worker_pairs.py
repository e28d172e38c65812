"""The workers of one launch pair: base, head, and base again, of every framework."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.launches import affinity, requests
from benchmarks.harness.launches.launch import (
    Launch,
    WorkerError,
    WorkerFailed,
    format_error,
    outcome_of,
)
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import plan
from benchmarks.regression.versions import Side

ROLES = ("base", "head", "again")  # the last is the control: base against base
METRICS = ("wall", "cpu")
WRONG = "wrong_gradients"
ANSWER_SECONDS = 300.0  # compiling takes minutes; longer than that, a cell hangs


class CellFailed(Exception):
    """A cell came to nothing in a role, or in ``both``: ``outcome`` as a record's, and whether it
    will ``again``.

    Where it is ``settled`` no worker owes an answer, so the next cell can be measured in them.
    ``said`` is whether the worker itself gave the reason: else it died, hung or had no memory,
    which says nothing of what its code can do.
    """

    def __init__(
        self,
        cell: Cell,
        role: str,
        outcome: str,
        why: str,
        *,
        again: bool,
        settled: bool = False,
        said: bool = False,
    ) -> None:
        super().__init__(why)
        self.cell, self.role, self.outcome = cell, role, outcome
        self.again, self.settled, self.said = again, settled, said


class WorkerPairs:
    """Fresh workers of both sides; those of a framework measure in turns, on one core."""

    def __init__(self, launches: Mapping[str, Mapping[str, Launch]], device: str) -> None:
        self.launches = launches
        self.device = device

    def measure(
        self,
        cell: Cell,
        files: Mapping[str, ProblemFiles],
        reference: str,
        rng: np.random.Generator,
    ) -> dict[str, dict[str, list[list[float]]]]:
        """Gate the cell in every role, then time it in turns, in random order within a round.

        Args:
            files: the problem, for ``base`` and ``head``.
            reference: the float64 gradients that every role is held to.

        Returns:
            Role → metric → the samples of each turn, seconds per call.

        Raises:
            CellFailed: wrong gradients, an exception, or a worker that is gone.
        """
        three, limit = self.launches[cell.framework], ANSWER_SECONDS
        self._prepare(cell, files, reference, limit)
        calls = self._warm(cell, limit)
        taken: dict[str, dict[str, list[list[float]]]]
        taken = {role: {metric: [] for metric in METRICS} for role in ROLES}
        spent, rounds = 0.0, 0
        while rounds < plan.LEAST_TURNS or spent < plan.CELL_SECONDS * len(ROLES):
            for place in rng.permutation(len(ROLES)):
                role = ROLES[place]
                with _blaming(cell, role):
                    turn = three[role].ask(
                        "turn", limit, name=cell.strategy, calls=calls, seconds=plan.TURN
                    )
                for metric in METRICS:
                    taken[role][metric].append(turn[metric])
                spent += calls * sum(turn["wall"])
            rounds += 1
        return taken

    def _prepare(
        self, cell: Cell, files: Mapping[str, ProblemFiles], reference: str, limit: float
    ) -> None:
        """All three at once, each on any core: it is work before the clock."""
        three, usable = self.launches[cell.framework], affinity.usable()
        way = vars(cell)
        for place, role in enumerate(ROLES):
            with _blaming(cell, role):
                if self.device == "cpu":
                    affinity.keep_on(three[role], usable[place % len(usable)])
                problem = files["head" if role == "head" else "base"]
                problem.open_in(three[role])
                asked = requests.prepare_request(way, problem, reference, [cell.strategy])
                three[role].send("prepare", **asked)
        found = {}
        for role in ROLES:
            with _blaming(cell, role):
                found[role] = three[role].receive(limit)[cell.strategy]
                if self.device == "cpu":
                    affinity.keep_on(three[role], usable[-1])
        _demand_right(cell, found)

    def _warm(self, cell: Cell, limit: float) -> int:
        """The calls of a sample: as many for each role."""
        sizes = []
        for role, launch in self.launches[cell.framework].items():
            with _blaming(cell, role):
                sizes.append(launch.ask("warm", limit, calls={cell.strategy: None})[cell.strategy])
        return int(max(sizes))

    def close(self, cell: Cell) -> None:
        """Let the problem go; a worker that cannot is gone with its launch pair."""
        for launch in self.launches[cell.framework].values():
            with contextlib.suppress(WorkerError):
                launch.ask("close")


def _demand_right(cell: Cell, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise what is to be said of the cell, where all is not well in every role.

    Wrong gradients in head go before whatever base cannot do; what both cannot is neither's gain.
    """
    failures = {role: _failure(cell, role, found[role]) for role in ROLES}
    head, base = failures["head"], failures["base"] or failures["again"]
    if head and base and (head.outcome != WRONG or base.outcome == WRONG):
        why = f"base: {base}; head: {head}"
        raise CellFailed(cell, "both", head.outcome, why, again=True, settled=True)
    if head or base:
        raise head or base  # type: ignore[misc]  # one of them is there


def _failure(cell: Cell, role: str, found: Mapping[str, Any]) -> CellFailed | None:
    if "error" in found:
        error = found["error"]
        outcome = outcome_of(error)
        said = outcome != "out_of_memory"
        return CellFailed(
            cell, role, outcome, format_error(error), again=True, settled=True, said=said
        )
    if found["equivalence"] != "pass":
        why = str(found["equivalence"])
        return CellFailed(cell, role, WRONG, why, again=True, settled=True, said=True)
    return None


@contextlib.contextmanager
def _blaming(cell: Cell, role: str) -> Iterator[None]:
    """What the worker of this role does wrong is this cell's failure."""
    try:
        yield
    except WorkerError as error:
        # a worker that died may have been killed; one that hangs has had its time
        said = isinstance(error, WorkerFailed)
        surely = said or error.outcome == "timeout"
        raise CellFailed(cell, role, error.outcome, str(error), again=surely, said=said) from error
    except OSError as error:  # its process is gone, or there is no room for what it is to read
        why = f"{type(error).__name__}: {error}"
        raise CellFailed(cell, role, "crashed", why, again=False) from error


@contextlib.contextmanager
def started(
    sides: Mapping[str, Side], frameworks: Sequence[str], device: str, index: int
) -> Iterator[WorkerPairs]:
    """The cast of launch pair ``index``; who starts first goes round.

    Raises:
        WorkerError: a worker does not start.
    """
    launches: dict[str, dict[str, Launch]] = {framework: {} for framework in frameworks}
    usable = affinity.usable()
    order = [ROLES[(place + index) % len(ROLES)] for place in range(len(ROLES))]
    try:
        for framework in frameworks:
            for place, role in enumerate(order):
                core = usable[place % len(usable)] if device == "cpu" else None
                side = sides["head" if role == "head" else "base"]
                launches[framework][role] = launch(side, framework, device, core=core)
        for one in _all(launches):
            one.ready()
        yield WorkerPairs(launches, device)
    finally:
        for one in _all(launches):
            one.kill()


def launch(
    side: Side, framework: str, device: str, dtype: str = "float32", core: int | None = None
) -> Launch:
    """A fresh worker of this side: its code, its interpreter, its cache."""
    return Launch(
        framework,
        device=device,
        dtype=dtype,
        cache=side.cache,
        prefix=() if core is None else affinity.started_on(core),
        root=side.root,
        python=side.python,
    )


def _all(launches: Mapping[str, Mapping[str, Launch]]) -> list[Launch]:
    return [one for roles in launches.values() for one in roles.values()]
