"""Run commands as on another machine: without some packages, with another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.paths import ROOT
from tests.helpers.fake_framework import FAKES

FRAMEWORKS = {"torch": "torch", "jax": "jax,jaxlib,flax,optax"}
EVERY_FRAMEWORK = ",".join(FRAMEWORKS.values())


def execute(
    *words: str, without: str = "", encoding: str = "utf-8", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a module of Python, such as ``pytest``, with its arguments to its end.

    Args:
        words: the module and its arguments.
        without: packages that are hidden, separated by commas.
        encoding: of its output.
        cwd: the folder to run it in.
    """
    hiding = str(FAKES / "without_packages")
    path = os.pathsep.join(filter(None, (hiding, os.environ.get("PYTHONPATH"))))
    environment = {"PYTHONPATH": path, "WITHOUT_PACKAGES": without, "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, env=os.environ | environment, check=False,
        capture_output=True, text=True, encoding=encoding, timeout=300,
    )  # fmt: skip
