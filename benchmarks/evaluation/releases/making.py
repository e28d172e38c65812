"""Make one environment of the matrix in a folder of its own, and remove it after use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.evaluation.releases.environments import Environment, pinned_elsewhere
from benchmarks.paths import ROOT

INSTALLED = "installed"  # a file in a finished environment
NEEDED_BYTES = 8 * 10**9  # of an environment with a CUDA build of torch, with some room


class NotMadeError(Exception):
    """Say why an environment could not be made: no such Python, no such release, no room."""


def make(environment: Environment, folder: Path) -> Path:
    """Make the environment below ``folder``, unless it is there, and return its Python.

    Raises:
        NotMadeError: in one line, why it could not be made.
    """
    home = folder / environment.name
    python = home / "bin" / "python"
    if (home / INSTALLED).exists():
        return python
    remove(environment, folder)
    free = shutil.disk_usage(_existing(folder)).free
    if environment.torch and free < NEEDED_BYTES:
        raise NotMadeError(f"{free / 1e9:.0f} GB are free, {NEEDED_BYTES / 1e9:.0f} are needed")
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(pinned_elsewhere()) + "\n")
    _run([interpreter(environment.python), "-m", "venv", str(home)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "-c", str(pins)]
    if environment.requirements:
        _run([*pip, *environment.requirements])
    _run([*pip, "-e", str(ROOT)])
    (home / INSTALLED).touch()
    return python


def remove(environment: Environment, folder: Path) -> None:
    """Remove the environment's folder, if there is one."""
    shutil.rmtree(folder / environment.name, ignore_errors=True)


def interpreter(version: str) -> str:
    """Return the path of a Python of this version, such as ``3.12``.

    Raises:
        NotMadeError: there is none on this machine.
    """
    for path in _candidates(version):
        if _version_of(path) == version:
            return path
    raise NotMadeError(f"no Python {version} on this machine")


def _candidates(version: str) -> Iterator[str]:
    """Yield paths where a Python of this version may be: this one, PATH, pyenv's folder."""
    yield sys.executable
    executable = shutil.which(f"python{version}")
    if executable:
        yield executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))


def _version_of(python: str) -> str | None:
    """Return the version that an interpreter says it is, such as ``3.12``; None if it fails."""
    words = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _run(words: list[str]) -> None:
    """Run a command; raise `NotMadeError` with the last line it wrote to stderr if it fails."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
        lines = errors or done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotMadeError(f"{words[1:4]} failed: {lines[-1].strip()[:300]}")
