"""Name the training steps that a module lists, without importing it or its framework."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent


def names_in(module: str, variable: str) -> list[str]:
    """Return the names of the functions in a module-level dict or tuple of a file of this folder.

    Args:
        module: the name of the file, without ``.py``.
        variable: the dict, of which the keys are named, or the tuple.
    """
    for node in ast.parse((FOLDER / f"{module}.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == variable:
            listed = node.value
            assert isinstance(listed, ast.Dict | ast.Tuple), variable
            parts = listed.keys if isinstance(listed, ast.Dict) else listed.elts
            return [part.id for part in parts if isinstance(part, ast.Name)]
    raise AssertionError(f"{module}.py has no {variable}")


def cases(variable: str, modules: Collection[str], quick: Collection[str]) -> list[Any]:
    """Return a parameter, module and name, for each step; those that are not quick are slow."""
    return [
        pytest.param((module, name), id=name, marks=[] if name in quick else [pytest.mark.slow])
        for module in modules
        for name in names_in(module, variable)
    ]


def of(step: tuple[str, str]) -> tuple[Callable[[], Any], Any]:
    """Return the function that builds a step, and what is to be found in it (nothing: [])."""
    module = import_module(f"tests.helpers.step_cases.{step[0]}")
    make = getattr(module, step[1])
    expected = getattr(module, "WRONG", {}).get(make, [])
    return make, expected
