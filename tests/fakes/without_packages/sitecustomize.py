"""Hide installed packages from this process and its children: ``WITHOUT_PACKAGES=jax,flax``.

Python imports this file at its start where its folder is on ``PYTHONPATH``. Neither the modules nor
the metadata of the packages are then to be found, as if they were not installed.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from typing import Any

HIDDEN = frozenset(filter(None, os.environ.get("WITHOUT_PACKAGES", "").split(",")))


class Blocker:
    """Refuse the import of the hidden packages, as an entry of ``sys.meta_path``."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise `ModuleNotFoundError` for a hidden package; leave every other one to Python."""
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def visible(*arguments: Any, **options: Any) -> Iterator[importlib.metadata.Distribution]:
    """Yield the distributions that Python finds, without the hidden ones."""
    for one in find_distributions(*arguments, **options):
        if (one.name or "").lower() not in HIDDEN:
            yield one


find_distributions = importlib.metadata.MetadataPathFinder.find_distributions
if HIDDEN:
    importlib.metadata.MetadataPathFinder.find_distributions = visible  # type: ignore[assignment]
    blocker: Any = Blocker()
    sys.meta_path.insert(0, blocker)
