"""Prepare the two sides of a comparison: a folder of code and an interpreter for base and head."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.paths import INSTALLED, ROOT
from benchmarks.regression import worktrees
from benchmarks.regression.worktrees import VersionError
from results.regression.document import PACKAGES

SIDES = ("base", "head")
# Run by the interpreter of a side, which may be another version of Python than ours.
PACKAGE_VERSIONS_SCRIPT = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
versions = {"python": sys.version.split()[0]}
for name in sys.argv[1:]:
    try:
        versions[name] = version(name)
    except PackageNotFoundError:
        versions[name] = None
print(json.dumps(versions))
"""
SCRIPT_SECONDS = 60.0
# Where a version of this suite keeps its worker: a package now, one module before.
WORKER_FILES = ("benchmarks/harness/worker/__main__.py", "benchmarks/harness/worker.py")


@dataclass(frozen=True)
class VersionRequest:
    """Name the code and the interpreter of one side.

    ``ref`` is a git ref, or None for the work tree as it is; ``python`` is a path or a command.
    """

    ref: str | None
    python: str


@dataclass(frozen=True)
class Side:
    """Describe one side of a comparison, ready to start workers from.

    ``name`` is ``base`` or ``head``; ``label`` describes the code to a reader, ``changed`` counts
    the uncommitted files, and ``versions`` maps each package to its version, None where it is not
    installed. Workers run from ``root``, this side's copy of the suite, and keep compiled code in
    ``cache``. ``moved`` maps each of the user's own spec files to its copy in this side. ``origin``
    is the repository these specs come from; where it is set, both sides are different commits, and
    a worker that loads a file from the repository itself would measure the same code twice.
    ``repository`` is the same, whether or not that matters, and ``tree`` this side's copy of it;
    both are None where the files are used as they are.
    Workers get the variables of ``environment`` beside those of this process.
    """

    name: str
    label: str
    commit: str | None
    changed: int
    python: str
    versions: Mapping[str, str | None]
    root: Path
    cache: str
    moved: Mapping[str, str]
    origin: str | None = None
    repository: str | None = None
    tree: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def document_entry(self) -> dict[str, Any]:
        """Return this side as plain data for the saved document.

        Temporary folders are left out. So is the interpreter's path, unless one was asked for:
        nothing else in the document names a path of this machine.
        """
        temporary = ("root", "cache", "moved", "origin", "repository", "tree", "environment")
        entry = {key: value for key, value in asdict(self).items() if key not in temporary}
        return entry | {"python": None if self.python == sys.executable else self.python}


@contextlib.contextmanager
def prepare_sides(
    base: VersionRequest, head: VersionRequest, specs: Sequence[Path] = ()
) -> Iterator[tuple[Side, Side]]:
    """Prepare both sides in a temporary folder, and remove the folder at the end.

    Args:
        base: the version to compare with.
        head: the version that is judged.
        specs: spec files of the user's own scenarios. If there are any, refs belong to the
            repository that contains them, and both sides run this suite's own code.

    Yields:
        Base and head.

    Raises:
        VersionError: a ref, a repository or an interpreter does not exist, or the disk is full.
    """
    versions = {request.python: _package_versions(request.python) for request in (base, head)}
    same_files = base.ref is None and head.ref is None
    with tempfile.TemporaryDirectory(
        prefix="cascade-bench-regress-", ignore_cleanup_errors=True
    ) as temporary:
        repo = _repository(specs, required=not same_files)
        sides = [
            _prepare_side(name, request, versions[request.python], Path(temporary), repo, specs)
            for name, request in zip(SIDES, (base, head), strict=True)
        ]
        if same_files:  # a package installed from the repository is then no mistake
            sides = [replace(side, origin=None) for side in sides]
        yield sides[0], sides[1]


def check_ref(ref: str, specs: Sequence[Path] = ()) -> None:
    """Raise `VersionError` unless the repository of the specs, or of this suite, has this ref."""
    worktrees.resolve_commit(worktrees.repository(_folder(specs)), ref)


def without_trees(text: str, sides: Iterable[Side]) -> str:
    """Return a text in which files of a side's tree are named as in the repository."""
    for side in sides:
        text = text.replace(f"{side.tree}/", "") if side.tree else text
    return text


