"""Explain a finding: print its section of ``docs/check.md``, which an installation holds too."""

from __future__ import annotations

import re
import textwrap

from cascade_bench import suite
from cascade_bench.target import CaseError

HEADING = re.compile(r"^## (CB\d+)$", re.MULTILINE)
LABEL = re.compile(r"^(?:torch|JAX|Traps?): ")  # begins a line of its own
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")  # of Markdown: its text is what a terminal shows


def explanation(code: str, width: int = 100) -> str:
    """Return the section about a finding, headed by its code, its paragraphs as wide as asked.

    Args:
        code: such as ``"CB101"``; small letters will do.
        width: columns of the terminal.

    Raises:
        CaseError: there is no such finding.
        SuiteError: the suite is not found.
    """
    text = (suite.folder() / "docs" / "check.md").read_text(encoding="utf-8")
    parts = HEADING.split(text)[1:]  # code, section, code, section …
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    if code.upper() not in sections:
        raise CaseError(f"--explain {code!r} is no finding; write one of {', '.join(sections)}")
    section = LINK.sub(lambda link: link[1], sections[code.upper()].strip())
    blocks = (_filled(block, width) for block in section.split("\n\n"))
    return "\n\n".join([code.upper(), *blocks]) + "\n"


def _filled(block: str, width: int) -> str:
    """Return a paragraph with its lines filled anew; a table as it is."""
    if block.startswith("|"):
        return block
    lines: list[str] = []
    for line in block.splitlines():
        if lines and not LABEL.match(line):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines
    )
