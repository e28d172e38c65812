"""Measure a case of the user's in processes of the suite's own, and return what came out."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cascade_bench import suite
from cascade_bench.comparison import Comparison
from cascade_bench.process import Outcome, run_request
from cascade_bench.target import (
    CaseError,
    defining_module,
    from_function,
    from_text,
    is_importable,
)

__all__ = ["CaseError", "compare"]
FRAMEWORKS = ("torch", "jax")
RESULTS_FOLDER = ".cascade-bench"  # the folder of runs, in the user's own
SCHEMA = 1
MOST_STEPS = 1000
MOST_SEED = 2**32 - 1  # NumPy takes no other
INTERRUPTED = 130


def compare(
    make: Callable[[], Any] | str | os.PathLike[str],
    *,
    budget: float = 60.0,
    framework: str | None = None,
    phases: Sequence[str] | None = None,
    ways: Sequence[str] | None = None,
    launches: int | None = None,
    seed: int = 0,
    results: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Comparison:
    """Prove the gradients of every way to run a case's backward passes, and time what is right.

    Args:
        make: a function without arguments that returns a `Case`; or where it is, as a text such
            as ``"my_case.py"``, ``"my_case.py:make"`` or ``"package.module:make"``. It is called
            in other processes. One that these can import is found there by its name; any other,
            such as a notebook's, travels as a pickle with all that it uses.
        budget: seconds for the whole, from importing the framework to the last call timed.
        framework: ``"torch"`` or ``"jax"``; None for that of the case.
        phases: of ``"backward"``, ``"gradient"`` and ``"step"``; None for the usual ones.
        ways: names of strategies and recipes; None for all that the case can have.
        launches: processes to measure in; None for as many as the budget allows.
        seed: of the order in which the ways take turns, and of what a case draws.
        results: folder that runs are kept in; None for ``.cascade-bench`` in the current one.
        progress: whether to tell on stderr what is being done.

    Raises:
        CaseError: the case cannot be found or run; one line with file, line and what to do.
        KeyboardInterrupt: stopped by Ctrl-C; what was measured is kept in ``results``.
        ValueError: an argument is none of those allowed.
    """
    asked = {
        "budget": budget,
        "framework": framework,
        "phases": phases,
        "ways": ways,
        "launches": launches,
        "seed": seed,
        "results": results,
    }
    return _carried_out(make, sys.stderr.write if progress else _say_nothing, **asked)


def examine(make: Any, *, framework: str | None = None, budget: float = 300.0) -> Comparison:
    """Return what is known of a case before anything is timed: its flow and its networks.

    Nothing is kept on disk.

    Args:
        make: as in `compare`, as is ``framework``; errors are the same too.
        budget: seconds after which it is given up.
    """
    return _carried_out(make, _say_nothing, command="flow", framework=framework, budget=budget)


def _carried_out(make: Any, show: Callable[[str], object], **asked: Any) -> Comparison:
    """Have a request carried out; see `compare` for errors and `build_request` for arguments."""
    return Comparison(carry_out(make, show, **asked))


def carry_out(make: Any, show: Callable[[str], object], **asked: Any) -> dict[str, Any]:
    """Have a request carried out, and return its document; see `_carried_out`."""
    _refuse_inside()
    folder = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:
        case, document = locate(make, folder, Path(private)), Path(private) / "document.json"
        request = build_request(case, folder, document, **asked)
        outcome = run_request(request, Path(private), show)
    if outcome.code == INTERRUPTED:
        raise KeyboardInterrupt(f"stopped; what was measured is kept in {request['results']}")
    return checked_document(outcome)


def _say_nothing(line: str) -> None:
    """Drop a line of progress."""


def build_request(
    case: dict[str, Any],
    folder: Path,
    document: Path,
    *,
    command: str = "compare",
    budget: float = 60.0,
    framework: str | None = None,
    phases: Sequence[str] | None = None,
    ways: Sequence[str] | None = None,
    launches: int | None = None,
    seed: int = 0,
    results: str | os.PathLike[str] | None = None,
    steps: int | None = None,
) -> dict[str, Any]:
    """Return the request that the suite reads: plain data; arguments as in `compare`.

    Raises:
        ValueError: an argument is none of those allowed.
    """
    if not (isinstance(budget, int | float) and math.isfinite(budget) and budget > 0):
        raise ValueError(f"budget is {budget!r}; give seconds above 0, such as 60")
    if framework not in (None, *FRAMEWORKS):
        raise ValueError(f"framework is {framework!r}; give one of {', '.join(FRAMEWORKS)}")
    if steps is not None and not 2 <= steps <= MOST_STEPS:
        raise ValueError(f"steps is {steps!r}; give 2 to {MOST_STEPS}")
    if not isinstance(seed, int) or not 0 <= seed <= MOST_SEED:
        raise ValueError(f"seed is {seed!r}; give 0 to {MOST_SEED}")
    if launches is not None and launches < 1:
        raise ValueError(f"launches is {launches!r}; give a whole number above 0")
    for name, value in (("phases", phases), ("ways", ways)):
        if isinstance(value, str):
            raise ValueError(f"{name} is the text {value!r}; give a list: {name}=[{value!r}]")
        if value is not None and not value:
            raise ValueError(f"{name} is empty; name at least one, or give None for all")
    return {
        "schema": SCHEMA,
        "command": command,
        "case": case,
        "framework": framework,
        "folder": str(folder),
        "budget_seconds": float(budget),
        "phases": None if phases is None else list(phases),
        "ways": None if ways is None else list(ways),
        "results": str((folder / (RESULTS_FOLDER if results is None else results)).absolute())
        if command == "compare"
        else None,
        "document": str(document),
        "seed": seed,
        "launches": launches,
        **({} if steps is None else {"steps": steps}),
    }


def locate(make: Any, folder: Path, private: Path) -> dict[str, Any]:
    """Return where other processes find the case; see `cascade_bench.target`.

    Args:
        make: as in `compare`.
        folder: relative files are looked for here.
        private: a folder for the pickle, readable by this user alone and deleted by the caller.

    Raises:
        CaseError: it is none of what `compare` takes, or cannot be pickled.
    """
    if isinstance(make, str | os.PathLike):
        return from_text(os.fspath(make), folder)
    if not callable(make):
        raise CaseError(
            f"compare takes the function that builds the case, not a {type(make).__name__}: "
            "other processes call it anew; put it into `def make(): return Case(…)`"
        )
    name = getattr(make, "__name__", "make")
    return from_function(make) or {"pickle": str(_pickled(make, private)), "function": name}


def _pickled(make: Callable[[], Any], private: Path) -> Path:
    """Return the file that a function was pickled into, with all of its module that it uses."""
    import cloudpickle

    path = private / "case.cloudpickle"
    try:
        with _by_value(defining_module(make)):
            path.write_bytes(cloudpickle.dumps(make))
    except Exception as error:  # whatever an object's own pickling raises
        raise CaseError(
            f"the function {getattr(make, '__qualname__', make)!s} cannot be sent to another "
            f"process: {type(error).__name__}: {error}; build everything inside it, "
            "or put it into a file of its own"
        ) from None
    return path


@contextlib.contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    """Have a module's functions and classes pickled whole if another process may not find it."""
    import cloudpickle

    name = getattr(module, "__name__", "__main__")
    path = getattr(module, "__file__", None)
    if module is None or name == "__main__" or (path and is_importable(name, Path(path))):
        yield  # what is in ``__main__`` is always pickled whole
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def checked_document(outcome: Outcome) -> dict[str, Any]:
    """Return the document of a request that was carried out.

    Raises:
        CaseError: the case cannot be run; the text says why.
        SuiteError: the suite's process ended without a document.
    """
    if outcome.document is None:
        last = outcome.last_line or f"it ended with {outcome.code}"
        raise suite.SuiteError(f"the suite wrote no document: {last}")
    error = outcome.document.get("error")
    if error:
        raise CaseError(error_line(error))
    return outcome.document


def error_line(error: dict[str, Any]) -> str:
    """Return a document's error as one line: file and line, what is wrong, what to do."""
    place = ":".join(str(error[key]) for key in ("file", "line") if error.get(key) is not None)
    text = f"{place}: {error['message']}" if place else str(error["message"])
    return " ".join((f"{text}; {error['mend']}" if error.get("mend") else text).split())


def _refuse_inside() -> None:
    """Refuse to measure in a process that measures: the file that calls us is being imported.

    Raises:
        CaseError: says how to keep the call out of the import.
    """
    if os.environ.get(suite.INSIDE):
        raise CaseError(
            "compare() is called while its own file is imported for measuring; put the call "
            'under `if __name__ == "__main__":`'
        )
