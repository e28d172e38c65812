"""Make an environment with another release of a framework, to demonstrate an upgrade."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from pathlib import Path

# The oldest release that the flax of constraints.txt supports. jax from PyPI is a small CPU build.
OLDER = ("jax==0.10.0", "jaxlib==0.10.0")


def environment(folder: Path, packages: tuple[str, ...] = OLDER) -> Path:
    """Make a virtual environment and return its interpreter.

    It has these packages, and finds all others where the present interpreter finds them, so nothing
    else differs.

    Raises:
        CalledProcessError: a package cannot be installed.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([str(python), *install, *packages], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "all_else.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
