"""Wherever separate backward passes are said to give the same gradients, the exception is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.paths import ROOT

SAID = re.compile(r"same gradients|gradients are the same|equal gradients")
PASSES = re.compile(r"pass(es)? for each loss|separate (backward )?pass|passes run as one|loss1 \+")
EXCEPTION = re.compile(r"\bhooks?\b|custom_vjp|CB303")


def sentences(text: str) -> list[str]:
    """Return the sentences of a page or of code, each in one line."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n|\n#+ |(?<=\.)\s", text)]


def unrestricted(text: str) -> list[str]:
    """Return the sentences that make the claim without its exception."""
    return [
        one
        for one in sentences(text)
        if SAID.search(one) and PASSES.search(one) and not EXCEPTION.search(one)
    ]


def pages() -> Iterator[Path]:
    """Yield all pages and all code whose texts and docstrings people read."""
    yield ROOT / "README.md"
    for folder in ("docs", "examples", "cascade_bench", "impl_torch", "impl_jax", "results"):
        for path in (ROOT / folder).rglob("*"):
            made = path.is_relative_to(ROOT / "results" / "reference")
            if path.suffix in (".md", ".py") and not made:
                yield path
    yield from (ROOT / "benchmarks").rglob("*.py")


def test_claim_never_stands_without_its_exception() -> None:
    texts = {path: path.read_text() for path in pages()}
    wrong = {str(path.relative_to(ROOT)): unrestricted(text) for path, text in texts.items()}
    assert not {path: found for path, found in wrong.items() if found}
    claims = [path for path, text in texts.items() for one in sentences(text) if SAID.search(one)]
    assert len(claims) > 5  # README, the page of errors, the checks' page, both cascades


def test_claim_without_its_exception_is_found() -> None:
    claim = "Sum the losses.\nA backward pass for each loss\ngives the same gradients"
    assert len(unrestricted(claim)) == 1
    assert not unrestricted(f"{claim}, unless a hook changes them.")
    assert not unrestricted("The same gradients on every device.")
