"""Explain a finding: print its section of ``docs/check.md``, which an installation holds too."""

from __future__ import annotations

import re

from cascade_bench import suite
from cascade_bench.target import CaseError

HEADING = re.compile(r"^## (CB\d+)$", re.MULTILINE)
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")  # of Markdown: its text is what a terminal shows


def explanation(code: str) -> str:
    """Return the section about a finding, headed by its code.

    Args:
        code: such as ``"CB101"``; small letters will do.

    Raises:
        CaseError: there is no such finding.
        SuiteError: the suite is not found.
    """
    text = (suite.folder() / "docs" / "check.md").read_text(encoding="utf-8")
    parts = HEADING.split(text)[1:]  # code, section, code, section …
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    if code.upper() not in sections:
        raise CaseError(f"--explain {code!r} is no finding; write one of {', '.join(sections)}")
    return f"{code.upper()}\n\n{LINK.sub(lambda link: link[1], sections[code.upper()].strip())}\n"
