"""The page about a user's own case: the answer first, and nothing that a text could break."""

from __future__ import annotations

from typing import Any

import pytest

from results.report import own_code_answer, own_code_page
from results.report.model import Chart, Points, Report, Section, Table
from tests.helpers.own_code import example_document, example_of_both
from tests.helpers.report_pages import tables, texts


@pytest.fixture
def document() -> dict[str, Any]:
    return example_document()


def sections(report: Report) -> dict[str, Section]:
    (part,) = report.parts
    return {section.name: section for section in part.sections}


def words(section: Section) -> str:
    """Return all paragraphs of a section in one text."""
    blocks = [*section.blocks]
    items = [item for block in blocks if isinstance(block, Points) for item in block.items]
    plain = [block for block in blocks if isinstance(block, list)]
    return " | ".join("".join(item) for item in [*plain, *items])


def test_page_begins_with_the_answer_and_a_picture_of_all_ways(document: dict[str, Any]) -> None:
    pytest.importorskip("altair")
    report = own_code_page.build(document)
    assert report.title == "Backward passes of my_case.py:make"
    assert list(sections(report)) == ["ways", "write", "flow", "proven", "rows", "again"]
    answer = report.parts[0].answer
    assert answer
    assert answer.headline == document["answer"]
    assert [question.name for question in answer.questions] == ["backward", "freeze"]
    (panel,) = answer.questions[0].panels
    assert (panel.framework, panel.code) == ("PyTorch", "sum(losses.values()).backward()")
    rows = panel.chart.spec["datasets"].values()
    marks = {m["label"]: m for values in rows for m in values if "label" in m}
    assert [(m["mean"], m["best"]) for m in marks.values()] == [(1.0, True), (1.32, False)]
    assert list(marks) == [
        "summed · one pass of the sum",
        "separate_retained · a pass for each loss",
    ]
    for mark in marks.values():
        assert mark["low"] <= mark["ratio"] <= mark["high"]
    assert isinstance(sections(report)["ways"].blocks[0], Chart)


def test_a_way_that_is_shown_to_be_faster_is_the_one_to_write(document: dict[str, Any]) -> None:
    rows = document["frameworks"][0]["rows"][:2]
    assert own_code_answer.recommended("backward", rows) is rows[0]
    rows[1]["verdict"] = "faster"
    assert own_code_answer.recommended("backward", rows) is rows[1]
    assert own_code_answer.recommended("freeze", rows[:1]) is None


def test_facts_count_right_gradients_and_decided_comparisons(document: dict[str, Any]) -> None:
    rows = document["frameworks"][0]["rows"]
    rows[1]["outcome"], rows[2]["verdict"] = "wrong_gradients", "not told"
    facts = own_code_answer.answer(document).facts
    assert [(fact.value, fact.kind) for fact in facts] == [
        ("3 of 4", "bad"), ("2 of 3", ""), ("cascade-bench try my_case.py:make", "code"),
    ]  # fmt: skip


def test_chart_has_a_mark_for_each_ratio_and_no_other(document: dict[str, Any]) -> None:
    pytest.importorskip("altair")
    chart = own_code_page.chart(document)
    assert chart
    text = str(chart.spec)
    separate = "separate_retained · a pass for each loss"
    for line in (f"{separate} (backward)", f"{separate} (gradient)", "summed · one pass"):
        assert line in text
    assert "boundary_split" not in text


def test_code_is_shown_of_ways_that_are_right_alone(document: dict[str, Any]) -> None:
    rows = document["frameworks"][0]["rows"]
    rows[0]["outcome"] = "wrong_gradients"
    (table,) = tables(sections(own_code_page.build(document))["write"])
    assert texts(table) == [
        [
            "torch",
            "separate_retained · a pass for each loss",
            "for loss in losses:\n    loss.backward()",
        ]
    ]


