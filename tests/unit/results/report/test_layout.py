"""Every section is led by its picture and states its finding; texts are short, names are one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from results.records.record import Run
from results.report import markdown
from results.report.build import build
from results.report.by_size import MOST_LINES
from results.report.html import charts_of, packed, pictures_of
from results.report.model import Block, Cell, Chart, Fold, Points, Section, Table, blocks_of
from results.report.record_cells import verdict_bar
from results.ways import WORDS, way_title
from tests.helpers.factories.report_runs import LATER, later, whole_run
from tests.helpers.report_pages import SECTIONS, section_of, tables

FIRST = "20261121T010203-ab12cd"
LONGEST = 300  # letters of a paragraph: three lines of the page
LED_BY_TABLE = ("flow", "belief", "absent", "conditions", "cells", "words")
NUMBER = re.compile(r"(?<![\w.])\d[\d.,]*(?:\(?\w*\)?)")


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [whole_run(variants=("n2", "n4", "front4")), later(drift=1.2)]


def every_section(runs: Iterable[Run]) -> list[Section]:
    (part,) = build(runs).parts
    return list(part.sections)


def test_every_section_begins_with_its_picture(runs: list[Run]) -> None:
    for section in every_section(runs):
        first = section.blocks[0]
        if section.name in LED_BY_TABLE:
            assert isinstance(first, Table), section.name
        else:
            assert isinstance(first, Chart), section.name


@pytest.mark.parametrize("name", ["flow", "belief", "absent"])
def test_a_table_that_leads_a_section_has_bars_and_is_open(name: str) -> None:
    first = section_of(whole_run(), name).blocks[0]
    assert isinstance(first, Table)
    assert not first.folded
    assert any(cell.bar for row in first.rows for cell in row.cells)


def test_a_title_states_a_finding_and_a_topic_names_the_section(runs: list[Run]) -> None:
    for section in every_section(runs):
        if section.name != "words":
            assert re.search(r"\d", section.title), section.title
            assert section.topic
            assert len(section.topic) < 24


def test_a_table_behind_a_picture_has_to_be_opened(runs: list[Run]) -> None:
    for section in every_section(runs):
        seen = False
        for block in section.blocks:
            if isinstance(block, Table) and seen:
                small = len(block.rows) <= 12
                assert block.folded or small, (section.name, block.title)
            seen = seen or isinstance(block, Chart | Table)


def test_no_paragraph_is_long_and_no_point_has_many_numbers(runs: list[Run]) -> None:
    for section in every_section(runs):
        for text in paragraphs(section.blocks):
            assert len(text) <= LONGEST, text
        for block in blocks_of(section.blocks):
            for item in block.items if isinstance(block, Points) else ():
                text = "".join(item)
                assert len(re.findall(r"\b\d+(?:\.\d+)?", text)) <= 3, text


def paragraphs(blocks: Iterable[Block]) -> list[str]:
    """Return all texts between pictures and tables, and what stands above those."""
    texts: list[str] = []
    for block in blocks_of(blocks):
        if isinstance(block, Points):
            texts += ["".join(item) for item in block.items]
        elif isinstance(block, Chart | Table):
            texts.append(block.about)
        elif isinstance(block, list | tuple):
            texts.append("".join(block))
    return texts


def test_a_way_stands_nowhere_without_its_words(runs: list[Run]) -> None:
    """A name alone in a cell or a heading would be a second form of it."""
    found = 0
    for section in every_section(runs):
        for table in tables(section):
            cells = [cell.text for row in table.rows for cell in row.cells if cell.kind != "code"]
            for text in [*table.columns, *cells]:
                assert text not in WORDS, (section.name, table.title, text)
                found += text in map(way_title, WORDS)
    assert found > 20


def test_every_way_of_a_first_screen_and_a_case_has_its_words() -> None:
    (part,) = build([whole_run()]).parts
    assert part.answer
    assert part.cases
    for question in part.answer.questions:
        for panel in question.panels:
            assert panel.way in map(way_title, WORDS)
    for case in part.cases.cases:
        assert set(case.table.columns[1:]) <= set(map(way_title, WORDS))


def test_verdicts_are_a_bar_and_the_same_in_words() -> None:
    cell = verdict_bar(["slower", "faster", "slower", "inconclusive"])
    assert list(cell.bar) == [("slower", 2), ("inconclusive", 1), ("faster", 1)]
    assert cell.text == "2 slower, 1 inconclusive, 1 faster"
    assert verdict_bar([]).kind == "missing"


def test_what_was_not_measured_is_listed() -> None:
    run = whole_run()
    run.records[0] |= {"outcome": "timeout", "missing": {"seconds": "no answer"}}
    run.records[1] |= {"outcome": "unsupported", "missing": {"seconds": "no GPU"}}
    section = section_of(run, "absent")
    assert section.title == f"{len(run.records) - 2} cells have a time; 1 failed and 1 cannot exist"
    gaps = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in
            tables(section)[0].rows}  # fmt: skip
    assert gaps["sizes"] == ["seed, medium", "small, large_batch32, large, gpu"]
    assert gaps["modes"] == ["eager, jit", "compile, compile_networks"]
    assert gaps["devices"] == ["cpu", "GPU: this machine has none that was found"]
    assert gaps["peak memory"][1] == "all: --memory measures it"
    bar = tables(section)[0].rows[0].cells[1].bar
    assert list(bar) == [("good", len(run.records) - 2), ("bad", 1), ("inconclusive", 1)]


def test_markdown_has_the_sections_folds_and_pictures_of_the_page_in_its_order(
    runs: list[Run],
) -> None:
    report = build(runs)
    text = markdown.markdown(report)
    for named, expected in (
        (r"!\[.*?\]\(charts/(.*?)\.svg\)", [chart.name for chart in pictures_of(report)]),
        (r"^### (.*?)(?::|$)", ["Networks in series, a loss after each",
                               "Freezing a part of the network"]),
    ):  # fmt: skip
        assert re.findall(named, text, re.M)[: len(expected)] == expected
    folds = [block.title for section in report.parts[0].sections for block in section.blocks
             if isinstance(block, Fold)]  # fmt: skip
    assert folds
    for title in folds:
        assert f"<details><summary>{title}</summary>" in text.replace("&gt;", ">")
    assert text.count("<details>") == text.count("</details>")


def test_names_of_charts_differ_between_machines_also_behind_a_fold() -> None:
    other = whole_run("20261122T010203-ab12cd", machine="box-2")
    names = [chart.name for chart in charts_of(build([whole_run(), other]))]
    assert "freezing-torch-seed" in names
    assert "freezing-torch-seed-m2" in names
    assert len(names) == len(set(names))


def test_part_of_a_long_chart_is_not_named_as_another_machine_s_chart() -> None:
    """Both would be drawn from one specification, and one file would replace the other."""
    variants = [f"n{count}" for count in range(2, 3 + MOST_LINES)]
    runs = [
        whole_run(run_id, machine=machine, variants=variants, sizes=("medium",))
        for run_id, machine in ((FIRST, "box-1"), (LATER, "box-2"))
    ]
    names = [chart.name for chart in charts_of(build(runs))]
    assert {"frameworks", "frameworks-2", "frameworks-m2", "frameworks-2-m2"} <= set(names)
    assert len(names) == len(set(names))


def test_names_that_a_first_screen_leads_to_are_of_its_own_machine() -> None:
    parts = build([whole_run(), whole_run(LATER, machine="box-2")]).parts
    for part in parts:
        assert part.answer
        there = {section.name for section in part.sections}
        assert {fact.section for fact in part.answer.facts if fact.section} <= there
    cases = [part.cases.name for part in parts if part.cases]
    assert len(set(cases)) == len(parts)


def test_the_freezing_section_says_openly_that_masked_alone_does_not_freeze() -> None:
    said = "optax.masked alone does not freeze"
    blocks = section_of(whole_run(), "freezing").blocks
    assert any(said in "".join(block) for block in blocks if isinstance(block, list))
    torch = whole_run()
    torch.records[:] = [r for r in torch.records if r["framework"] == "torch"]
    assert said not in str(section_of(torch, "freezing").blocks)


def test_the_chart_by_losses_is_titled_with_its_means() -> None:
    (chart, *_) = section_of(whole_run(variants=("n2", "n4")), "passes").blocks
    assert isinstance(chart, Chart)
    assert (
        chart.title == "separate_retained · a pass for each loss: ×1.5 with 2 losses, ×1.5 with 4"
    )


def _close_to(value: Any) -> Any:
    return pytest.approx(value, rel=1e-5) if isinstance(value, float) else value


def test_data_are_packed_without_visible_loss() -> None:
    pytest.importorskip("altair")
    for chart in charts_of(build([whole_run()])):
        spec = packed(chart.spec)
        assert chart.spec["datasets"] != spec["datasets"]
        for name, rows in chart.spec["datasets"].items():
            held = spec["datasets"][name]
            if isinstance(held, dict):
                held = [dict(zip(held["columns"], row, strict=True)) for row in held["rows"]]
            assert len(held) == len(rows)
            for one, row in zip(held, rows, strict=True):
                assert one == {name: _close_to(value) for name, value in row.items()}
    assert packed({"datasets": {"a": [{"x": 1}, {"y": 2}]}})["datasets"]["a"][1] == {"y": 2}


def test_sections_of_one_run_are_those_that_are_looked_for() -> None:
    assert [section.name for section in every_section([whole_run()])] == SECTIONS


def test_a_cell_needs_no_bar() -> None:
    assert Cell("text").bar == ()
