"""Read ``docs/errors.md`` and run its blocks: ``python -m tests.helpers.error_page FRAMEWORK``."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.paths import ROOT

PAGE = ROOT / "docs" / "errors.md"
FRAMEWORKS = ("torch", "jax")
SECTION = re.compile(r"^### (.+)$", re.MULTILINE)
TEXT = re.compile(r"^```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r'^```python title="(\w+): (.+?)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Section:
    """Hold one error of the page.

    Attributes:
        title: its heading.
        texts: what the boxes of text hold; there should be one, ``Type: message``.
        blocks: (framework, "raises" or "instead", code) of each block, in order.
    """

    title: str
    texts: list[str]
    blocks: list[tuple[str, str, str]]


def common() -> dict[str, str]:
    """Return framework → the lines that stand before each of its blocks."""
    head = PAGE.read_text().split("\n### ")[0]
    return {framework: code for framework, _, code in CODE.findall(head)}


def sections() -> list[Section]:
    """Return every error of the page, in order."""
    _, *parts = SECTION.split(PAGE.read_text())
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [Section(title, TEXT.findall(body), CODE.findall(body)) for title, body in pairs]


def pattern(text: str) -> re.Pattern[str]:
    """Return what a message must match as a whole: ``…`` is anything, of any length."""
    return re.compile(re.escape(text).replace("…", ".*"), re.DOTALL)


def run(framework: str) -> Iterator[tuple[str, str, str | None]]:
    """Run every block of a framework, each after the common lines.

    Yields:
        The section's title, "raises" or "instead", and ``Type: message`` of what was raised, None
        where nothing was.
    """
    before = common()[framework]
    for section in sections():
        for owner, kind, code in section.blocks:
            if owner == framework:
                yield section.title, kind, raised(before + code)


def raised(code: str) -> str | None:
    """Run code in a namespace of its own; return ``Type: message`` of its exception, or None."""
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(code, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        distributed = getattr(names.get("torch"), "distributed", None)
        if distributed and distributed.is_initialized():
            distributed.destroy_process_group()
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what is deprecated is no error of these pages
    json.dump(list(run(sys.argv[1])), sys.stdout)
