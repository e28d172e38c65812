"""The pages of all options and of all keys are what their generators make of the code now."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from benchmarks.evaluation import options_page, records_page
from benchmarks.evaluation.declared_types import Declarations
from benchmarks.paths import ROOT
from cascade_bench import cli
from results.records.record import OPTIONAL_KEYS, RECORD_KEYS
from results.records.schema import Record

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("made", [options_page, records_page], ids=["options", "records"])
def test_page_is_what_its_generator_makes(made: ModuleType) -> None:
    assert made.page() == made.PAGE.read_text(), "run: make docs"


def test_every_command_and_each_of_its_options_stands_on_the_page() -> None:
    _, *sections = options_page.page().split("\n## ")
    headed = dict(section.split("\n", 1) for section in sections)
    names = [f"cascade-bench {name}" for name in (*cli.OWN, *cli.PASSED_ON)]
    assert list(headed) == [*names, "pytest benchmarks"]
    for parser in options_page.parsers():
        for option in {o for a in parser._actions for o in a.option_strings} - {"-h", "--help"}:
            assert re.search(rf"^\| `[^`]*{option}[ `]", headed[parser.prog], re.M), option


def test_switch_takes_no_value_on_the_page() -> None:
    page = options_page.page()
    assert "| `--all` | select every cell there is |" in page
    assert "| `--resume [RUN]` |" in page
    assert "| `--markdown [FILE]` |" in page
    assert str(ROOT) not in page  # no path of the machine that made it


def test_every_key_has_a_meaning_and_stands_on_the_page() -> None:
    page = records_page.page()
    for declared, _ in records_page.PARTS.values():
        assert len(declared.types) >= 4
        silent = [key for key, text in declared.comments.items() if not text]
        assert silent == [], "put a comment behind each key, which says what it means"
        for _, key in declared.comments:
            assert f"| `{key}` | " in page
    assert {*RECORD_KEYS, *OPTIONAL_KEYS} == set(Record.__annotations__)


def test_links_of_the_page_lead_to_headings_of_its_own() -> None:
    page = records_page.page()
    anchors = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    }
    linked = re.findall(r"\]\(#([^)]+)\)", page)
    assert len(linked) >= 10
    assert set(linked) <= anchors


def test_key_without_a_comment_is_noticed(tmp_path, monkeypatch) -> None:
    (tmp_path / "two_keys.py").write_text(
        "from typing import TypedDict\n\n\nclass Two(TypedDict):\n    a: int  # said\n    b: int\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import two_keys  # type: ignore[import-not-found]

    assert Declarations((two_keys,)).comments == {("Two", "a"): "said", ("Two", "b"): ""}
