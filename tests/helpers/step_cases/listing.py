"""Name the training steps that a module lists, without importing it or its framework."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
CODE = re.compile(r"CB\d+")


def names_in(module: str, variable: str) -> list[str]:
    """Return the names of the functions in a module-level dict of a file of this folder.

    Args:
        module: the name of the file, without ``.py``.
        variable: the dict, of which the keys are named.
    """
    for node in ast.parse((FOLDER / f"{module}.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == variable:
            assert isinstance(node.value, ast.Dict), variable
            return [part.id for part in node.value.keys if isinstance(part, ast.Name)]
    raise AssertionError(f"{module}.py has no {variable}")


def cases(variable: str, modules: Collection[str], quick: Collection[str]) -> list[Any]:
    """Return a parameter, module and name, for each step; those that are not quick are slow."""
    return [
        pytest.param((module, name), id=name, marks=[] if name in quick else [pytest.mark.slow])
        for module in modules
        for name in names_in(module, variable)
    ]


def codes_in(module: str, variable: str) -> Counter[str]:
    """Return how many steps of a dict in a file of this folder have each code.

    Args:
        module: the name of the file, without ``.py``.
        variable: the dict, whose values hold codes, such as ``"CB101"``, anywhere in them.
    """
    for node in ast.parse((FOLDER / f"{module}.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == variable:
            assert isinstance(node.value, ast.Dict), variable
            found = (set(CODE.findall(ast.unparse(value))) for value in node.value.values)
            return Counter(code for codes in found for code in codes)
    raise AssertionError(f"{module}.py has no {variable}")


def of(step: tuple[str, str]) -> tuple[Callable[[], Any], Any]:
    """Return the function that builds a step, and what is to be found in it (nothing: [])."""
    module = import_module(f"tests.helpers.step_cases.{step[0]}")
    make = getattr(module, step[1])
    expected = getattr(module, "WRONG", {}).get(make, [])
    return make, expected
