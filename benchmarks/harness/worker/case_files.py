"""Find the function of a user's own that builds a case, in the worker process that runs it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.case_messages import CaseMistake, CaseSource
from benchmarks.harness.worker.base import INSTALLED
from benchmarks.scenarios.external import files
from benchmarks.scenarios.external.errors import one_line

SUITE = str(Path(__file__).resolve().parents[3])  # the folder that a worker starts in
WRITE = "write a function that returns Case(networks, losses, batch), and name it"
# JAX's errors about a value that is asked for while a function is traced
TRACED = (
    "ConcretizationTypeError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
)
BY_VALUE = (
    "leave out float(), int(), .item(), NumPy and `if` on values in the losses: JAX traces them "
    "without values; use jax.numpy, jnp.where and jax.lax.cond"
)
EXPLAINED = " The error occurred while tracing"  # what follows tells of this suite's own functions
MENDS = {
    "ModuleNotFoundError": "install it in this environment, or run from the folder that it is in",
    "FileNotFoundError": "give a path that is absolute, or relative to where you run the command",
    "EOFError": "leave out input(): nobody can answer it",
    "SystemExit": "leave out what ends the process: the function must return a Case",
    **dict.fromkeys(TRACED, BY_VALUE),
    "MemoryError": "use a smaller batch, or set CASCADE_BENCH_WORKER_MEMORY higher",
}


class CaseMistakeError(ValueError):
    """Report a source of cases that cannot be used, with what to write."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


class CaseFunction:
    """Hold the user's function, and where it stands.

    Args:
        source: file and function, module and function, or pickle.
        folder: the user's working folder; it goes to the end of the path, where it hides no
            installed package.
        path: folders that packages come from before the installed ones, and after Python's own.

    Attributes:
        make: the function.
        file, line: where it is defined; the line is None where that is not known.
    """

    def __init__(self, source: CaseSource, folder: str, path: Sequence[str] = ()) -> None:
        _put_before_installed(path)
        if folder not in sys.path:
            sys.path.append(folder)
        name = source.get("function") or "make"
        self.make: Callable[[], Any]
        if "pickle" in source:
            self.make = pickle.loads(Path(source["pickle"]).read_bytes())
        elif "module" in source:
            self.make = _named(importlib.import_module(source["module"]), name, source["module"])
        else:
            file = Path(folder, source["file"])
            if not file.is_file():
                raise CaseMistakeError(f"{file} is no file", "give the path of a Python file")
            self.make = _named(files.import_file(file), name, file.name)
        if not callable(self.make):
            raise CaseMistakeError(
                f"{name} is {type(self.make).__name__}, not a function", f"{WRITE} {name}"
            )
        self.file, self.line = place_of(self.make)

    def check(self, case: Any) -> Any:
        """Return what the function returned; raise `CaseMistakeError` unless it is a case."""
        if not all(hasattr(case, name) for name in ("networks", "losses", "batch", "stages")):
            name = getattr(self.make, "__name__", "the function")
            raise CaseMistakeError(
                f"{name} returns {type(case).__name__}, not a Case",
                "end it with: return Case({'encoder': encoder}, losses, batch)",
            )
        return case


def leave_process_to(source: CaseSource) -> None:
    """Take off what is this worker's own, and a user's code would take for its own.

    That is the command line, which an ``argparse`` at the top of a file reads, and the suite's
    folder at the beginning of the path, where it hides packages of the user's that are called like
    ``results`` or ``tests``. What is needed of that folder is in packages that are imported by
    then. Where ``PYTHONPATH`` names the folder, it stays.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("cascade_bench")  # in a clone it may be in that folder alone
    sys.argv[:] = [source.get("file") or source.get("module", "")]
    while sys.path[:1] == [SUITE]:
        del sys.path[0]
    wanted = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if SUITE in wanted and SUITE not in sys.path:
        sys.path.insert(0, SUITE)


def _put_before_installed(path: Sequence[str]) -> None:
    """Put folders on the path in front of the installed packages, once each.

    A module of the user's that is called like one of Python's own does not take its place, as it
    would in ``PYTHONPATH``.
    """
    first = (i for i, entry in enumerate(sys.path) if INSTALLED & set(Path(entry).parts))
    place = next(first, len(sys.path))
    sys.path[place:place] = [entry for entry in dict.fromkeys(path) if entry not in sys.path]


def _named(module: Any, name: str, where: str) -> Any:
    """Return the function of this name in a module."""
    if not hasattr(module, name):
        functions = [(n, f) for n, f in vars(module).items() if inspect.isfunction(f)]
        own = [
            n
            for n, f in functions
            if (f.__name__, f.__module__) == (n, module.__name__) and not n.startswith("_")
        ][:5]
        raise CaseMistakeError(
            f"{where} defines no {name!r}; it defines {', '.join(own) or 'no function'}",
            f"{WRITE} {name}, or name another: {where}:{own[0] if own else name}",
        )
    return getattr(module, name)


def place_of(function: Any) -> tuple[str, int | None]:
    """Return the file and the line at which a function is defined."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else ("", None)


def mistake(
    error: BaseException, function: CaseFunction | None, source: CaseSource, folder: str
) -> CaseMistake:
    """Return where in the user's own code an error arose, what it says, and what to do.

    The place is the innermost line of the traceback in the folder of the user's file, or else the
    line at which the user's function is defined.
    """
    given = str(Path(folder, source["file"])) if "file" in source else source.get("module", "")
    file = function.file if function else given
    line = function.line if function else None
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).parent == Path(file).parent:
            file, line = frame.filename, frame.lineno
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    mend = getattr(error, "mend", None)
    text = one_line(error) if isinstance(error, Exception) else f"code {error}"
    message = text if mend else f"{type(error).__name__}: {text.partition(EXPLAINED)[0]}"
    return {"file": file, "line": line, "message": message, "mend": mend or _mend(error)}


def _mend(error: BaseException) -> str:
    """Return what to do about an error of the user's code or of the framework in it."""
    # torch lists every backend that it knows, whatever the error is
    text = str(error).lower().partition("is only available for these backends")[0]
    if "can't allocate memory" in text or "resource_exhausted" in text:
        return MENDS["MemoryError"]
    if any(word in text for word in ("cuda", "nvidia", "unknown backend")):
        return "build the case on the CPU: this machine, or this build, has no such device"
    return MENDS.get(type(error).__name__, "mend this line; run the function alone to see it fail")
