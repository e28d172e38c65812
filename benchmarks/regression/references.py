"""What right gradients are: each side's float64 ones, held to each other before any clock."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles, Untrusted, disagreement
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.cells import Cell
from benchmarks.paths import ROOT
from benchmarks.regression import plan, worker_pairs
from benchmarks.regression.versions import Side
from benchmarks.regression.worktrees import TreeError
from benchmarks.scenarios import FRAMEWORKS
from benchmarks.scenarios.external.errors import SpecError

Problem = tuple[str, str, str]  # scenario, variant, size
ATTEMPTS = 2  # at a reference whose worker died: it may have been killed


@dataclass(frozen=True)
class ReferenceFailure:
    """Why a side has no reference: ``outcome`` as a record's.

    ``absent`` is whether the side does not have it; else it died, hung or had no memory.
    """

    outcome: str
    why: str
    absent: bool = True


@dataclass
class References:
    """Files of every problem for each side, and the reference of every cell that has one.

    ``state`` has every cell that will not be timed, with one of
    `results.regression.OF_STATE` and the reason.
    """

    files: dict[Problem, dict[str, ProblemFiles]] = field(default_factory=dict)
    of: dict[Cell, str] = field(default_factory=dict)
    state: dict[Cell, tuple[str, str]] = field(default_factory=dict)

    def close(self) -> None:
        """Remove the files."""
        for sides in self.files.values():
            for one in sides.values():
                one.close()


def taken(sides: Mapping[str, Side], chosen: Sequence[Cell], found: References) -> None:
    """Put the references of all cells into ``found``, and the state of those that have none.

    A cell is held to base's reference. Where head's is another, the other framework's decides, if
    it is there: either head's gradients are wrong now, or base's were.
    """
    launches = _Launches(sides)
    try:
        for problem in plan.problems(chosen):
            members = [c for c in chosen if (c.scenario, c.variant, c.size) == problem]
            found.files[problem] = {}
            for name, side in sides.items():
                found.files[problem][name] = _files(problem, side)
            for cells in _alike(members):
                _refer(cells, found.files[problem], launches, found)
    finally:
        launches.end()


def _alike(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one kind, and of one side of the step: their references are the same files."""
    groups: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.kind, cell.phase == "step"), []).append(cell)
    return list(groups.values())


def _files(problem: Problem, side: Side) -> ProblemFiles:
    """The problem's arrays; of a user's own, the part is this side's."""
    files = ProblemFiles(*problem)
    family = files.facts["family"]
    if family in side.moved:
        files.facts = {**files.facts, "family": side.moved[family]}
    return files


class _Launches:
    """The float64 worker of each side and framework, started when first needed.

    Both sides' threads ask for theirs; from `end` on none is started.
    """

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self.kept: dict[tuple[str, str], Launch] = {}
        self.ended = False
        self.changing = threading.Lock()

    def of(self, side: str, framework: str) -> Launch:
        key = side, framework
        with self.changing:
            if self.ended:
                raise WorkerError("the session was stopped")
            if key not in self.kept or self.kept[key].dead:
                self.kept[key] = worker_pairs.launch(self.sides[side], framework, "cpu", "float64")
            return self.kept[key]

    def end(self) -> None:
        self.ended = True  # before the lock is waited for, which a second Ctrl-C may break off
        with self.changing:
            for one in self.kept.values():
                one.kill_nowait()
            for one in self.kept.values():
                one.kill()


