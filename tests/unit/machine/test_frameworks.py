"""Test what is said about frameworks that are not installed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from benchmarks.machine import environment, frameworks


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the installed packages, all that are needed, for a test to change."""
    versions = {name: "1.2.3" for names in frameworks.NEEDED.values() for name in names}
    monkeypatch.setattr(environment, "installed", versions.get)
    return versions


def test_framework_is_present_with_all_of_its_packages(installed: dict[str, str]) -> None:
    assert frameworks.present() == ["torch", "jax"]
    assert frameworks.why_missing("jax") == ""
    del installed["optax"]
    assert frameworks.present() == ["torch"]
    assert frameworks.why_missing("jax").startswith("jax needs optax, not installed here: pip ")
    installed.clear()
    assert frameworks.present() == []
    assert frameworks.why_missing("jax").startswith("jax is not installed here: pip install")
    assert "(jax, flax and optax)" in frameworks.none_installed()


def test_command_to_install_keeps_a_release_that_is_in_range() -> None:
    """``constraints.txt`` pins one version: it would replace another one that the user has."""
    command = frameworks.install_command("torch")
    assert "-c" not in shlex.split(command)
    assert command.startswith("pip install -e ")


@pytest.mark.parametrize("name", ["clone", "a b", "a$HOME", "it's"])
def test_command_to_install_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "pyproject.toml").touch()
    monkeypatch.setattr(frameworks, "ROOT", tmp_path / name)
    there = shlex.split(frameworks.install_command("torch", "report"))
    assert there == ["pip", "install", "-e", f"{tmp_path / name}[torch,report]"]
    monkeypatch.chdir(tmp_path / name)
    assert shlex.split(frameworks.install_command("jax"))[-1] == ".[jax]"


def test_where_there_is_no_clone_the_distribution_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frameworks, "ROOT", tmp_path)
    assert frameworks.install_command("jax") == "pip install 'cascade-bench[jax]'"
