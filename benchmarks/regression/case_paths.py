"""Say where the workers of a side find the packages of the user's repository."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmarks.regression.versions import Side

VARIABLE = "PYTHONPATH"
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


def in_tree(side: Side, path: Path) -> Path | None:
    """Return where a side's tree has a path of the repository; None for one outside of it."""
    path = path.resolve()
    if side.tree is None or side.repository is None or not path.is_relative_to(side.repository):
        return None
    return Path(side.tree) / path.relative_to(side.repository)


def mapped_variable(side: Side) -> dict[str, str]:
    """Return ``PYTHONPATH`` with this side's folders for those of the repository.

    Workers run in another folder, so that every entry is made absolute.
    """
    entries = [entry for entry in os.environ.get(VARIABLE, "").split(os.pathsep) if entry]
    if not entries or side.tree is None:
        return {}
    moved = [str(in_tree(side, Path(entry)) or Path(entry).absolute()) for entry in entries]
    return {VARIABLE: os.pathsep.join(moved)}


def import_folders(side: Side, *places: Path) -> list[str]:
    """Return the folders of a side's tree that packages are imported from, the nearest first.

    They are the top of the repository and each folder above the places that has a file of a Python
    project, with the ``src`` in them.

    Args:
        side: with a tree.
        places: folders in the repository, such as that of the case; others are passed over.
    """
    folders: dict[str, None] = {}
    for place in places:
        start = in_tree(side, place)
        if start is not None and side.tree is not None:
            folders |= dict.fromkeys(map(str, _above(start, Path(side.tree))))
    return list(folders)


def installed_from(repository: str) -> Iterator[str]:
    """Yield the top-level names of packages that were installed from a repository, as copies.

    Where they are found at no other place, both versions would run the copy that is installed.
    Those that are installed as editable are not among them: their files are the repository's own.
    """
    for one in metadata.distributions():
        text = one.read_text("direct_url.json")
        about = json.loads(text) if text else {}
        place = urlsplit(about.get("url", ""))
        editable = about.get("dir_info", {}).get("editable", False)
        if place.scheme != "file" or editable:
            continue
        if Path(unquote(place.path)).is_relative_to(repository):
            tops = {file.parts[0] for file in one.files or () if file.suffix == ".py"}
            yield from sorted(name.removesuffix(".py") for name in tops)


def without_place(names: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Return the names of packages and modules that none of these folders has."""
    places = list(map(Path, folders))
    return [
        name
        for name in names
        if not any((place / name).is_dir() or (place / f"{name}.py").is_file() for place in places)
    ]


def _above(start: Path, top: Path) -> Iterator[Path]:
    """Yield the folders to import from, from a folder up to the top of its tree."""
    for folder in (start, *start.parents):
        if (folder / "src").is_dir():
            yield folder / "src"
        if folder == top or any((folder / name).is_file() for name in PROJECT_FILES):
            yield folder
        if folder == top:
            return
