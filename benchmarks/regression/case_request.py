"""Read which case of a user's own, ``--case``, is compared, and which of its ways."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.harness.protocol.case_messages import CaseSource
from benchmarks.harness.protocol.cells import KINDS, PHASES, RECIPES, STRATEGIES
from benchmarks.harness.selection.options import ALL, SelectionError, check_name
from benchmarks.own_code.request import (
    BUDGET,
    DEFAULT_FUNCTION,
    FUNCTIONS,
    MOST_SEED,
    Request,
    RequestError,
    sources,
)
from benchmarks.regression import worktrees
from benchmarks.regression.worktrees import VersionError
from benchmarks.scenarios import FRAMEWORKS

Names = Mapping[str, tuple[str, ...] | None]  # field of a cell → names, None where left open
ALLOWED = {
    "kind": KINDS,
    "framework": FRAMEWORKS,
    "strategy": tuple(
        dict.fromkeys(
            name for table in (STRATEGIES, RECIPES) for names in table.values() for name in names
        )
    ),
    "phase": PHASES,
}


@dataclass(frozen=True)
class ComparedCase:
    """Say which case is compared, and which of its ways.

    Attributes:
        file: the user's file, as it is now.
        sources: framework → the function that builds the case, and where it stands.
        request: phases and ways, None where they are left open; seed and folder.
        kinds: ``backward``, ``freeze``, or both; None where it is left open.
        same: whether base runs head's file too.
    """

    file: Path
    sources: Mapping[str, CaseSource]
    request: Request
    kinds: tuple[str, ...] | None
    same: bool

    @property
    def name(self) -> str:
        """Return the name of the case in cells: its file, and a function that is not the usual one.

        It is made of what a cell's name may be made of.
        """
        source = self.request.source
        function = source.get("function") or DEFAULT_FUNCTION
        usual = function in (DEFAULT_FUNCTION, *FUNCTIONS.values())
        whole = source.get("module") or self.file.stem
        return re.sub(r"[^\w.]", "_", whole if usual else f"{whole}.{function}")

    @property
    def selects(self) -> bool:
        """Return whether kinds, phases or ways are named."""
        return any(one is not None for one in (self.kinds, self.request.phases, self.request.ways))


def read(text: str, selected: Names, folder: Path, *, seed: int, same: bool) -> ComparedCase:
    """Return the case that a command line names; nothing of the user's is run.

    Args:
        text: ``FILE``, ``FILE:function`` or ``package.module:function``.
        selected: names by field of a cell.
        folder: the user's working folder.
        seed: of what the case draws.
        same: whether base runs head's file too.

    Raises:
        SelectionError: there is no such case, a selection that no case has, or a seed that
            NumPy does not take.
    """
    from cascade_bench import target  # here, as other comparisons do without the client

    if not 0 <= seed <= MOST_SEED:
        raise SelectionError(f"--seed {seed}: with --case from 0 to {MOST_SEED}")
    names = {field: _names(field, given) for field, given in selected.items()}
    frameworks = names["framework"] or ()
    try:
        source: CaseSource = target.from_text(text, folder)  # type: ignore[assignment]
        file = _file_of(source, folder)
        request = Request(
            source, frameworks[0] if len(frameworks) == 1 else None, str(folder), BUDGET,
            names["phase"], names["strategy"], None, Path(), seed, None,
        )  # fmt: skip
        functions = sources(replace(request, source=_in_file(source, file)))
    except target.CaseError as error:
        raise SelectionError(f"--case {text}: {error}") from None
    except RequestError as error:
        place = ":".join(str(one) for one in (error.file, error.line) if one)
        raise SelectionError(f"--case {text}: {place}: {error}; {error.mend}") from None
    named = {framework: _as_named(source, one) for framework, one in functions.items()}
    return ComparedCase(file, named, request, names["kind"], same)


def _names(field: str, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the names given for a field of a cell; None for all.

    Raises:
        SelectionError: a name is unknown, or the field is none that a case has.
    """
    if names is None:
        return None
    if field not in ALLOWED:
        raise SelectionError(
            f"--{field} is of the suite's own scenarios; with --case select by "
            f"{', '.join(f'--{one}' for one in ALLOWED)}"
        )
    for name in names:
        check_name(field, name, (*ALLOWED[field], ALL))
    return None if ALL in names else tuple(dict.fromkeys(names))


def _file_of(source: CaseSource, folder: Path) -> Path:
    """Return the user's file; its own name may be a link, the folder's path has none in it.

    Raises:
        SelectionError: a module is nowhere in the repository.
    """
    if "file" in source:
        path = Path(source["file"])
        return path.parent.resolve() / path.name
    parts = source["module"].split(".")
    for place in _places(folder):
        below = Path(place, *parts)
        for file in (below.with_suffix(".py"), below / "__init__.py"):
            if file.is_file():
                return file.parent.resolve() / file.name
    raise SelectionError(
        f"--case {source['module']}: no such module in {folder}, in its repository, or in the src "
        "of either; give its file"
    )


def _places(folder: Path) -> Iterator[Path]:
    """Yield the folders that a module is looked for in."""
    tops = [folder]
    with contextlib.suppress(VersionError):
        tops.append(worktrees.repository(folder))
    for top in tops:
        yield from (top, top / "src")


def _in_file(source: CaseSource, file: Path) -> CaseSource:
    """Return the source that names the file, whatever it was named by."""
    return {"file": str(file), "function": source.get("function") or DEFAULT_FUNCTION}


def _as_named(source: CaseSource, function: CaseSource) -> CaseSource:
    """Return a function as it was found, in the module or file by which the user named it."""
    if "module" in source:
        return {
            "module": source["module"],
            "function": function.get("function") or DEFAULT_FUNCTION,
        }
    return function
