"""The compile cache of the checks, which lives from run to run in the user's cache folder.

Only `CheckWorkers` use it, and only for JAX: what is timed is compiled anew in every session. JAX
keys each entry by the program itself, so a program that was changed is compiled again; the folder
is keyed by everything else that decides how a program is compiled. Two processes may share it: an
entry that one of them finds half written is compiled again.

``CASCADE_BENCH_CHECK_CACHE=off`` switches it off; any other value names the folder to use.
``python -m benchmarks.harness.launches.check_cache`` removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from benchmarks.machine import environment, processor
from benchmarks.machine.host import Host

VARIABLE = "CASCADE_BENCH_CHECK_CACHE"
OFF = "off"
MOST_BYTES = 2**28  # of all folders together; every check once fills an eighth of it


def folder(xla_flags: str, *, most_bytes: int = MOST_BYTES) -> Path | None:
    """Return the folder for workers with these XLA flags; None where there is to be no cache.

    Creates the folder, and removes what was used longest ago where the cache has grown beyond
    ``most_bytes``. Returns None as well where the folder cannot be written.
    """
    top = root()
    if top is None:
        return None
    path = top / key(xla_flags)
    try:
        path.mkdir(parents=True, exist_ok=True)
        os.utime(path)  # marks it as used now, also where no entry is added
        prune(top, path, most_bytes)
    except OSError:
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


def root(
    environ: Mapping[str, str] = os.environ, variable: str = VARIABLE, name: str = "checks"
) -> Path | None:
    """Return the folder that holds a folder for each key; None where there is none to be.

    The cache is switched off then, or the user has no home folder.

    Args:
        environ: the environment variables.
        variable: the one that names another folder, or switches the cache off.
        name: of the cache.
    """
    chosen = environ.get(variable)
    if chosen == OFF:
        return None
    if chosen:
        return Path(chosen) / f"cascade-bench-{name}"
    base = environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser(environ.get("HOME") or "~")
    if not base and home == "~":  # a user without a home folder, as a container may have
        return None
    return Path(base or Path(home) / ".cache") / "cascade-bench" / name


def key(xla_flags: str, host: Host | None = None) -> str:
    """Return a hash of the versions, flags and processor that decide how XLA compiles."""
    host = host or Host()
    decisive = {
        **{name: environment.installed(name) for name in environment.PACKAGES},
        "python": platform.python_version(),
        "xla_flags": xla_flags,
        "processor": processor.stable(host),
    }
    text = json.dumps(decisive, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prune(top: Path, current: Path, most_bytes: int) -> None:
    """Remove what was used longest ago until the cache holds at most ``most_bytes``.

    Whole folders under ``top`` go first, but not the folder ``current``; if that alone is too
    large, its oldest entries go.
    """
    others = sorted((p for p in top.iterdir() if p != current), key=_changed)
    for path in others:
        if _size(top) <= most_bytes:
            return
        shutil.rmtree(path, ignore_errors=True)
    excess = _size(current) - most_bytes
    for entry in sorted(current.iterdir(), key=_changed):
        if excess <= 0:
            return
        excess -= _size(entry)
        if entry.is_dir():  # what a session that was killed has not written to its end
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    """Return when a file or folder was last changed; 0.0 where another process removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(_bytes(file) for file in files)


def _bytes(file: Path) -> int:
    """Return the size of a file; 0 for a folder, and where another process removed it."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0
    return 0 if stat.S_ISDIR(status.st_mode) else status.st_size


def main() -> None:
    """Remove the whole cache, and the one of the float64 references."""
    from benchmarks.harness.launches import reference_store  # which uses this module

    for top in (root(), root(variable=reference_store.VARIABLE, name=reference_store.NAME)):
        if top is not None:
            shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    main()
