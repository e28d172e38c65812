"""Compute the float64 gradients of both sides and decide which cells can be timed.

This comes before any timing: a cell whose gradients are wrong on one side, or that one side lacks,
has no times to compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.float64_references import disagreement
from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.unreliable import UnreliableReference
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import plan, side_launches
from benchmarks.regression.failures import WRONG_GRADIENTS
from benchmarks.regression.side_launches import SideLaunches
from benchmarks.regression.versions import Side
from benchmarks.regression.worktrees import VersionError
from benchmarks.scenarios import FRAMEWORKS
from benchmarks.scenarios.external.errors import SpecError

Problem = tuple[str, str, str]  # see `Cell.problem`
Files = ProblemFiles | CaseFiles
ATTEMPTS = 2  # to compute a reference: something outside may have killed the first worker


@dataclass(frozen=True)
class ReferenceFailure:
    """Say why a side has no reference for a cell.

    ``outcome`` is one of the outcomes of a record. ``absent`` says that the side's code lacks the
    cell or computes it wrongly; otherwise its worker died, hung or ran out of memory.
    """

    outcome: str
    why: str
    absent: bool = True


@dataclass
class References:
    """Hold the files of every problem and the references of the cells that can be timed.

    ``files`` maps a problem to its files by side, ``paths`` a cell to its file of float64
    gradients, and ``excluded`` every other cell to its state, a key of
    `results.regression.document.OF_STATE`, and the reason.
    """

    files: dict[Problem, Mapping[str, Files]] = field(default_factory=dict)
    paths: dict[Cell, str] = field(default_factory=dict)
    excluded: dict[Cell, tuple[str, str]] = field(default_factory=dict)

    def close(self) -> None:
        """Remove the files."""
        for sides in self.files.values():
            for files in sides.values():
                files.close()


def compute_references(
    sides: Mapping[str, Side], cells: Sequence[Cell], references: References
) -> None:
    """Fill ``references`` for all cells: files of every problem, float64 gradients, exclusions.

    Every role is later compared with base's reference. If head's reference differs from it, head's
    other framework decides, where there is one: if it agrees with head, base was wrong, else head
    is.

    Args:
        sides: ``base`` and ``head``.
        cells: the cells to compare.
        references: empty; it is filled.
    """
    launches = SideLaunches(sides)
    try:
        for problem in plan.distinct_problems(cells):
            members = [cell for cell in cells if cell.problem == problem]
            files: dict[str, ProblemFiles] = {}
            references.files[problem] = files  # before they are there: what there is gets closed
            for name, side in sides.items():
                files[name] = _problem_files(problem, side)
            for group in _same_reference(members):
                _add_group(group, files, launches, references)
    finally:
        launches.end()


def _same_reference(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group the cells of one problem whose references are the same files."""
    groups: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.kind, cell.phase == "step"), []).append(cell)
    return list(groups.values())


def _problem_files(problem: Problem, side: Side) -> ProblemFiles:
    """Write the weights and data of a problem to files for one side, and return the files.

    A user's own spec is read from its copy in this side.
    """
    files = ProblemFiles(*problem)
    family = files.problem_spec["family"]
    if family in side.moved:
        files.problem_spec = {**files.problem_spec, "family": side.moved[family]}
    return files


Result = str | ReferenceFailure  # the file of float64 gradients, or why there is none


def _add_group(
    cells: Sequence[Cell],
    files: Mapping[str, ProblemFiles],
    launches: SideLaunches,
    references: References,
) -> None:
    """Compute the reference that these cells share on each side, and decide on every cell.

    The cells that can be timed get their reference in ``references.paths``, the others their state
    and reason in ``references.excluded``.

    Args:
        cells: of one problem, with the same reference.
        files: the problem's files, for ``base`` and for ``head``.
        launches: the workers.
        references: to be filled.
    """
    results = _both_sides(cells, files, launches)
    for cell in cells:
        base, head = results["base", cell.framework], results["head", cell.framework]
        other = next(
            (
                result
                for (side, framework), result in results.items()
                if side == "head" and framework != cell.framework and isinstance(result, str)
            ),
            None,
        )
        excluded = _exclusion(files["head"], base, head, other)
        if excluded:
            references.excluded[cell] = excluded
        else:
            assert isinstance(base, str)
            references.paths[cell] = base


