"""The two sides of a comparison: which tree of code, run by which interpreter."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT
from benchmarks.regression import worktrees
from benchmarks.regression.worktrees import TreeError
from results.regression.document import PACKAGES

NAMES = ("base", "head")
ASKING = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": sys.version.split()[0]}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""
ASKING_SECONDS = 60.0
# Where a version of this suite keeps its worker: a package now, one module before.
WORKERS = ("benchmarks/harness/worker/__main__.py", "benchmarks/harness/worker.py")


@dataclass(frozen=True)
class VersionRequest:
    """What a side is to be: a git ``ref``, or None for the work tree; and an interpreter."""

    ref: str | None
    python: str


@dataclass(frozen=True)
class Side:
    """What a side is.

    ``root`` is the tree of this suite whose workers run; ``moved`` is where a user's own files
    stand in this side, by where they stand for who asked, and ``origin`` their repository, of which
    nothing may come from elsewhere where two refs are compared.
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

    def described(self) -> dict[str, Any]:
        """What is kept of it: nothing that is gone when the session ends, no path of this machine
        but an interpreter's that was asked for."""
        gone = ("root", "cache", "moved", "origin")
        kept = {key: value for key, value in asdict(self).items() if key not in gone}
        return kept | {"python": None if self.python == sys.executable else self.python}


@contextlib.contextmanager
def made(
    base: VersionRequest, head: VersionRequest, own: Sequence[Path] = ()
) -> Iterator[tuple[Side, Side]]:
    """Both sides, their trees in a temporary folder that is removed in the end.

    Args:
        own: a user's own specs; where there are any, refs are those of the repository that holds
            them, and this suite's own code is the same on both sides.

    Raises:
        TreeError: a ref, a repository or an interpreter is not there, or the disk is full.
    """
    versions = {asked.python: _versions(asked.python) for asked in (base, head)}
    folder = _folder(own)
    plain = base.ref is None and head.ref is None
    with tempfile.TemporaryDirectory(
        prefix="cascade-bench-regress-", ignore_cleanup_errors=True
    ) as kept:
        repo = _repository(folder, own, needed=not plain)
        sides = [
            _side(name, asked, versions[asked.python], Path(kept), repo, own)
            for name, asked in zip(NAMES, (base, head), strict=True)
        ]
        if plain:  # the same files on both sides: what is installed of them is so too
            sides = [replace(side, origin=None) for side in sides]
        yield sides[0], sides[1]


def _folder(own: Sequence[Path]) -> Path:
    return own[0].parent if own else ROOT


def demand_ref(ref: str, own: Sequence[Path] = ()) -> None:
    """Raise `TreeError` where the repository that is meant has no such ref, or is none."""
    worktrees.commit_of(worktrees.repository(_folder(own)), ref)


def _repository(folder: Path, own: Sequence[Path], *, needed: bool) -> Path | None:
    """The repository whose refs are meant; None where there is none and none is needed."""
    try:
        repo = worktrees.repository(folder)
    except TreeError:
        if needed:
            raise
        return None
    outside = [str(file) for file in own if not file.is_relative_to(repo)]
    if outside:
        raise TreeError(f"{', '.join(outside)}: not in {repo}, where the first spec is")
    return repo


def _side(
    name: str,
    asked: VersionRequest,
    versions: Mapping[str, str | None],
    kept: Path,
    repo: Path | None,
    own: Sequence[Path],
) -> Side:
    into = kept / name
    commit, changed = None, 0
    if repo is None:
        label = "the files as they are"
    else:
        commit = worktrees.commit_of(repo, asked.ref or "HEAD")
        if asked.ref is None:
            changed = worktrees.changes(repo)
            worktrees.copy(repo, into)
            edited = f" with {changed} file{'s' if changed != 1 else ''} changed" if changed else ""
            label = f"the work tree ({commit[:9]}{edited})"
        else:
            worktrees.write_out(repo, commit, into)
            label = asked.ref if commit.startswith(asked.ref) else f"{asked.ref} ({commit[:9]})"
    root = ROOT if repo is None or own else into / ROOT.relative_to(repo)
    # without a worker of its own, an installed suite would be found in its place
    if not any((root / file).is_file() for file in WORKERS):
        raise TreeError(
            f"{label} has no {WORKERS[0]}, so it is no version of this suite that can be compared; "
            "for networks of your own say where they are: --scenario-path PATH"
        )
    moved = {str(f): str(into / f.relative_to(repo)) for f in own} if repo else {}
    cache = kept / f"{name}.cache"
    cache.mkdir()
    origin = str(repo) if moved else None
    return Side(
        name, label, commit, changed, asked.python, versions, root, str(cache), moved, origin
    )


def _versions(python: str) -> dict[str, str | None]:
    """What an interpreter has installed, without importing it.

    Raises:
        TreeError: it cannot be run, or is none.
    """
    try:
        done = subprocess.run(
            [python, "-c", ASKING, *PACKAGES[1:]],
            capture_output=True,
            text=True,
            check=True,
            timeout=ASKING_SECONDS,
        )
        found: dict[str, str | None] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise TreeError(
            f"{python!r} is no Python interpreter that can be run ({_why(error)}); "
            f"give the path of one, such as {sys.executable}"
        ) from None
    if found["numpy"] is None:
        raise TreeError(
            f"{python} has no numpy: install this suite's packages there, with the torch or jax "
            "that is to be compared"
        )
    return found


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return said[-1] if said else type(error).__name__
