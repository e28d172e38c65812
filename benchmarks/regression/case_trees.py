"""Check that each side's tree has what a user's case is built from, before a worker is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.regression.case_paths import (
    VARIABLE,
    import_folders,
    installed_from,
    without_place,
)
from benchmarks.regression.case_request import ComparedCase
from benchmarks.regression.versions import Side
from benchmarks.regression.worktrees import VersionError


def check_files(case: ComparedCase, sides: Sequence[Side]) -> None:
    """Check that each side has the file; where base is to run head's, copy it there.

    Raises:
        VersionError: a side lacks the file.
    """
    base, head = sides
    for side in (head, base):
        if side.tree is None:
            continue
        file = Path(side.moved[str(case.file)])
        if side is base and case.same:
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(head.moved[str(case.file)], file)
        if not file.is_file():
            place = file.relative_to(side.tree)
            raise VersionError(f"{place} is not in {called(side)}: {_mend(side, place)}")


def check_installed(case: ComparedCase, sides: Sequence[Side]) -> None:
    """Check that a side has each package that is installed from the repository, as a copy.

    Raises:
        VersionError: it has not where packages are looked for: the copy would be run at both.
    """
    for side in sides:
        if side.repository is None or side.origin is None:
            continue
        folders = import_folders(side, case.file.parent, Path(case.request.folder))
        folders += filter(None, side.environment.get(VARIABLE, "").split(os.pathsep))
        lacking = without_place(installed_from(side.repository), folders)
        if lacking:
            raise VersionError(
                f"{lacking[0]} is installed from this repository (pip install), and {called(side)}"
                " has it neither at the top nor in src: the installed files would be run at both "
                f"versions; say which folder holds it: {VARIABLE}=FOLDER cascade-bench regress …"
            )


def _mend(side: Side, place: Path) -> str:
    """Return what to do where a side lacks the case's file."""
    if side.name == "base":
        return "name a commit that has it, or give --same-case, which runs HEAD's file at both"
    if side.label.startswith("the work tree"):
        return f"git ignores it; `git check-ignore -v {place}` names the line to take out"
    return "name a commit that has it"


def called(side: Side) -> str:
    """Return how a side is called in messages, such as ``BASE, main (1a2b3c4d5)``."""
    return f"{side.name.upper()}, {side.label}"
