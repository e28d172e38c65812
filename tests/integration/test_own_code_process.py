"""A user's case in a worker finds its own packages there, and none of the worker's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.pool import Pool

CASE = """
import argparse

import torch
from cascade_bench import Case
from results import WIDTH
from tests.networks import network

parser = argparse.ArgumentParser()
parser.add_argument("--dtype", default="mine")
options = parser.parse_args()


def make():
    assert options.dtype == "mine", options
    mine = network(WIDTH)
    return Case({"net": mine}, lambda b: {"task": mine(b).square().mean()}, torch.randn(4, WIDTH))
"""


@pytest.mark.slow
def test_case_with_argparse_and_packages_named_as_the_suite_s_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has a space in its name, and the suite has packages `results` and `tests`."""
    pytest.importorskip("torch")
    folder = tmp_path / "my project"
    (folder / "tests").mkdir(parents=True)
    (folder / "results.py").write_text("WIDTH = 3\n")
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "networks.py").write_text(
        "from torch import nn\ndef network(width):\n    return nn.Linear(width, 1)\n"
    )
    (folder / "case.py").write_text(CASE)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    source: Any = {"file": str(folder / "case.py"), "function": "make"}
    with Pool() as pool:
        files = CaseFiles({"source": source, "folder": str(tmp_path), "seed": 0}, "torch")
        launch = pool.launches("torch", "cpu", "float64", 1)[0]
        facts = files.examine(launch, "float64", ["backward"])
        files.close()
    assert facts["reach"] == {"task": ["net.weight", "net.bias"]}
