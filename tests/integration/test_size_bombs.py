"""Files that are small, and become large when they are read, cost neither memory nor time."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.paths import ROOT
from results.records.samples import samples_path
from results.records.storage import save_run
from tests.helpers.factories.report_runs import later, whole_run

MOST_MEGABYTES, MOST_SECONDS = 300, 20  # of the process: at its peak, and of computing
PEAK = (
    "import re, resource, sys; from benchmarks.cli import main; code = main(sys.argv[1:]);"
    "used = resource.getrusage(resource.RUSAGE_SELF);"
    # not ru_maxrss, which begins with the memory of the process that started this one
    "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1];"
    "print('USED', int(peak) // 1024, used.ru_utime + used.ru_stime, file=sys.stderr);"
    "sys.exit(code)"
)
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc"
)


def unpacked_gigabytes(path: Path) -> None:
    """Put 2 GiB of zeros, packed to 2 MiB, in place of the samples."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (2**28,)}
    )
    with (
        zipfile.ZipFile(samples_path(path), "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x/0.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(header.getvalue())
        for _ in range(2**7):
            entry.write(bytes(2**24))


def many_entries(path: Path) -> None:
    """Put an archive of half a million entries in place of the samples."""
    with zipfile.ZipFile(samples_path(path), "w") as archive:
        entry = zipfile.ZipInfo("x/0.npy")
        archive.writestr(entry, b"")
        archive.filelist *= 500_000


def many_lists(path: Path) -> None:
    path.write_text("[" + "[]," * 10**7 + "[]]")


def many_records(path: Path) -> None:
    document = json.loads(path.read_text())
    document["records"] = document["records"][:1] * 10_000
    path.write_text(json.dumps(document))


def long_text(path: Path) -> None:
    document = json.loads(path.read_text())
    document["settings"]["x"] = "x" * (31 * 2**20)
    path.write_text(json.dumps(document))


def wide_text(path: Path) -> None:
    document = json.loads(path.read_text())
    document["settings"]["x"] = "\N{GRINNING FACE}" * (7 * 2**20)
    path.write_text(json.dumps(document, ensure_ascii=False))


def deep(path: Path) -> None:
    path.write_text('{"schema": 1, "settings": ' + "[" * 400_000 + "]" * 400_000 + "}")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


BOMBS = (
    unpacked_gigabytes, many_entries, many_lists, many_records, long_text, wide_text, deep, sparse,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
@pytest.mark.parametrize("command", ["show", "history", "report", "regress"])
def test_a_bomb_is_no_matter(bomb: Callable[[Path], Any], command: str, tmp_path: Path) -> None:
    small: Any = {"variants": ("n2",), "sizes": ("seed",)}
    sound = save_run(whole_run(**small), tmp_path)
    path = save_run(later(), tmp_path)
    bomb(path)
    arguments = {
        "show": ["show", str(path)],
        "history": ["history", f"--results={tmp_path}"],
        "report": ["report", str(sound), str(path), "--markdown"],
        "regress": ["regress", "--stored", str(sound), str(path)],
    }
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments[command]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2, 3)
    megabytes, seconds = map(float, done.stderr.rpartition("USED ")[2].split())
    assert megabytes < MOST_MEGABYTES
    assert seconds < MOST_SECONDS
