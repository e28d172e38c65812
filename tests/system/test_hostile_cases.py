"""``cascade-bench try`` of cases that end, hold up or flood their process: a line, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from results.own_code import document

HEAD = """\
import os, sys, time
import torch
from cascade_bench import Case

"""
CASE = """
    net = torch.nn.Linear(4, 4)
    return Case({"net": net}, lambda x: {"task": net(x).square().mean()}, torch.ones(2, 4))
"""


def tried(folder: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Return what came of trying a case whose function begins with this text."""
    (folder / "case.py").write_text(f"{HEAD}def make():\n{text}{CASE}")
    variables = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    words = ("--way", "summed", "--phase", "gradient", "--launches", "1", *words)
    return subprocess.run(
        [sys.executable, "-m", "cascade_bench.cli", "try", "case.py", "--json", "out.json", *words],
        cwd=folder, env=variables | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _torch() -> None:
    pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("    os._exit(7)\n", "the worker ended"),
        ("    os.kill(os.getpid(), 11)\n", "the worker ended by signal"),
        ("    sys.exit()\n", "SystemExit"),
        ("    torch.zeros(2**50)\n", "use a smaller batch, or set CASCADE_BENCH_WORKER_MEMORY"),
    ],
)
def test_case_that_ends_its_process_is_one_line_with_file_line_and_mend(
    tmp_path: Path, text: str, says: str
) -> None:
    done = tried(tmp_path, text)
    assert done.returncode == document.ERROR
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"cascade-bench: {tmp_path / 'case.py'}:")
    assert says in last
    assert last.split(":")[2].strip() in ("5", "6")  # its function, or the line in it
    assert "; " in last
    assert "Traceback" not in done.stderr


def test_case_that_prints_forks_and_leaves_a_process_behind_is_measured(tmp_path: Path) -> None:
    text = (
        "    print('{\"ok\": true}')\n"
        "    os.write(1, b'a line of nobody\\n' * 1000)\n"
        "    if os.fork() == 0:\n        time.sleep(600)\n"
    )
    start = time.monotonic()
    done = tried(tmp_path, text)
    assert done.returncode == document.RIGHT, done.stderr
    assert "nobody" not in done.stdout
    assert time.monotonic() - start < 300.0
    (part,) = json.loads((tmp_path / "out.json").read_text())["frameworks"]
    assert [row["outcome"] for row in part["rows"]] == ["ok"]


def test_case_that_never_ends_is_given_up_with_the_line_of_its_function(tmp_path: Path) -> None:
    done = tried(tmp_path, "    while True: pass\n", "--budget", "4")
    assert done.returncode == document.ERROR
    last = done.stderr.strip().splitlines()[-1]
    assert f"{tmp_path / 'case.py'}:5: " in last
    assert "look for an endless loop" in last
