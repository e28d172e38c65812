"""Find the files that a user's own spec and its parts import from their folder."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_beside(files: Iterable[Path]) -> list[Path]:
    """Return the Python files that these import from their folders, also through each other.

    Names are read off the texts, and nothing is run: a module that is named while the code runs is
    not found. Of a package every file counts.

    Args:
        files: of which some may not exist.
    """
    given = set(files)
    waiting, found, folders = list(given), set[Path](), {file.parent for file in given}
    while waiting:
        names = _imported(waiting.pop())
        beside = {one for folder in folders for name in names for one in _files_of(folder, name)}
        waiting += beside - found - given
        found |= beside - given
    return sorted(found)


def _imported(file: Path) -> set[str]:
    """Return the top-level names that a file imports; none where it cannot be read."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = (node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level)
    return {name.partition(".")[0] for name in (*names, *filter(None, named))}


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    """Yield the files of a module, or of a package, that a folder holds."""
    if (file := folder / f"{name}.py").is_file():
        yield file
    if (folder / name).is_dir():
        yield from (folder / name).rglob("*.py")
