"""Say where a case comes from: a file, a module, or a pickle; nothing of the user's is run here.

A request for the suite names the case as one of

- ``{"file": "/path/my_case.py", "function": "make"}``; a function of None stands for
  ``torch_case`` and ``jax_case`` of that file,
- ``{"module": "package.module", "function": "make"}``,
- ``{"pickle": "/path/case.cloudpickle"}``.
"""

from __future__ import annotations

import ast
import difflib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

DEFAULT = "make"
BOTH = ("torch_case", "jax_case")


class CaseError(Exception):
    """Raised when a case cannot be found or run; the text is one line that says what to do."""


def from_text(text: str, folder: Path) -> dict[str, Any]:
    """Return the case that ``FILE``, ``FILE:function`` or ``package.module:function`` names.

    Args:
        text: as it stands on the command line.
        folder: relative files are looked for here.

    Raises:
        CaseError: there is no such file or function, or the file is no Python.
    """
    if not text:
        raise CaseError("no case is named; give a file, such as my_case.py")
    name, function = text, ""
    if not text.endswith(".py") and ":" in text:
        name, _, function = text.rpartition(":")
    if name.endswith(".py") or "/" in name or os.path.exists(folder / name):
        return from_file(folder / name, function)
    if not function or not all(part.isidentifier() for part in name.split(".")):
        raise CaseError(
            f"{text!r} is no case; give FILE.py, FILE.py:function or package.module:function"
        )
    return {"module": name, "function": function}


def from_file(path: Path, function: str = "") -> dict[str, Any]:
    """Return the case that a function of a file builds; without a name ``make``, or one for each.

    Raises:
        CaseError: there is no such file or function, or the file is no Python.
    """
    path = path.absolute()
    defined = defined_names(path)
    if function and function not in defined:
        raise CaseError(_no_function(path, function, defined))
    if not function and DEFAULT not in defined and not set(BOTH) & set(defined):
        raise CaseError(_no_function(path, DEFAULT, defined))
    chosen = function or (DEFAULT if DEFAULT in defined else None)
    return {"file": str(path), "function": chosen}


def defined_names(path: Path) -> list[str]:
    """Return the names that a file defines at its top, read from its text.

    Raises:
        CaseError: there is no such file, or it is no Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise CaseError(_no_file(path)) from None
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        raise CaseError(f"{path}:{error.lineno}: this is no Python: {error.msg}") from None
    except ValueError as error:  # such as a null byte
        raise CaseError(f"{path} is no Python: {error}") from None
    return list(dict.fromkeys(_names(tree.body)))


def _names(body: Iterable[ast.stmt]) -> Iterable[str]:
    """Yield the names that these statements define, also below ``if`` and ``try``."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            for field in ("body", "orelse", "finalbody"):
                yield from _names(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from _names(handler.body)


def _no_file(path: Path) -> str:
    """Return the message that a file is missing, with the nearest names in its folder."""
    if not path.parent.is_dir():
        return f"there is no file {path}, and no folder {path.parent}"
    beside = [file.name for file in path.parent.iterdir() if file.suffix == ".py"]
    near = difflib.get_close_matches(path.name, beside, n=3)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no file {path}{meant or f'; write one: cascade-bench new {path.name}'}"


def _no_function(path: Path, function: str, defined: list[str]) -> str:
    """Return the message that a function is missing, with the names that may have been meant."""
    near = difflib.get_close_matches(function, defined, n=1)
    listed = ", ".join(defined[:8]) + (", …" if len(defined) > 8 else "")
    if near:
        hint = f"did you mean {path.name}:{near[0]}?"
    elif defined:
        hint = f"it defines {listed}; name one: {path.name}:{defined[-1]}"
    else:
        hint = f"it defines nothing; for a case to start from: cascade-bench new {path.stem}_2.py"
    return f"{path} has no function {function!r}; {hint}"


def from_function(make: Callable[[], Any]) -> dict[str, Any] | None:
    """Return the file or module that a function can be imported from anew; None if it cannot.

    A function of a notebook, or of another function's body, has to travel as a pickle.
    """
    name, module = getattr(make, "__name__", None), defining_module(make)
    if name is None or getattr(module, name, None) is not make:
        return None
    path = Path(getattr(module, "__file__", None) or "")
    if module is None or path.suffix != ".py" or not path.is_file():
        return None
    if "." in module.__name__ and is_importable(module.__name__, path):
        return {"module": module.__name__, "function": name}
    if getattr(module, "__package__", None):
        return None  # it may import relatively, so its file alone does not do
    return {"file": str(path.absolute()), "function": name}


def defining_module(make: Callable[[], Any]) -> ModuleType | None:
    """Return the module that defines a function, or the function inside a `functools.partial`."""
    function = getattr(make, "func", make)
    return sys.modules.get(getattr(function, "__module__", None) or "")


def is_importable(name: str, path: Path) -> bool:
    """Return whether a module's file is found on `sys.path` under the module's name."""
    parts = name.split(".")
    below = path.absolute().with_suffix("").parts
    below = below[:-1] if below[-1] == "__init__" else below
    if list(below[-len(parts) :]) != parts:
        return False
    root = Path(*below[: -len(parts)])
    return any(Path(entry or ".").absolute() == root for entry in sys.path)