def _folder(specs: Sequence[Path]) -> Path:
    """Return a folder in the repository that refs belong to.

    Raises:
        VersionError: there are no specs, and the suite was installed from a package. It may lie
            inside a repository of the user's, whose refs are none of the suite's.
    """
    if INSTALLED and not specs:
        raise VersionError(
            "this suite was installed from a package, so its own code has no refs; compare in a "
            "clone of it, or code of your own: --case FILE or --scenario-path PATH, or another "
            "interpreter: --base-python PATH"
        )
    return specs[0].parent if specs else ROOT


def _repository(specs: Sequence[Path], *, required: bool) -> Path | None:
    """Return the repository that refs belong to, or None where none exists and none is required."""
    try:
        repo = worktrees.repository(_folder(specs))
    except VersionError:
        if required:
            raise
        return None
    outside = [str(file) for file in specs if not file.is_relative_to(repo)]
    if outside:
        raise VersionError(f"{', '.join(outside)}: not in {repo}, where the first spec is")
    return repo


def _prepare_side(
    name: str,
    request: VersionRequest,
    versions: Mapping[str, str | None],
    temporary: Path,
    repo: Path | None,
    specs: Sequence[Path],
) -> Side:
    """Write the code of one side into the temporary folder, and check that it can be measured.

    Args:
        name: ``base`` or ``head``.
        request: its code and interpreter.
        versions: of the packages that the interpreter has.
        temporary: the folder of both sides.
        repo: the repository that refs belong to; None runs the files as they are.
        specs: spec files of the user's own scenarios.

    Raises:
        VersionError: the code cannot be written, or has no worker.
    """
    into = temporary / name
    commit, changed, label = None, 0, "the files as they are"
    if repo is not None:
        commit, changed, label = _write_code(request.ref, repo, into)
    root = ROOT if repo is None or specs else into / ROOT.relative_to(repo)
    # Without a worker in this folder, Python would silently start an installed suite's worker.
    if not any((root / file).is_file() for file in WORKER_FILES):
        raise VersionError(
            f"{label} has no {WORKER_FILES[0]}, so it is no version of this suite that can be "
            "compared; for networks of your own say where they are: --scenario-path PATH"
        )
    cache = temporary / f"{name}.cache"
    cache.mkdir()
    moved = {str(file): str(into / file.relative_to(repo)) for file in specs} if repo else {}
    return Side(
        name, label, commit, changed, request.python, versions, root, str(cache), moved,
        origin=str(repo) if moved else None,
        repository=str(repo) if moved else None, tree=str(into) if moved else None,
    )  # fmt: skip


def _write_code(ref: str | None, repo: Path, into: Path) -> tuple[str, int, str]:
    """Write the files of one side into a new folder.

    Args:
        ref: a git ref, or None for the work tree as it is.
        repo: the repository.
        into: the folder.

    Returns:
        Commit, number of uncommitted files, and label, which describes the code to a reader.
    """
    commit = worktrees.resolve_commit(repo, ref or "HEAD")
    if ref is not None:
        worktrees.export_commit(repo, commit, into)
        return commit, 0, ref if commit.startswith(ref) else f"{ref} ({commit[:9]})"
    changed = worktrees.count_changes(repo)
    worktrees.copy_work_tree(repo, into)
    edited = f" with {changed} file{'s' if changed != 1 else ''} changed" if changed else ""
    return commit, changed, f"the work tree ({commit[:9]}{edited})"


def _package_versions(python: str) -> dict[str, str | None]:
    """Return package → version that an interpreter has installed, None where it has none.

    Nothing is imported. ``python`` is among the packages.

    Raises:
        VersionError: the interpreter cannot be run, or is no Python.
    """
    try:
        done = subprocess.run(
            [python, "-c", PACKAGE_VERSIONS_SCRIPT, *PACKAGES[1:]],
            capture_output=True,
            text=True,
            check=True,
            timeout=SCRIPT_SECONDS,
        )
        versions: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise VersionError(
            f"{python!r} is no Python interpreter that can be run ({_reason(error)}); "
            f"give the path of one, such as {sys.executable}"
        ) from None
    if versions["numpy"] is None:
        raise VersionError(
            f"{python} has no numpy: install this suite's packages there, with the torch or jax "
            "that is to be compared"
        )
    return versions


def _reason(error: Exception) -> str:
    """Return one line that says why a program could not be run."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
