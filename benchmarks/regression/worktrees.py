"""Write versions of the code out of git: a commit, or a copy of the work tree as it is now.

Nothing in the repository changes: no git worktree is registered and no index is written. A session
that is killed leaves nothing behind but a folder in the temporary directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from benchmarks.paths import OUTPUT_NAME

FREE_SPACE = "free some space there, or set TMPDIR to another folder"
# Variables that point git at another repository, as a hook has them (`git rev-parse
# --local-env-vars`). All others stay: a container trusts a folder, and a user leaves large files
# alone, by GIT_CONFIG_COUNT and GIT_LFS_SKIP_SMUDGE.
OF_A_REPOSITORY = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE",
    "GIT_PREFIX", "GIT_INTERNAL_SUPER_PREFIX", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH", "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE",
)  # fmt: skip


class VersionError(Exception):
    """A version cannot be prepared; the message is one line for the person who asked for it."""


def repository(folder: Path) -> Path:
    """Return the top folder of the git repository that contains ``folder``.

    Raises:
        VersionError: git is not installed, or the folder is in no repository.
    """
    if not folder.is_dir():
        raise VersionError(f"{folder} is no folder")
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    except VersionError as error:
        raise VersionError(
            f"{folder} is in no git repository, so it has no refs: {error}"
        ) from None


def resolve_commit(repo: Path, ref: str) -> str:
    """Return the full hash of the commit that a ref names.

    Raises:
        VersionError: the repository has no such ref; the message lists some that exist.
    """
    try:
        return _git(repo, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").strip()
    except VersionError:
        refs = _git(repo, "for-each-ref", "--format=%(refname:short)", "--count=8").split()
        have = f"it has {', '.join(refs)}" if refs else "it has none"
        raise VersionError(
            f"{ref!r} is no commit of {repo}; give a branch, a tag or a commit ({have}); "
            "where only a part was cloned, fetch the rest: git fetch --unshallow"
        ) from None


def count_changes(repo: Path) -> int:
    """Count the files of the work tree that differ from the last commit, new files included.

    What this suite keeps there of earlier comparisons does not count.
    """
    lines = _git(repo, "status", "--porcelain", "-z", "--no-renames", "-uall").split("\0")
    return sum(1 for line in lines if line and not _is_kept(line[3:]))


def export_commit(repo: Path, commit: str, into: Path) -> None:
    """Write all files of a commit into a new folder, as a check-out with its submodules would.

    A submodule whose commit was never fetched is left out.

    Raises:
        VersionError: the disk is full, or git fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    index = into.with_name(f"{into.name}.index")
    own = {"GIT_INDEX_FILE": str(index)}  # the repository's own index stays as it is
    try:
        _git(repo, "read-tree", commit, variables=own)
        _git(repo, "checkout-index", "--all", f"--prefix={into}/", variables=own)
    except VersionError as error:
        raise VersionError(
            f"cannot write commit {commit[:9]} into {into.parent}: {error}; if its disk is full, "
            f"{FREE_SPACE}"
        ) from None
    finally:
        index.unlink(missing_ok=True)
    for name, pinned in _submodules(repo, commit):
        export_commit(repo / name, pinned, into / name)


def _submodules(repo: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Yield path and commit of each submodule of a commit that is there, checked out now."""
    for line in _git(repo, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        about, _, name = line.partition("\t")
        if about.startswith("160000 ") and _is_repository(repo / name):
            pinned = about.split()[-1]
            with contextlib.suppress(VersionError):
                _git(repo / name, "cat-file", "-e", f"{pinned}^{{commit}}")
                yield name, pinned


def _is_repository(folder: Path) -> bool:
    """Return whether a path is the folder, and no link to it, of a repository of its own."""
    return not folder.is_symlink() and (folder / ".git").exists()


def copy_work_tree(repo: Path, into: Path) -> None:
    """Copy the work tree into a new folder: tracked files, and new files that git does not ignore.

    The workers run a copy so that edits during the session cannot change what is measured.

    Raises:
        VersionError: the disk is full, or git fails.
    """
    listed = _git(repo, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    names = [name for name in dict.fromkeys(listed) if name and not _is_kept(name)]
    try:
        _copy(repo, into, names)
    except OSError as error:
        raise VersionError(
            f"cannot copy the work tree {repo} into {into.parent}: {error.strerror or error}; "
            f"{FREE_SPACE}"
        ) from error
    for name in names:  # a repository that is no submodule ends with a slash
        if not name.endswith("/") and _is_repository(repo / name):
            copy_work_tree(repo / name, into / name)


def _copy(repo: Path, into: Path, names: Iterable[str]) -> None:
    """Copy files and links; git also lists submodules, which are folders, and removed files."""
    into.mkdir(parents=True, exist_ok=True)
    links = []
    for name in names:
        source, target = repo / name, into / name
        if _stays_a_link(source, repo):
            links.append(name)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for name in links:  # last, so that no file is written through one
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(os.readlink(repo / name))


def _stays_a_link(path: Path, repo: Path) -> bool:
    """Return whether a path is a link to a folder, or to what the copy may have itself.

    A link to a file outside of the repository becomes a copy of that file.
    """
    inside = Path(os.path.realpath(path)).is_relative_to(repo)
    return path.is_symlink() and (inside or path.is_dir())


def _is_kept(name: str) -> bool:
    """Return whether a path in a work tree is of the folder that keeps earlier results."""
    return OUTPUT_NAME in PurePosixPath(name).parts


def _git(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Run git in a folder and return its standard output.

    Variables of our own environment that point at another repository, as in a hook, are removed.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}
    try:
        done = subprocess.run(
            # --no-optional-locks: `git status` must not refresh the repository's index
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            env={**inherited, **(variables or {})},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        raise VersionError(
            "git is not installed, and BASE and HEAD are its refs; install it, or compare "
            "interpreters on one tree: --base-python PATH"
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"code {done.returncode}"
        raise VersionError(f"git {arguments[0]}: {reason}")
    return done.stdout