def _both_sides(
    cells: Sequence[Cell], files: Mapping[str, ProblemFiles], launches: SideLaunches
) -> dict[tuple[str, str], Result]:
    """Compute the reference of each side and framework; both sides run at once, on a core each.

    Returns:
        (side, framework) → the file of float64 gradients, or why there is none.
    """

    def of_side(side: str) -> dict[tuple[str, str], Result]:
        """Compute the references of one side, one framework after the other."""
        return {
            (side, framework): _reference(cells[0], files[side], launches, side, framework)
            for framework in plan.distinct_frameworks(cells)
        }

    by_side = side_launches.on_both_sides(files, of_side, launches.end)
    return {key: result for results in by_side.values() for key, result in results.items()}


def _reference(
    cell: Cell, files: ProblemFiles, launches: SideLaunches, side: str, framework: str
) -> Result:
    """Compute the float64 gradients that a cell is checked against, by one side's code.

    If the worker dies, a new one tries once more.

    Args:
        cell: decides which gradients.
        files: the problem's files for this side.
        launches: starts the workers.
        side: ``base`` or ``head``.
        framework: ``torch`` or ``jax``.

    Returns:
        The path of the file of gradients, or why there is none.
    """
    root = launches.sides[side].root
    if framework in FRAMEWORKS and not (root / f"impl_{framework}" / "session.py").is_file():
        # without this check Python would import an installed implementation instead
        return ReferenceFailure("crashed", f"this tree has no impl_{framework}/session.py")
    for attempt in range(ATTEMPTS):
        launch = launches.get(side, framework, cell.owner)
        try:
            launch.wait_until_ready()
            references = files.references.compute({framework: launch}, cell.kind, cell.phase)
            _check_origin(launches.sides[side], launch)
        except (UnreliableReference, SpecError, WorkerFailed) as error:
            return ReferenceFailure(getattr(error, "outcome", "crashed"), str(error))
        except WorkerError as error:
            # a worker that never began shows that its code is at fault; one that died later may
            # have been killed from outside
            began = launch.hello is not None
            if not began or attempt == ATTEMPTS - 1:
                return ReferenceFailure(error.outcome, str(error), absent=not began)
            continue
        break
    if framework in files.references.failures:
        unsound = files.references.failures[framework]
        return ReferenceFailure(getattr(unsound, "outcome", "crashed"), str(unsound))
    return references[framework]


def _check_origin(side: Side, launch: Launch) -> None:
    """Check that a worker loads a user's network from its side's tree only.

    A package that is installed from the repository itself would be the same on both sides.

    Raises:
        VersionError: the worker has loaded a file from the repository itself.
    """
    theirs = side_launches.loaded_from_origin(side, launch)
    if theirs:
        more = f" and {len(theirs) - 1} more" if len(theirs) > 1 else ""
        raise VersionError(
            f"your network loads {theirs[0]}{more}, which would be the same on both sides; only "
            "what stands beside the spec comes from each side's tree: while you compare, take the "
            "package out of the interpreter (pip uninstall) and of PYTHONPATH"
        )


def _exclusion(
    files: ProblemFiles, base: Result, head: Result, other: str | None
) -> tuple[str, str] | None:
    """Decide by the references of both sides whether a cell is timed.

    Args:
        files: the problem.
        base: base's file of float64 gradients, or why there is none.
        head: the same of head.
        other: the file of head's other framework, None where there is none.

    Returns:
        The state of a cell that is not timed, and the reason; None for one that is.
    """
    if isinstance(head, ReferenceFailure):
        wrong = head.outcome == WRONG_GRADIENTS
        if isinstance(base, ReferenceFailure):
            return "failed", f"head: {head.why}; base: {base.why}"
        return ("wrong_in_head" if wrong else "failed_in_head"), head.why
    if isinstance(base, ReferenceFailure):
        wrong = base.outcome == WRONG_GRADIENTS
        if not base.absent:
            return "failed", f"base: {base.why}"
        return ("wrong_in_base" if wrong else "only_in_head"), base.why
    of_head, of_base = read_arrays(head), read_arrays(base)
    difference = disagreement(files, of_base, of_head)
    if difference is None:
        return None
    if other is not None and disagreement(files, of_head, read_arrays(other)) is None:
        return "wrong_in_base", f"base's float64 gradients are not those of head: {difference}"
    return "wrong_in_head", f"head's float64 gradients are not those of base: {difference}"