def _refer(
    cells: Sequence[Cell],
    files: Mapping[str, ProblemFiles],
    launches: _Launches,
    found: References,
) -> None:
    def of(side: str) -> dict[tuple[str, str], str | ReferenceFailure]:
        return {
            (side, framework): _reference(cells[0], files[side], launches, side, framework)
            for framework in plan.frameworks(cells)
        }

    with ThreadPoolExecutor(len(files)) as pool:  # both sides at once, a core each
        try:
            begun = [pool.submit(of, side) for side in files]
            got = {key: one for each in begun for key, one in signal_safe_wait.result(each).items()}
        except BaseException:  # Ctrl-C: the threads wait for workers, minutes maybe
            launches.end()
            raise
    for cell in cells:
        base, head = got["base", cell.framework], got["head", cell.framework]
        others = [one for (side, f), one in got.items() if side == "head" and f != cell.framework]
        other = next((one for one in others if isinstance(one, str)), None)
        state = _state(files["head"], base, head, other)
        if state:
            found.state[cell] = state
        else:
            assert isinstance(base, str)
            found.of[cell] = base


def _reference(
    cell: Cell, files: ProblemFiles, launches: _Launches, side: str, framework: str
) -> str | ReferenceFailure:
    tree = launches.sides[side].root
    if framework in FRAMEWORKS and not (tree / f"impl_{framework}" / "session.py").is_file():
        # else an installed one would be found in its place
        return ReferenceFailure("crashed", f"this tree has no impl_{framework}/session.py")
    for attempt in range(ATTEMPTS):
        launch = launches.of(side, framework)
        try:
            launch.ready()
            found = files.reference({framework: launch}, cell.kind, cell.phase)
            _demand_own_tree(launches.sides[side], launch)
        except (Untrusted, SpecError, WorkerFailed) as error:
            return ReferenceFailure(getattr(error, "outcome", "crashed"), str(error))
        except WorkerError as error:  # killed, maybe; where it never began, its code is at fault
            began = launch.hello is not None
            trouble = ReferenceFailure(error.outcome, str(error), absent=not began)
            if not began or attempt == ATTEMPTS - 1:
                return trouble
            continue
        break
    if framework in files.unsound:
        wrong = files.unsound[framework]
        return ReferenceFailure(getattr(wrong, "outcome", "crashed"), str(wrong))
    return found[framework]


def _demand_own_tree(side: Side, launch: Launch) -> None:
    """A user's network must come from its side's tree with all that it imports of its repository:
    a package that is installed from there is the same on both sides.

    Raises:
        TreeError: something was loaded from the repository itself.
    """
    if side.origin is None:
        return
    ours = [str(ROOT / name) for name in ("benchmarks", "results", "impl_torch", "impl_jax")]
    loaded = launch.ask("loaded", folder=side.origin)
    theirs = [file for file in loaded if not any(Path(file).is_relative_to(o) for o in ours)]
    if theirs:
        more = f" and {len(theirs) - 1} more" if len(theirs) > 1 else ""
        raise TreeError(
            f"your network loads {theirs[0]}{more}, which would be the same on both sides; only "
            "what stands beside the spec comes from each side's tree: while you compare, take the "
            "package out of the interpreter (pip uninstall) and of PYTHONPATH"
        )


def _state(
    files: ProblemFiles,
    base: str | ReferenceFailure,
    head: str | ReferenceFailure,
    other: str | None,
) -> tuple[str, str] | None:
    """None where the cell can be held to base's reference."""
    if isinstance(head, ReferenceFailure):
        wrong = head.outcome == "wrong_gradients"
        if isinstance(base, ReferenceFailure):
            return "failed", f"head: {head.why}; base: {base.why}"
        return ("wrong_in_head" if wrong else "failed_in_head"), head.why
    if isinstance(base, ReferenceFailure):
        wrong = base.outcome == "wrong_gradients"
        if not base.absent:
            return "failed", f"base: {base.why}"
        return ("wrong_in_base" if wrong else "only_in_head"), base.why
    mine, theirs = read_arrays(head), read_arrays(base)
    differ = disagreement(files, theirs, mine)
    if differ is None:
        return None
    if other is not None and disagreement(files, mine, read_arrays(other)) is None:
        return "wrong_in_base", f"base's float64 gradients are not those of head: {differ}"
    return "wrong_in_head", f"head's float64 gradients are not those of base: {differ}"