def test_flow_has_a_field_for_each_loss_and_network(document: dict[str, Any]) -> None:
    del document["frameworks"][0]["flow"]["task"]["head"]
    (table,) = tables(sections(own_code_page.build(document))["flow"])
    assert texts(table) == [["torch", "code", "✓", "–"], ["torch", "task", "✓", "–"]]
    assert [cell.kind for cell in table.rows[1].cells[2:]] == ["reached", "missing"]


def test_what_was_proven_says_how_far(document: dict[str, Any]) -> None:
    said = words(sections(own_code_page.build(document))["proven"])
    assert "in float64, confirmed by central differences to 1.2e-08" in said
    assert "within 3.0e-07 of it, element by element" in said
    assert "encoder: 1,234 parameters in 4 tensors; frozen: encoder.0.weight" in said
    assert "one tensor under several names: head.weight, encoder.emb.weight" in said
    assert "Dropout drawn from the same seed" in said


def test_row_without_a_time_says_why(document: dict[str, Any]) -> None:
    (table,) = tables(sections(own_code_page.build(document))["rows"])
    row = table.rows[3]
    assert row.cells[3].text == "unsupported"
    assert row.cells[3].note == "the case has no stages"


def test_page_says_how_to_measure_again(document: dict[str, Any]) -> None:
    document["case"]["name"] = "my case.py:make"
    again = words(sections(own_code_page.build(document))["again"])
    assert "cascade-bench try 'my case.py:make'" in again
    assert "a processor, 2 cores, torch 2.13.0 eager cpu float32" in again
    document["case"] = {"name": "make", "file": None}
    assert "compare(make)" in words(sections(own_code_page.build(document))["again"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exit_code": 130}, "Stopped before its end"),
        ({"error": {"message": "no scalar"}}, "could not be run: no scalar"),
    ],
)
def test_unfinished_page_says_so_first(
    document: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    (warning,) = own_code_page.build(document | changes).warnings
    assert said in "".join(warning)


def test_document_with_hardly_anything_still_makes_a_page() -> None:
    report = own_code_page.build({})
    assert list(sections(report)) == ["again"]
    assert not [block for one in sections(report).values() for block in one.blocks
                if isinstance(block, Table)]  # fmt: skip


def test_page_needs_no_other_file_and_escapes_every_text(document: dict[str, Any]) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("altair")
    from results.report.html import html

    hostile = "</script><img src=x onerror=alert(1)>"
    document["frameworks"][0]["rows"][0] |= {"code": hostile, "way": hostile}
    document["case"]["name"] = document["answer"] = hostile
    page = html(own_code_page.build(document), "/* scripts */")
    assert "<img" not in page
    assert "src=" not in page.replace("script-src", "").replace("img-src", "").replace(
        "src=x onerror", ""
    )
    assert "default-src 'none'" in page


def test_two_frameworks_have_a_section_of_ratios_proof_and_weights() -> None:
    pytest.importorskip("altair")
    document = example_of_both()
    found = sections(own_code_page.build(document))
    assert list(found)[:2] == ["ways", "pair"]
    ratios, weights = (block for block in found["pair"].blocks if isinstance(block, Table))
    first = [cell.text for cell in ratios.rows[0].cells]
    assert first[2:] == ["backward", "0.50 ± 0.11", "faster"]
    assert "stop_gradient" in ratios.rows[2].cells[1].text
    assert [cell.text for cell in weights.rows[1].cells] == ["head.k0", "transposed", "head.w0"]
    assert "the gradients to 2.5e-15 at head.w1; allowed is 1e-09" in words(found["pair"])
    assert "torch's was taken, in x." in words(found["pair"])
    assert not own_code_page.build(document).warnings


def test_what_keeps_two_frameworks_from_being_compared_is_a_warning() -> None:
    pytest.importorskip("altair")
    document = example_of_both()
    document["pair"] |= {"problem": "the gradients by x differ", "rows": []}
    document["absent"] = ["jax is not installed here"]
    report = own_code_page.build(document)
    said = ["".join(map(str, warning)) for warning in report.warnings]
    assert said == [
        "torch and JAX do not compute the same: the gradients by x differ",
        "Left out: jax is not installed here",
    ]
