"""What right gradients are: each side's float64 ones, held to each other before any clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.harness.arrays import read_arrays
from benchmarks.harness.cells import Cell
from benchmarks.harness.launch import Launch, WorkerError
from benchmarks.harness.problems import ProblemFiles, Untrusted, disagreement
from benchmarks.own.blame import SpecError
from benchmarks.regress import cast, plan
from benchmarks.regress.sides import Side
from benchmarks.scenarios import FRAMEWORKS

Problem = tuple[str, str, str]  # scenario, variant, size


@dataclass(frozen=True)
class Trouble:
    """Why a side has no reference: ``outcome`` as a record's."""

    outcome: str
    why: str


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
    """The float64 worker of each side and framework, started when first needed."""

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self.kept: dict[tuple[str, str], Launch] = {}

    def of(self, side: str, framework: str) -> Launch:
        key = side, framework
        if key not in self.kept or self.kept[key].dead:
            self.kept[key] = cast.launch(self.sides[side], framework, "cpu", "float64")
        return self.kept[key]

    def end(self) -> None:
        for one in self.kept.values():
            one.kill()


def _refer(
    cells: Sequence[Cell],
    files: Mapping[str, ProblemFiles],
    launches: _Launches,
    found: References,
) -> None:
    def of(side: str) -> dict[tuple[str, str], str | Trouble]:
        return {
            (side, framework): _reference(cells[0], files[side], launches, side, framework)
            for framework in plan.frameworks(cells)
        }

    with ThreadPoolExecutor(len(files)) as pool:  # both sides at once, a core each
        got = {key: one for found_on in pool.map(of, files) for key, one in found_on.items()}
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
) -> str | Trouble:
    tree = launches.sides[side].root
    if framework in FRAMEWORKS and not (tree / f"impl_{framework}" / "session.py").is_file():
        # else an installed one would be found in its place
        return Trouble("crashed", f"this tree has no impl_{framework}/session.py")
    try:
        launch = launches.of(side, framework)
        launch.ready()
        found = files.reference({framework: launch}, cell.kind, cell.phase)
    except (Untrusted, WorkerError) as error:
        return Trouble(error.outcome, str(error))
    except SpecError as error:
        return Trouble("crashed", str(error))
    if framework in files.unsound:
        wrong = files.unsound[framework]
        return Trouble(getattr(wrong, "outcome", "crashed"), str(wrong))
    return found[framework]


def _state(
    files: ProblemFiles, base: str | Trouble, head: str | Trouble, other: str | None
) -> tuple[str, str] | None:
    """None where the cell can be held to base's reference."""
    if isinstance(head, Trouble):
        wrong = head.outcome == "wrong_gradients"
        if isinstance(base, Trouble):
            return "failed", f"head: {head.why}; base: {base.why}"
        return ("wrong_in_head" if wrong else "failed_in_head"), head.why
    if isinstance(base, Trouble):
        wrong = base.outcome == "wrong_gradients"
        return ("wrong_in_base" if wrong else "only_in_head"), base.why
    mine, theirs = read_arrays(head), read_arrays(base)
    differ = disagreement(files, theirs, mine)
    if differ is None:
        return None
    if other is not None and disagreement(files, mine, read_arrays(other)) is None:
        return "wrong_in_base", f"base's float64 gradients are not those of head: {differ}"
    return "wrong_in_head", f"head's float64 gradients are not those of base: {differ}"
