"""Test the command that installs what is missing."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

import pytest

from results.records import installing


def test_command_to_install_keeps_a_release_that_is_in_range() -> None:
    """``constraints.txt`` pins one version: it would replace another one that the user has."""
    command = installing.install_command("torch")
    assert "-c" not in shlex.split(command)
    assert command.startswith("pip install -e ")


@pytest.mark.parametrize("name", ["clone", "a b", "a$HOME", "it's"])
def test_command_to_install_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "pyproject.toml").touch()
    monkeypatch.setattr(installing, "ROOT", tmp_path / name)
    there = shlex.split(installing.install_command("torch", "report"))
    assert there == ["pip", "install", "-e", f"{tmp_path / name}[torch,report]"]
    monkeypatch.chdir(tmp_path / name)
    assert shlex.split(installing.install_command("jax"))[-1] == ".[jax]"


def test_where_there_is_no_clone_the_distribution_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "ROOT", tmp_path)
    assert installing.install_command("jax") == "pip install 'cascade-bench[jax]'"


@pytest.mark.parametrize("package", ["benchmarks", "results"])
def test_no_message_names_a_command_that_is_right_in_a_clone_or_in_a_wheel_alone(
    package: str,
) -> None:
    files = [f for f in (installing.ROOT / package).rglob("*.py") if "evaluation" not in f.parts]
    assert len(files) > 40
    for file in files:
        text = file.read_text()
        if "install" not in text:  # parsing all of them takes seconds
            continue
        tree = ast.parse(text)
        lone = docstrings(tree)
        told = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        spoken = [one for one in told if isinstance(one, str) and one not in lone]
        wrong = [one for one in spoken if "pip install -e" in one or "install cascade-b" in one]
        assert not wrong, f"{file}: say installing.install_command(…) in place of {wrong}"


def docstrings(tree: ast.Module) -> set[str]:
    """Return the texts of a module that stand alone: of itself, its functions and its classes."""
    lone = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr)]
    return {n.value for n in lone if isinstance(n, ast.Constant) and isinstance(n.value, str)}
