"""Tell how to install what a command lacks, in a command to be pasted into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # a clone, or where a wheel has put the suite
DISTRIBUTION = "cascade-bench"


def install_command(*extras: str) -> str:
    """Return the command that installs extras of this project.

    It names ranges of versions, not the versions of ``constraints.txt``: a release of torch or jax
    that is installed already, and in range, stays as it is.

    Args:
        extras: such as ``torch``, ``jax`` or ``report``.
    """
    chosen = f"[{','.join(extras)}]"
    if not (ROOT / "pyproject.toml").is_file():  # not a clone
        return shlex.join(["pip", "install", DISTRIBUTION + chosen])
    folder = "." if Path.cwd() == ROOT else str(ROOT)
    return shlex.join(["pip", "install", "-e", folder + chosen])
