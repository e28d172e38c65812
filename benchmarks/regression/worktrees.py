"""Trees of code out of git: a commit written out, or the work tree copied as it is now.

Nothing of the repository is touched: no work tree is registered, no index changed, so that a
session which is killed leaves nothing behind but a folder in the temporary directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

FREE_SPACE = "free some space there, or set TMPDIR to another folder"


class TreeError(Exception):
    """A tree that cannot be had: one line for the person who asked for it."""


def repository(folder: Path) -> Path:
    """The top of the git repository that this folder is in.

    Raises:
        TreeError: git is absent, or this is no repository.
    """
    if not folder.is_dir():
        raise TreeError(f"{folder} is no folder")
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except TreeError as error:
        raise TreeError(f"{folder} is in no git repository, so it has no refs: {error}") from None


def commit_of(repo: Path, ref: str) -> str:
    """The commit that a ref names.

    Raises:
        TreeError: the repository has no such ref; says which it has.
    """
    try:
        return _git(repo, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").strip()
    except TreeError:
        there = _git(repo, "for-each-ref", "--format=%(refname:short)", "--count=8").split()
        have = f"it has {', '.join(there)}" if there else "it has none"
        raise TreeError(
            f"{ref!r} is no commit of {repo}; give a branch, a tag or a commit ({have}); "
            "where only a part was cloned, fetch the rest: git fetch --unshallow"
        ) from None


def changes(repo: Path) -> int:
    """How many files of the work tree are not as they were committed, new ones included."""
    return len(_git(repo, "status", "--porcelain", "-z", "--no-renames").split("\0")) - 1


def write_out(repo: Path, commit: str, into: Path) -> None:
    """All files of a commit, as a check-out would have them.

    Raises:
        TreeError: the disk is full, or git fails.
    """
    into.mkdir(parents=True)
    index = into.with_name(f"{into.name}.index")
    own = {"GIT_INDEX_FILE": str(index)}  # not the repository's
    try:
        _git(repo, "read-tree", commit, more=own)
        _git(repo, "checkout-index", "--all", f"--prefix={into}/", more=own)
    except TreeError as error:
        raise TreeError(
            f"cannot write commit {commit[:9]} into {into.parent}: {error}; if its disk is full, "
            f"{FREE_SPACE}"
        ) from None
    finally:
        index.unlink(missing_ok=True)


def copy(repo: Path, into: Path) -> None:
    """The work tree as it is now: what is tracked, and what is new and not ignored.

    A copy, so that nobody changes it while it is measured.

    Raises:
        TreeError: the disk is full, or git fails.
    """
    names = _git(repo, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    try:
        into.mkdir(parents=True)
        for name in filter(None, dict.fromkeys(names.split("\0"))):
            source, target = repo / name, into / name
            if source.is_file():  # a submodule is a folder, what was removed is not there
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    except OSError as error:
        raise TreeError(
            f"cannot copy the work tree {repo} into {into.parent}: {error.strerror or error}; "
            f"{FREE_SPACE}"
        ) from error


def _git(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> str:
    """What git says; its variables that a hook has set, to another repository, do not count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            # so that asking what has changed writes no fresher index
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            env={**kept, **(more or {})},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise TreeError(
            "git is not installed, and BASE and HEAD are its refs; install it, or compare "
            "interpreters on one tree: --base-python PATH"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise TreeError(f"git {arguments[0]}: {said[-1] if said else f'code {done.returncode}'}")
    return done.stdout
