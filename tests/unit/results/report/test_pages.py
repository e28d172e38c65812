"""Test the sections of the report: their figures, the reasons of gaps, and hostile names."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from results.records.record import Run
from results.report import framework_counts, html, markdown
from results.report.build import build
from results.report.collection import collect
from results.report.gradient_errors import gradient_errors
from results.report.model import Chart, Points, Table
from results.report.sections import (
    backward_passes,
    every_cell,
)
from tests.helpers.factories.report_runs import hostile_run, whole_run
from tests.helpers.hostile_names import HOSTILE
from tests.helpers.report_pages import SECTIONS, section_of, tables, texts


def test_the_sections_stand_in_the_order_in_which_a_reader_asks() -> None:
    (part,) = build([whole_run()]).parts
    assert [section.name for section in part.sections] == SECTIONS


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_content(name: str) -> None:
    section = section_of(whole_run(), name)
    assert section.blocks
    for block in section.blocks:
        assert not isinstance(block, Points) or block.items
    for table in tables(section):
        assert table.rows, table.title
        assert all(len(row.cells) <= len(table.columns) for row in table.rows), table.title


def test_the_ratio_of_the_frameworks_and_the_winner_are_shown() -> None:
    base = baseline_table(whole_run())
    for row in texts(base):
        assert 0.78 < float(row[6].split()[0]) < 0.82
        assert row[7] == "jax"


def baseline_table(run: Run) -> Table:
    """Return the table of torch against JAX on the baselines."""
    found = tables(section_of(run, "frameworks"))
    return next(table for table in found if table.title.endswith("each baseline"))


def test_a_bar_counts_who_is_faster() -> None:
    run = whole_run()
    found = tables(section_of(run, "frameworks"))
    counts = next(table for table in found if table.title.startswith("Every network"))
    (cell,) = [cell for row in counts.rows for cell in row.cells if cell.bar]
    pairs = framework_pairs(run)
    won = sum(framework_counts.winner(pair) == "jax" for pair in pairs)
    assert dict(cell.bar) == {"torch": 0, "inconclusive": len(pairs) - won, "jax": won}


def test_no_winner_is_named_where_the_interval_holds_1() -> None:
    run = whole_run()
    (pair, *_) = framework_pairs(run)
    level = {"estimate": 0.99, "low": 0.9, "high": 1.1}
    assert framework_counts.winner(pair) == "jax"
    assert framework_counts.winner(pair._replace(ratio=level)) == ""
    assert framework_counts.winner(pair._replace(ratio={**level, "low": None, "high": None})) == ""


def framework_pairs(run: Run) -> list[Any]:
    return collect([run])[0].pairs


def test_the_libraries_column_is_the_ratio_of_the_best_times_of_the_products() -> None:
    run = whole_run(sizes=("medium",), variants=("n2",))
    for record in run.records:
        record["peak_share"] = 0.5 if record["framework"] == "torch" else 0.25
    row = texts(baseline_table(run))[0]
    assert row[8:] == ["50 %", "25 %", "0.400"]  # half of each other's share at 0.8 of the time


def test_a_ratio_stands_beside_its_verdict_and_prediction() -> None:
    table = tables(section_of(whole_run(), "passes"))[0]
    assert table.columns == [
        "network", "size", "phase", "separate_retained · a pass for each loss",
        "boundary_split · cut between networks",
    ]  # fmt: skip
    for row in table.rows:
        separate, split = row.cells[3:]
        assert re.fullmatch(r"1\.[45]\d+ ± 0\.0\d+ ▲", separate.text), separate.text
        assert re.fullmatch(
            r"slower; interval 1\.[45]\d \[1\.\d+, 1\.\d+\]; counted 1\.45", separate.note
        )
        assert "=" in split.text


def test_the_crossover_map_has_a_field_a_variant_and_size() -> None:
    run = whole_run(variants=("n2", "n4", "back4"), sizes=("medium", "large"))
    sizes = {"large": {"width": 1024, "batch": 512}}
    _, maps = backward_passes.crossover_map(run.records, sizes)
    assert [table.columns for table in maps] == [["size", "n2", "n4", "back4"]] * 2
    assert [row[0] for row in texts(maps[0])] == ["medium", "large (width 1024, batch 512)"]
    assert backward_passes.crossover_map(whole_run(variants=("n2",)).records, {}) == ([], [])


def test_a_flow_on_which_the_frameworks_disagree_is_marked() -> None:
    run = whole_run()
    (flow,) = run.settings["flows"].values()
    flow["jax"]["loss1"]["net2"] = "value"
    section = section_of(run, "flow")
    (cell,) = [row.cells[4] for row in tables(section)[1].rows if row.cells[1].text == "loss1"]
    assert (cell.text, cell.kind) == ("net2 – / ✓", "failed")
    assert section.title.startswith("The frameworks disagree on who may change whom in 1 of 4")


def test_the_flow_begins_with_a_row_for_each_network() -> None:
    run = whole_run()
    (flow,) = run.settings["flows"].values()
    run.settings["flows"]["stacked_cascade/n4"] = {
        name: {f"loss{i}": {"net1": "value", "net2": "absent"} for i in (1, 2, 3, 4)}
        for name in flow
    }
    (picture, _) = tables(section_of(run, "flow"))
    assert texts(picture) == [
        ["stacked_cascade n2", "2", "3 changed, 1 not", "loss1: net1; loss2: net1, net2"],
        ["stacked_cascade n4", "4", "4 changed, 4 not", "loss1: net1; loss2: net1; …; loss4: net1"],
    ]
    flow["jax"]["loss1"]["net2"] = "value"
    (row, _) = tables(section_of(run, "flow"))[0].rows
    assert dict(row.cells[2].bar) == {"good": 3, "bad": 1}
    assert row.cells[3].kind == "failed"


def test_gradient_errors_are_in_epsilons_worst_first() -> None:
    run = whole_run()
    run.records[3]["gradient_error"] = {
        "relative": 1e-3, "tensor": "net2.linear1.bias", "parameters": {"net2.linear1.bias": 1e-3},
    }  # fmt: skip
    errors = gradient_errors(run.records)
    assert errors[0].parameter == "net2.linear1.bias"
    assert errors[0].epsilons == pytest.approx(1e-3 * 2**23)
    assert errors[1].epsilons == pytest.approx(3e-7 * 2**23)


def test_an_old_record_without_parameters_shows_its_worst_tensor() -> None:
    run = whole_run()
    records: list[Any] = list(run.records)
    for record in records:
        del record["gradient_error"]["parameters"]
    assert {one.parameter for one in gradient_errors(run.records)} == {"net1.linear1.weight"}


def test_growth_of_time_is_compared_with_growth_of_flops() -> None:
    run = whole_run()
    for record in run.records:
        record["flops"] = 1e6 if record["size"] == "seed" else 4e9
    (table, *_) = tables(section_of(run, "growth"))
    row = texts(table)[0]
    assert row[3:5] == ["seed", "medium"]
    assert float(row[7]) == pytest.approx(160, rel=0.03)  # 8 ms over 50 µs
    assert row[8] == "4000"
    assert row[9] == "96 %"  # 8 ms / 4000 is 2 of the 50 µs


def test_a_failed_cell_has_its_reason_and_its_command() -> None:
    run = whole_run()
    run.records[0] |= {"outcome": "timeout", "missing": {"seconds": "no answer within 60 s"}}
    failures = [t for t in tables(section_of(run, "absent")) if t.title == "What failed"]
    rows = [row[1:] for table in failures for row in texts(table)]
    assert rows == [["timeout", "no answer within 60 s", run.records[0]["rerun"]]]


def test_a_missing_figure_says_why() -> None:
    run = whole_run()
    frozen: list[Any] = [r for r in run.records if r["kind"] == "freeze"]
    for one in frozen:
        key = "optimizer_state_bytes"
        one[key], one["missing"][key] = None, "the recipe has no optimizer"
    table = tables(section_of(run, "freezing"))[0]
    cell = table.rows[1].cells[table.columns.index("optimizer state")]
    assert (cell.text, cell.note, cell.kind) == ("–", "the recipe has no optimizer", "missing")


def test_two_machines_are_warned_of_and_no_ratio_crosses_them() -> None:
    other = whole_run("20261122T010203-ab12cd", machine="box-2", drift=3.0)
    report = build([whole_run(), other])
    assert len(report.parts) == 2
    assert "These runs are of 2 machines" in "".join(report.warnings[0])
    names = [section.name for part in report.parts for section in part.sections]
    assert len(names) == len(set(names))
    assert "runs" not in names
    pictures = [chart.name for chart in html.charts_of(report)]
    assert len(pictures) == len(set(pictures)) > 0


def test_runs_of_one_machine_stand_side_by_side_and_without_a_verdict() -> None:
    runs = [whole_run(), whole_run("20261122T010203-ab12cd", drift=1.1, seed=1)]
    (part,) = build(runs).parts
    (section,) = [one for one in part.sections if one.name == "runs"]
    (table,) = tables(section)
    assert table.columns == ["cell", runs[0].id, runs[1].id]
    assert all(cell.kind == "" for row in table.rows for cell in row.cells)
    assert float(re.findall(r"\(([\d.]+)\)", texts(table)[0][2])[0]) == pytest.approx(1.1, rel=0.01)


def test_a_failed_canary_stands_at_the_top() -> None:
    run = whole_run()
    run.settings["canaries"][0] |= {"passed": False, "said": "1.3 instead of 2"}
    assert "not to be believed" in str(build([run]).warnings)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_markdown(name: str) -> None:
    text = markdown.markdown(build([hostile_run(name)]))
    assert "<script" not in text
    assert "<img" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):  # no name has opened a column
        assert len({re.sub(r"\\.", "", line).count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_in_html(name: str) -> None:
    pytest.importorskip("vl_convert")
    ours = html.html(build([hostile_run(name)]), "/* the library */")
    assert "<script>alert" not in ours
    assert "<img" not in ours
    assert ours.count("<script") == ours.count("</script>") == 3
    specs = re.search(r'id="specs">(.*?)</script>', ours, re.S)
    assert specs
    assert (
        name in json.dumps(json.loads(specs[1]), ensure_ascii=False).replace('\\"', '"')
        or len(name) > 0
    )


def test_a_chart_is_the_same_on_the_page_and_as_a_file() -> None:
    pytest.importorskip("vl_convert")
    charts = list(html.charts_of(build([whole_run(variants=("n2", "n4", "n8"))])))
    assert {chart.name for chart in charts} == {
        "frameworks", "frameworks-medium", "frameworks-seed", "passes", "freezing-torch",
        "freezing-torch-seed", "freezing-jax", "freezing-jax-seed", "gradients", "losses", "sizes",
        "crossover-torch-eager", "crossover-jax-jit", "verdicts", "noise",
    }  # fmt: skip
    for chart in charts:
        assert isinstance(chart, Chart)
        assert chart.spec["width"] == "container"
        assert "http" not in json.dumps(chart.spec).replace("https://vega.github.io/schema", "")


def test_compiling_pays_only_within_one_run() -> None:
    jit, eager = (
        whole_run(modes={"jax": "jit"}),
        whole_run("20261122T010203-ab12cd", modes={"jax": "eager"}),
    )
    (part,) = build([jit, eager]).parts
    (section,) = [one for one in part.sections if one.name == "growth"]
    assert not [t for t in tables(section) if t.title == "When compiling pays"]


def test_a_row_of_every_cell_shows_its_time_ratio_verdict_and_count() -> None:
    (table,) = tables(section_of(whole_run(), "cells"))
    row = next(row for row in texts(table) if row[5].startswith("separate_retained "))
    assert row[:6] == [
        "stacked_cascade n2", "seed", "backward", "backward", "torch eager",
        "separate_retained · a pass for each loss",
    ]  # fmt: skip
    assert re.fullmatch(r"7\d\.\d µs", row[6])
    assert re.fullmatch(r"1\.\d+ ± 0\.\d+", row[7])
    assert row[8:] == ["slower", "1.45"]


def test_a_cell_that_is_not_steady_says_so() -> None:
    run = whole_run()
    run.records[0]["steady"] = False
    (table,) = tables(section_of(run, "cells"))
    assert [row[6].endswith("(not steady)") for row in texts(table)].count(True) == 1
    assert texts(table)[0][6].endswith("µs (not steady)")


def test_an_interrupted_run_and_one_that_goes_on_say_so_at_the_top() -> None:
    stopped = dataclasses.replace(whole_run(), interrupted=True)
    assert "was interrupted" in str(build([stopped]).warnings)
    assert "is not finished" in str(
        build([dataclasses.replace(whole_run(), finished=None)]).warnings
    )
    assert build([whole_run()]).warnings == []


def test_unsupported_cells_are_listed_by_reason_and_in_no_table_of_times() -> None:
    run = whole_run()
    for record in run.records[:2]:
        record |= {"outcome": "unsupported", "missing": {"seconds": "no GPU"}}
    (table,) = [t for t in tables(section_of(run, "absent")) if t.title == "What cannot exist"]
    ways = "torch summed · one pass of the sum, torch separate_retained · a pass for each loss"
    assert texts(table) == [["2", ways, "no GPU"]]
    assert len(tables(section_of(run, "cells"))[0].rows) == len(run.records) - 2


def test_a_run_without_records_still_makes_a_page() -> None:
    empty = dataclasses.replace(whole_run(), records=[], samples={})
    assert markdown.markdown(build([empty])).startswith("# Cascades")


def test_the_verdicts_of_two_runs_are_compared() -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd", drift=1.3, seed=1)
    changed = next(r for r in new.records if r["verdict"] == "slower")
    changed["verdict"] = "faster"
    (machine,) = collect([old, new])
    paragraphs = ["".join(one) for one in every_cell.agreement(machine)]
    decided = sum(r["verdict"] is not None for r in new.records)
    assert paragraphs[0] == f"Of {decided} comparisons decided in both, 1 have another verdict."
    twice = "that were measured twice moved by more than 17 %."
    assert re.fullmatch(rf"0 of the \d+ ratios to the baseline {re.escape(twice)}", paragraphs[1])
    times = len(new.records)
    assert paragraphs[2] == f"{times} of the {times} times {twice}"
    section = every_cell.side_by_side(machine)
    assert section
    (table,) = [one for one in tables(section) if one.title == "Another verdict than before"]
    cell = "stacked_cascade n2 seed, torch eager separate_retained backward"
    assert texts(table) == [[cell, "slower", "faster"]]


def test_the_map_explains_no_variant_that_was_not_measured() -> None:
    (chart, *_), _ = backward_passes.crossover_map(whole_run().records, {})
    assert "front4" not in chart.about
    (chart, *_), _ = backward_passes.crossover_map(whole_run(variants=("n2", "back4")).records, {})
    assert "front4" in chart.about
