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
# folders at the top of an interpreter's prefix, or in `local` there; and those of packages
OF_PYTHON = {"lib", "lib64", "bin", "Lib", "DLLs", "Scripts"}
PACKAGES = {"site-packages", "dist-packages"}


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
    paths = [Path(entry or ".").resolve() for entry in sys.path]
    folders = [str(path) for path in paths if path.is_dir() and not _is_of_python(path)]
    return list(dict.fromkeys(folders))


def _is_of_python(path: Path) -> bool:
    """Return whether a folder is the interpreter's: its library, its packages, its commands.

    What else is below its prefix is the user's, such as ``/usr/src/app`` where that is ``/usr``, or
    a project in whose folder the virtual environment was made.
    """
    prefixes = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    tops = {top for prefix in prefixes for top in (prefix, prefix / "local")}
    below = [path.relative_to(top).parts for top in tops if path.is_relative_to(top)]
    return any(set(parts) & PACKAGES or set(parts[:1]) & OF_PYTHON for parts in below)
