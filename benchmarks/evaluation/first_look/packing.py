"""Put what the steps have left into a few files of bounded size, as a machine may allow no more."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

MOST_BYTES = 16 * 2**20  # of a file
MOST_FILES = 8
ARCHIVES = {"runs.tar.gz": ("runs", "regressions"), "traces.tar.gz": ("profiles",)}
PAGES = ("report.html",)
LOG = "log.txt"


def pack(work: Path, out: Path) -> list[str]:
    """Write archives of the runs and traces, and the page, into the folder of results.

    It may be called after each step: it writes everything anew.

    Args:
        work: folder of the steps, with ``runs``, ``regressions``, ``profiles`` and ``report``.
        out: folder of results.

    Returns:
        A line for each file that is left out, as it would be too large.
    """
    lines: list[str] = []
    for name, folders in ARCHIVES.items():
        files = [path for one in folders for path in (work / one).rglob("*") if path.is_file()]
        if files:
            lines += _archive(out / name, files, work)
    for name in PAGES:
        page = work / "report" / name
        if page.is_file() and page.stat().st_size <= MOST_BYTES:
            shutil.copyfile(page, out / name)
        elif page.is_file():
            lines.append(f"{name}: {page.stat().st_size} bytes, more than {MOST_BYTES}")
    _cut(out / LOG)
    return lines


def _archive(path: Path, files: Iterable[Path], root: Path) -> list[str]:
    """Write files into an archive of at most `MOST_BYTES`, without the largest if need be.

    Returns:
        A line for each that was left out.
    """
    chosen, left = sorted(files, key=lambda file: file.stat().st_size), list[str]()
    while True:
        partial = path.with_suffix(".partial")
        with tarfile.open(partial, "w:gz") as archive:
            for file in chosen:
                archive.add(file, arcname=str(file.relative_to(root)))
        if partial.stat().st_size <= MOST_BYTES or not chosen:
            partial.replace(path)
            return left
        largest = chosen.pop()
        left.append(f"{largest.relative_to(root)}: left out of {path.name}, which would be too big")


def _cut(log: Path) -> None:
    """Keep the end of a log that is larger than `MOST_BYTES`."""
    if log.is_file() and log.stat().st_size > MOST_BYTES:
        log.write_bytes(log.read_bytes()[-MOST_BYTES // 2 :])
