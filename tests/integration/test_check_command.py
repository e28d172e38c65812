"""``cascade-bench check`` from end to end: examples, wrong and right, and steps that cannot run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.tutorial import assert_printed, commands, files

EXAMPLES, PAGE = ROOT / "examples", ROOT / "docs" / "check.md"
HEAD = """\
import sys, time
import torch
from torch import nn
from cascade_bench import Case

def make():
    net = nn.Linear(4, 4)
    batch = torch.randn(8, 4)
    losses = lambda batch: {"task": net(batch).square().mean()}
"""


def check(case: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "cascade_bench.cli", "check", case, *options],
        cwd=folder, capture_output=True, text=True, check=False,
        env=variables | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("torch_training_step.py:wrong", ["CB102", "CB301", "CB302"]),
        pytest.param("torch_training_step.py", [], marks=pytest.mark.slow),
        pytest.param("jax_training_step.py:wrong", ["CB101"], marks=pytest.mark.slow),
        pytest.param("jax_training_step.py", [], marks=pytest.mark.slow),
    ],
)
def test_example_has_the_findings_that_it_names(
    tmp_path: Path, name: str, codes: list[str]
) -> None:
    pytest.importorskip(name.partition("_")[0])
    done = check(str(EXAMPLES / name), tmp_path, "--json", "out.json")
    assert done.returncode == (1 if codes else 0), done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    (part,) = document["frameworks"]
    assert [one["code"] for one in part["findings"]] == codes
    for code in codes or ["nothing found"]:
        assert code in done.stdout
    assert "looked at 4 steps" in done.stdout
    text = (EXAMPLES / name.partition(":")[0]).read_text()
    place = document["case"]["line"]
    assert "def step(" in "".join(text.splitlines()[place - 1 : place + 1])
    assert all(code in text for code in codes)
    assert not (tmp_path / ".cascade-bench").exists()


@pytest.mark.slow
def test_page_does_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    ((command, lines),) = commands(PAGE)
    done = check(command.split()[-1], tmp_path)
    assert done.returncode == 1
    assert_printed(lines, done.stdout, command)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "said", "line"),
    [
        ("", "the case has no step; write def step()", 6),
        ("    def step(): return undefined\n", "name 'undefined' is not defined", 10),
        ("    def step(): input()\n", "EOFError", 10),
        ("    def step(): sys.exit(0)\n", "SystemExit", 10),
        ("    step = 3\n", "step is int, not a function", 6),
        ("    def step(a, b): pass\n", "step takes 2 arguments; write step() or step(batch)", 6),
    ],
)
def test_step_that_cannot_run_is_named_with_its_line(
    tmp_path: Path, step: str, said: str, line: int
) -> None:
    pytest.importorskip("torch")
    given = ", step=step" if step else ""
    text = f"{HEAD}{step}    return Case({{'net': net}}, losses, batch{given})\n"
    (tmp_path / "case.py").write_text(text)
    done = check("case.py", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert said in last
    assert f"case.py:{line}: " in last


@pytest.mark.slow
def test_step_that_never_ends_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    step = "    def step(): time.sleep(1000)\n"
    (tmp_path / "case.py").write_text(
        f"{HEAD}{step}    return Case({{'net': net}}, losses, batch, step=step)\n"
    )
    done = check("case.py", tmp_path, "--budget", "2")
    assert done.returncode == 2
    assert "endless loop" in done.stderr
