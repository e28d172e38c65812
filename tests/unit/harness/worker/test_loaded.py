"""A worker tells which files of a repository it has loaded, however it came to them."""

from __future__ import annotations

import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.worker.base import Base

MODULE = "cascade_bench_loaded_by_a_test"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with a module in it, which a test may import."""
    folder = tmp_path / "repository"
    (folder / "python").mkdir(parents=True)
    (folder / "python" / f"{MODULE}.py").write_text("")
    yield folder
    sys.modules.pop(MODULE, None)


def loaded(folder: Path) -> list[str]:
    nothing: Any = None
    return Base("fake", nothing, nothing, nothing).do_loaded(str(folder))


@pytest.mark.parametrize("linked", ["nothing", "repository", "package"])
def test_file_of_the_repository_is_told_also_where_a_link_leads_to_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: str
) -> None:
    """Load through a link, as where the home folder is one."""
    place, link = repository / "python", tmp_path / "link"
    if linked != "nothing":
        link.symlink_to(repository if linked == "repository" else place)
        place = link / "python" if linked == "repository" else link
    assert loaded(repository) == []
    monkeypatch.syspath_prepend(place)
    importlib.import_module(MODULE)
    assert loaded(repository) == [str(repository / "python" / f"{MODULE}.py")]
    assert loaded(tmp_path / "elsewhere") == []


def test_python_and_its_packages_are_none_of_a_repository_that_they_stand_in() -> None:
    """Put the repository around Python itself, as a conda environment inside it does."""
    folder = Path(sysconfig.get_path("stdlib"))
    assert Path(os.__file__).is_relative_to(folder)
    assert loaded(folder) == []
