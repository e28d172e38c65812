"""Package the client `cascade_bench`, with the suite's folders inside it as data.

A wheel that put ``benchmarks`` and ``results`` into site-packages would shadow a user's own. The
client runs the suite in processes of its own, whose path begins with ``cascade_bench/_suite``.
Everything else stands in pyproject.toml.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

SUITE = "cascade_bench._suite"
FOLDERS = ("benchmarks", "impl_torch", "impl_jax", "results")
RESEARCH = ("benchmarks.evaluation", "benchmarks.evaluation.*")  # run from a clone only


class CleanBuild(build_py):
    """Build from an empty folder: all that an earlier build left there would go into the wheel."""

    def run(self) -> None:
        """Remove what is left, then build."""
        if not self.editable_mode and Path(self.build_lib).is_dir():
            shutil.rmtree(self.build_lib)
        super().run()


suite = find_packages(include=[f"{name}*" for name in FOLDERS], exclude=RESEARCH)

setup(
    packages=[
        "cascade_bench",
        f"{SUITE}.examples",
        f"{SUITE}.examples.models",
        f"{SUITE}.docs",
        *(f"{SUITE}.{name}" for name in suite),
    ],
    package_dir={
        f"{SUITE}.examples.models": "examples/models",
        f"{SUITE}.examples": "examples",
        f"{SUITE}.docs": "docs",
        **{f"{SUITE}.{name}": name for name in FOLDERS},
    },
    # the page that findings name: `cascade-bench check --explain`
    package_data={f"{SUITE}.results.report": ["templates/*"], f"{SUITE}.docs": ["check.md"]},
    include_package_data=False,
    cmdclass={"build_py": CleanBuild},
)
