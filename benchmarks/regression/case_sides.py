"""Examine a user's own case at both versions, before any time is taken.

Each side's workers build the case from that side's copy of the user's repository: its file, the
files beside it, and packages at the top of the repository or in ``src``, which come before any that
is installed. This suite itself is the same on both sides.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import WorkerError, WorkerFailed
from benchmarks.harness.protocol.case_messages import CaseJob
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import SelectionError
from benchmarks.own_code.plan import Pace
from benchmarks.regression import (
    case_agreement,
    case_cells,
    case_trees,
    side_launches,
    versions,
    worker_pairs,
)
from benchmarks.regression.case_cells import CaseCell
from benchmarks.regression.case_paths import import_folders, in_tree, mapped_variable
from benchmarks.regression.case_request import ComparedCase
from benchmarks.regression.references import References
from benchmarks.regression.side_launches import SideLaunches
from benchmarks.regression.versions import Side
from benchmarks.regression.worktrees import VersionError

SLOPES = 0.1  # of the budget, after which no central difference is begun
LEAST_LIMIT = 60.0  # seconds that an answer may take, whatever the budget is
COPIES = (
    "; each side is a copy of what git has of the repository: files that it ignores, such as "
    "compiled ones and data, are not in it"
)
LACKING = ("ModuleNotFoundError", "ImportError", "FileNotFoundError")


@dataclass
class CaseSides:
    """Hold a case as it was examined at both versions.

    Attributes:
        sides: base and head, whose workers find the case.
        cells: those to compare.
        files: framework → facts and bounds, of ``base`` and ``head``.
        disagreements: framework → why head's gradients are wrong; None where they are not.
        notes: sentences for the reader of the result.
        seconds: that the examination took.
    """

    sides: Sequence[Side]
    cells: list[CaseCell]
    files: dict[str, dict[str, CaseFiles]]
    disagreements: dict[str, str | None]
    notes: list[str]
    seconds: float = 0.0

    def fill(
        self, sides: Mapping[str, Side], cells: Sequence[Cell], references: References
    ) -> None:
        """Fill the references of all cells; see `references.compute_references`."""
        for cell in cells:
            files = self.files[cell.framework]
            references.files[cell.problem] = files
            if disagreement := self.disagreements[cell.framework]:
                references.excluded[cell] = "wrong_in_head", disagreement
            else:
                of_base = files["base"].compute({}, cell.kind, cell.phase)
                references.paths[cell] = of_base[cell.framework]


@contextlib.contextmanager
def examined(
    case: ComparedCase, sides: Sequence[Side], installed: Sequence[str], budget: float
) -> Iterator[CaseSides]:
    """Examine a case at both versions, and remove the files of that at the end.

    Args:
        case: which case.
        sides: base and head.
        installed: frameworks that at least one side has.
        budget: seconds for the whole comparison.

    Raises:
        SelectionError: no framework of the case is installed, or the case has no such way.
        VersionError: a side lacks the case or cannot run it, or the two are different problems.
    """
    begin = time.monotonic()
    case_trees.check_files(case, sides)
    frameworks = [name for name in case.sources if name in installed]
    if not frameworks:
        raise SelectionError(
            f"{case.name} is a case in {' and '.join(case.sources)}, installed on neither side"
        )
    sides = [replace(side, environment=mapped_variable(side)) for side in sides]
    case_trees.check_installed(case, sides)
    case_sides = CaseSides(sides, [], {}, {}, _notes(case, frameworks))
    launches = SideLaunches({side.name: side for side in sides})
    try:
        for framework in frameworks:
            Examination(case, launches, framework, budget).add_to(case_sides)
        case_sides.seconds = time.monotonic() - begin
        launches.end()  # before anything is timed
        yield case_sides
    finally:
        launches.end()
        for files in case_sides.files.values():
            for one in files.values():
                one.close()


def _notes(case: ComparedCase, frameworks: Sequence[str]) -> list[str]:
    """Return what the reader must know before anything was examined."""
    same = [f"BASE too runs {case.file.name} of HEAD (--same-case)"] if case.same else []
    absent = [name for name in case.sources if name not in frameworks]
    return [*same, *(f"left out: {name}, installed on neither side" for name in absent)]


class Examination:
    """Examine a case in one framework, in workers of both sides at once.

    Args:
        case: which case.
        launches: starts the workers.
        framework: ``torch`` or ``jax``.
        budget: seconds for the whole comparison.
    """

    def __init__(
        self, case: ComparedCase, launches: SideLaunches, framework: str, budget: float
    ) -> None:
        self.case, self.launches, self.framework = case, launches, framework
        self.slopes = SLOPES * budget
        self.limit = min(worker_pairs.ANSWER_SECONDS, max(LEAST_LIMIT, budget))
        self.files: dict[str, CaseFiles] = {}
        self.paces: dict[str, Pace] = {}

    def add_to(self, case_sides: CaseSides) -> None:
        """Examine the case and add to what was found: files, cells, notes, and what is wrong.

        Raises:
            SelectionError: the case has no way of the selection.
            VersionError: a side cannot run the case, or the two are different problems.
        """
        for side in self.launches.sides.values():
            job = self._job(side)
            self.files[side.name] = CaseFiles(job, self.framework, self.limit)
        case_sides.files[self.framework] = self.files
        if why := self._examine_both():
            case_sides.notes.append(
                f"{self.framework}: float64 could not be used ({why}): gradients are held to those "
                "of BASE in float32"
            )
        base, head = self.files["base"], self.files["head"]
        if other := case_agreement.difference(base, head):
            raise VersionError(
                f"{self.case.name} is another problem in HEAD than in BASE, and times of two "
                f"problems are not compared: {other}"
            )
        case_sides.disagreements[self.framework] = case_agreement.disagreement(base, head)
        chosen = case_cells.choose(self.case, self.framework, base.known_facts, self._pace())
        case_sides.cells += chosen

    def _job(self, side: Side) -> CaseJob:
        """Return the case as a side's workers build it."""
        source = self.case.sources[self.framework]
        folder = Path(self.case.request.folder)
        made: CaseJob = {"source": source, "folder": str(folder), "seed": self.case.request.seed}
        if side.tree is None:
            return made
        if "file" in source:
            source = {**source, "file": side.moved[str(self.case.file)]}
        return {
            **made,
            "source": source,
            "folder": str(in_tree(side, folder) or side.tree),
            "path": import_folders(side, self.case.file.parent, folder),
        }

    def _examine_both(self) -> str | None:
        """Examine both sides, in float32 where one of them does not run in float64.

        Returns:
            Why float64 could not be used; None where it was.
        """
        failed = self._on_both("float64")
        if failed is None:
            why = self._float32_is_off()
            if why is None:
                return None
        elif isinstance(failed[1], WorkerFailed):
            why = failed[1].case["message"] if failed[1].case else str(failed[1])
        else:
            raise self._cannot_run(*failed)
        if failed := self._on_both("float32"):
            raise self._cannot_run(*failed)
        return why

    def _on_both(self, dtype: str) -> tuple[str, WorkerError] | None:
        """Examine both sides with a reference of this dtype; return which side failed, and how."""

        def examine(side: str) -> WorkerError | None:
            try:
                self._examine(side, dtype)
            except WorkerError as error:
                return error
            return None

        errors = side_launches.on_both_sides(self.files, examine, self.launches.end)
        return next(((side, error) for side, error in errors.items() if error), None)

    def _examine(self, side: str, dtype: str) -> None:
        """Examine one side, and learn how long starting, the first pass and a pass take."""
        owner, files = str(self.case.file), self.files[side]
        worker = self.launches.get(side, self.framework, owner, dtype)
        phases = self.case.request.phases
        kinds = ["backward", "freeze"] if phases is None or "step" in phases else []
        worker.wait_until_ready()
        files.examine(worker, dtype, kinds, self.slopes)
        self._check_origin(side)
        begin, first = time.monotonic(), 0.0
        worker = self.launches.get(side, self.framework, owner, "float32")
        worker.wait_until_ready()
        if dtype == "float64":
            first = files.judge_the_sum(worker)
        else:
            files.open_in(worker)
        start = time.monotonic() - begin - first
        call, once = files.pass_seconds(worker)
        known, compiling = self.paces.get(side), self.framework == "jax"
        self.paces[side] = Pace(
            call, known.start if known else start, later=once if compiling else 0.0
        )

    def _pace(self) -> Pace:
        """Return how long starting and compiling take at best, and the slower side's pass."""
        paces = self.paces.values()
        return Pace(
            max(one.call for one in paces),
            min(one.start for one in paces),
            later=min(one.later for one in paces),
        )

    def _float32_is_off(self) -> str | None:
        """Return why float32 cannot be held to float64 on a side; None where it can."""
        for side, files in self.files.items():
            if files.sum_error is None or files.sum_error > files.allowed:
                return f"the summed loss of {side} in float32 {files.off_from_float64}"
        return None

    def _check_origin(self, side: str) -> None:
        """Raise `VersionError` where a side loads files of the repository itself."""
        of_side = self.launches.sides[side]
        worker = self.launches.get(
            side, self.framework, str(self.case.file), self.files[side].dtype
        )
        loaded = side_launches.loaded_from_origin(of_side, worker)
        if loaded:
            more = f" and {len(loaded) - 1} more" if len(loaded) > 1 else ""
            raise VersionError(
                f"the case loads {loaded[0]}{more}, which would be the same at both versions: it "
                "stands neither beside the case nor at the top of the repository or in src; say "
                f"where: PYTHONPATH={_package_folder(Path(loaded[0]))} cascade-bench regress …"
            )

    def _cannot_run(self, name: str, error: WorkerError) -> VersionError:
        """Return the error that a side cannot run the case: one line with file, line and mend."""
        text = f"{self.framework}: {error}"
        if isinstance(error, WorkerFailed) and error.case:
            mistake = error.case
            place = ":".join(str(one) for one in (mistake["file"], mistake["line"]) if one)
            lacks = mistake["message"].startswith(LACKING)
            text = f"{place}: {mistake['message']}; {mistake['mend']}{COPIES if lacks else ''}"
        text = versions.without_trees(text, self.launches.sides.values())
        side = self.launches.sides[name]
        return VersionError(f"{self.case.name} cannot be run at {case_trees.called(side)}: {text}")


def _package_folder(file: Path) -> str:
    """Return the folder that a file's package is imported from, as it is typed."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return os.path.relpath(folder)
