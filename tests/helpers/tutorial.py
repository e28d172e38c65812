"""Read the example files of the tutorial, ``docs/your-own-network.md``."""

from __future__ import annotations

import re

from benchmarks.paths import ROOT

PAGE = ROOT / "docs" / "your-own-network.md"
FILE = re.compile(r"^`(\S+)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """Return path → text of every file in the tutorial, which names each on the line before it."""
    return dict(FILE.findall(PAGE.read_text()))
