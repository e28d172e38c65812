"""docs/errors.md: every message is what its code raises here, and every way to mend it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from benchmarks.paths import ROOT
from tests.helpers import error_page

SECTIONS = error_page.sections()
MODULE = "tests.helpers.error_page"


@cache
def outcomes(framework: str) -> dict[tuple[str, str], str | None]:
    """Return (section, kind) → what was raised by each block, run in one process."""
    done = subprocess.run(
        [sys.executable, "-m", MODULE, framework],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {(section, kind): said for section, kind, said in json.loads(done.stdout)}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.title)
def test_each_error_has_its_text_its_code_and_the_way_in_both_frameworks(
    section: error_page.Section,
) -> None:
    assert len(section.texts) == 1
    kinds = sorted((framework, kind) for framework, kind, _ in section.blocks)
    (raises,) = (framework for framework, kind in kinds if kind == "raises")
    assert kinds == sorted([(raises, "raises"), ("jax", "instead"), ("torch", "instead")])


def test_page_has_the_errors_that_people_search_for() -> None:
    titles = [section.title for section in SECTIONS]
    assert len(set(titles)) == len(titles) >= 25
    assert sorted(error_page.common()) == sorted(error_page.FRAMEWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("framework", error_page.FRAMEWORKS)
def test_what_is_raised_is_what_the_page_says(framework: str) -> None:
    said = {title: text for (title, kind), text in outcomes(framework).items() if kind == "raises"}
    texts = {section.title: section.texts[0] for section in SECTIONS}
    assert len(said) >= 10
    wrong = {
        title: text
        for title, text in said.items()
        if text is None or not error_page.pattern(texts[title]).fullmatch(text)
    }
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("framework", error_page.FRAMEWORKS)
def test_what_to_write_instead_raises_nothing(framework: str) -> None:
    ran = {title: text for (title, kind), text in outcomes(framework).items() if kind == "instead"}
    assert set(ran) == {section.title for section in SECTIONS}
    assert {title: text for title, text in ran.items() if text is not None} == {}


def test_message_that_differs_is_noticed() -> None:
    assert error_page.pattern("A: b … d").fullmatch("A: b c\nc d")
    assert not error_page.pattern("A: b … d").fullmatch("A: b c\nc e")
    assert not error_page.pattern("A: b.").fullmatch("A: bc")
