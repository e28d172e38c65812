"""An environment with another release of a framework, for the demonstration of an upgrade."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from pathlib import Path

# jax of PyPI is a CPU build and small; the oldest that the flax of constraints.txt takes
OLDER = ("jax==0.10.0", "jaxlib==0.10.0")


def environment(folder: Path, packages: tuple[str, ...] = OLDER) -> Path:
    """The interpreter of a new environment: this one, but for those packages.

    Everything else is found where this interpreter has it, so that nothing else differs.

    Raises:
        CalledProcessError: they cannot be installed.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([str(python), *install, *packages], check=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "all_else.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
