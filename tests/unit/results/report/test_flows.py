"""The section on gradient flow: its words, its ranges, and what it says where nothing is known."""

from __future__ import annotations

from results.report.sections import flows
from tests.helpers.factories.report_runs import whole_run
from tests.helpers.report_pages import section_of, tables, texts


def test_the_flow_shows_absent_and_exact_zero_apart() -> None:
    _, table = tables(section_of(whole_run(), "flow"))
    assert table.columns == ["network", "loss", "reach", "changes", "leaves as they are"]
    name = "stacked_cascade n2"
    assert texts(table) == [
        [name, "loss1", "1 changed, 1 not", "net1", "net2 – / 0"],
        [name, "loss2", "2 changed, 0 not", "net1, net2", ""],
    ]
    assert section_of(whole_run(), "flow").title == (
        "Of 4 pairs of a loss and a network, the loss changes the network in 3; the frameworks "
        "agree"
    )


def test_names_that_count_up_are_shown_as_a_range() -> None:
    assert flows.in_runs(["net1", "net2", "net3", "net9", "head"]) == "net1 to net3, net9, head"
    assert flows.in_runs(["a1", "b2", "b3"]) == "a1, b2, b3"


def test_where_no_flow_was_proven_the_page_says_so() -> None:
    run = whole_run()
    del run.settings["flows"]
    assert tables(section_of(run, "flow")) == []
    assert "None of these runs" in str(section_of(run, "flow").blocks)
