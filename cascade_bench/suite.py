"""Find the benchmark suite, and start its modules in processes of their own.

In a clone the suite's folders stand beside this package; in an installation they are data inside
it, so that they can neither shadow a user's own ``benchmarks`` and ``results`` nor be shadowed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

PACKAGE = Path(__file__).resolve().parent
LAUNCHER = PACKAGE / "launcher.py"
# set in the suite's processes: a case file that calls `compare` at its top must not start it again
INSIDE = "CASCADE_BENCH_INSIDE"


class SuiteError(Exception):
    """Raised when the suite cannot be found or started; the text is one line."""


def folder() -> Path:
    """Return the folder that holds the suite's packages and ``examples``.

    Raises:
        SuiteError: it is not there: this package was copied without them.
    """
    for path in (PACKAGE / "_suite", PACKAGE.parent):
        if (path / "benchmarks" / "cli.py").is_file():
            return path
    raise SuiteError(
        f"the suite's folders are neither in {PACKAGE / '_suite'} nor beside {PACKAGE}; "
        "install again, from a clone or a wheel: pip install --force-reinstall PATH"
    )


def command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that runs a module of the suite.

    ``-P`` keeps the current folder, which may hold a ``benchmarks`` of the user's, off the path.
    """
    return [sys.executable, "-P", str(LAUNCHER), str(folder()), module, *arguments]


def become(module: str, arguments: Sequence[str] = ()) -> NoReturn:
    """Run a module of the suite in place of this process: its exit code, terminal and signals."""
    words = command(module, arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    variables = {**os.environ, INSIDE: "1"}
    if os.name == "posix":
        os.execve(words[0], words, variables)
    import subprocess  # not at the top: to start takes a while, and is done before every command

    sys.exit(subprocess.call(words, env=variables))  # elsewhere exec returns to the shell at once


def output(module: str, arguments: Sequence[str]) -> str:
    """Return what a module of the suite prints.

    Raises:
        SuiteError: it ended with an error; the text is its last line.
    """
    import subprocess

    done = subprocess.run(
        command(module, arguments),
        capture_output=True,
        encoding="utf-8",
        env={**environment(), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{module} ended with {done.returncode}"]
        raise SuiteError(lines[-1].removeprefix("cascade-bench: "))
    return done.stdout


def environment(path: Sequence[str] = ()) -> Mapping[str, str]:
    """Return the variables of a process of the suite.

    Args:
        path: folders that the user's modules are imported from, behind those of ``PYTHONPATH``.
    """
    entries = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *path]
    paths = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(entries))} if entries else {}
    return {**os.environ, **paths, INSIDE: "1"}


def user_path() -> list[str]:
    """Return the folders of `sys.path` that are not Python's own: where the user's modules are."""
    python_folders = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    folders = []
    for entry in sys.path:
        path = Path(entry or ".").resolve()
        if path.is_dir() and not any(prefix in (path, *path.parents) for prefix in python_folders):
            folders.append(str(path))
    return list(dict.fromkeys(folders))
