"""Read the pages of ``docs`` whose files and commands are run: their files, and what is printed."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.paths import ROOT

PAGE = ROOT / "docs" / "your-own-network.md"
OWN_CODE = ROOT / "docs" / "your-own-code.md"
FILE = re.compile(r"^`(\S+)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files(page: Path = PAGE) -> dict[str, str]:
    """Return path → text of every file in a page, which names each on the line before it."""
    return dict(FILE.findall(page.read_text()))


def commands(page: Path = PAGE) -> list[tuple[str, list[str]]]:
    """Return every command of a page, in order, with the lines that it says are printed."""
    listed: list[tuple[str, list[str]]] = []
    for block in CONSOLE.findall(page.read_text()):
        for line in filter(None, block.splitlines()):
            if line.startswith("$ "):
                listed.append((line[2:], []))
            else:
                listed[-1][1].append(line)
    return listed


def assert_printed(lines: list[str], printed: str, command: str) -> None:
    """Demand the lines in the output, in this order; ``…`` is anything, and so is the spacing."""
    rest = printed.splitlines()
    for line in lines:
        pattern = re.compile(r"\s+".join(map(re.escape, line.split())).replace("…", ".*"))
        at = next((i for i, text in enumerate(rest) if pattern.search(text)), None)
        assert at is not None, f"$ {command}\nnot there: {line}\n{printed[-3000:]}"
        rest = rest[at + 1 :]
