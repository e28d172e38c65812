"""Test the lines on the credibility of the figures, and the glossary."""

from __future__ import annotations

from typing import Any

import pytest

from results.estimates import cross_framework
from results.records.record import Run
from results.report import framework_counts
from results.report.collection import Machine, collect
from results.report.model import Section, Table
from results.report.sections import (
    credibility,
    framework_comparison,
    glossary,
)
from results.report.vocabulary import DEFINITIONS
from results.statistics.estimators import welch_interval
from results.ways import way_title
from tests.helpers.factories.report_runs import whole_run


def lines(run: Run) -> list[str]:
    (machine,) = collect([run])
    return [row.cells[-1].text for row in checks(machine).rows]


def checks(machine: Machine) -> Table:
    table = credibility.section(machine).blocks[0]
    assert isinstance(table, Table)
    return table


def test_the_worst_gradient_is_named_with_its_error() -> None:
    run = whole_run()
    seventh: Any = run.records[7]
    seventh["gradient_error"]["parameters"]["net2.linear1.bias"] = 2.0**-23 * 77
    checked = sum(record["equivalence"] == "pass" for record in run.records)
    gradients = lines(run)[0]
    assert f"in {checked} cells" in gradients
    assert "net2.linear1.bias of stacked_cascade n2, seed, 77.0 epsilons off" in gradients
    assert "(0.00092 % of its norm)" in gradients
    assert "kink" not in gradients
    seventh["gradient_error"]["parameters"]["net2.linear1.bias"] = 2e-3
    assert "(0.2 % of its norm). More than rounding" in lines(run)[0]


def test_a_wrong_cell_does_not_count_as_checked() -> None:
    run = whole_run()
    right = lines(run)[0]
    for record in run.records[:5]:
        record["equivalence"] = "fail"
    count = sum(record["equivalence"] == "pass" for record in run.records)
    assert f"in {count} cells" in lines(run)[0] != right


def test_failed_and_undecided_canaries_are_counted() -> None:
    run = whole_run()
    assert "1 of 1 runs here did, and none failed; 0 of 2 canaries" in lines(run)[1]
    run.settings["canaries"][1]["passed"] = None
    assert "1 of 2 canaries could not be told" in lines(run)[1]
    run.settings["canaries"][0]["passed"] = False
    assert "1 failed: see the warning at the top" in lines(run)[1]
    (machine,) = collect([run])
    assert credibility.section(machine).title == "No: the clock misread work of known length"
    assert ("bad", 1) in checks(machine).rows[1].cells[1].bar
    del run.settings["canaries"]
    assert "0 of 1 runs here did" in lines(run)[1]


def test_the_ratio_of_the_canary_that_works_twice_is_shown_over_all_sessions() -> None:
    runs = [whole_run(), whole_run("20261122T010203-ab12cd")]
    for run, jax in zip(runs, (1.82, 1.91), strict=True):
        for one, read in zip(run.settings["canaries"], (2.0, jax), strict=True):
            one["ratio"] = {"estimate": read, "low": 1.8, "high": 2.1}
    (machine,) = collect(runs)
    text = checks(machine).rows[1].cells[-1].text
    assert "2.00 to 2.00 times as long in torch, 1.82 to 1.91 times as long in jax;" in text
    assert "1.82 times as long in jax; what" in lines(runs[0])[1]


def test_the_noise_is_half_the_interval_of_the_ratios() -> None:
    run = whole_run()
    rated: list[Any] = [record for record in run.records if record["ratio"]]
    for record in rated:
        record["ratio"] |= {"estimate": 1.0, "low": 1 / 1.05, "high": 1.05}
    assert f"half of the {len(rated)} ratios" in lines(run)[2]
    assert "known to ±5.0 % or better, nine of ten to ±5.0 %" in lines(run)[2]
    for record in rated:
        record["ratio"] |= {"low": None, "high": None}
    assert "no ratio has an interval" in lines(run)[2]


def test_times_with_a_trend_are_counted() -> None:
    run = whole_run()
    assert f"all {len(run.records)} times had settled" in lines(run)[3]
    run.records[0]["steady"] = False
    assert f"1 of {len(run.records)} times still had a trend" in lines(run)[3]
    assert "not known" not in lines(run)[3]
    for record in run.records[1:3]:
        record["steady"] = None
    known = len(run.records) - 2
    assert f"1 of {known} times still had a trend" in lines(run)[3]
    assert "Of 2 more it is not known" in lines(run)[3]


@pytest.mark.parametrize("load", [None, [], [0.5, 0.4, 0.3]])
def test_a_load_that_is_not_known_is_no_error(load: object) -> None:
    run = whole_run()
    run.machine["load"] = load
    (machine,) = collect([run])
    assert ("load 0.5" in checks(machine).rows[4].cells[1].text) == (load == [0.5, 0.4, 0.3])


def test_the_spread_between_sessions_widens_the_interval_between_frameworks() -> None:
    torch, jax = [[1.0], [1.02]] * 3, [[1.1], [1.12]] * 3
    intervals: list[Any] = [welch_interval(torch, jax, between=sd) for sd in (0.0, 0.1)]
    within, whole = intervals
    assert whole["estimate"] == within["estimate"]
    # 0.1 is far above what these launches spread, so it makes the interval alone: ±1.96 × 0.1
    assert whole["high"] / whole["estimate"] == pytest.approx(1.22, rel=0.01)
    assert within["low"] > 1 > whole["low"]


def test_no_winner_is_named_by_less_than_the_spread_between_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def winners() -> set[str]:
        (machine,) = collect([whole_run()])  # JAX takes 0.8 of torch's time
        return {framework_counts.winner(pair) for pair in machine.pairs}

    assert winners() == {"jax"}
    monkeypatch.setattr(cross_framework, "SESSION_SPREAD", 0.3)
    assert winners() == {""}


def test_who_is_faster_on_how_many_networks_is_the_title() -> None:
    (machine,) = collect([whole_run(scenarios=("stacked_cascade", "gan"), variants=("n2",))])
    section = framework_comparison.section(machine)
    assert section is not None
    assert section.title == "JAX is faster on 2 of 2 networks, torch on 0 (eager torch, jit JAX)"


def test_the_glossary_explains_the_names_that_were_measured() -> None:
    run = whole_run()
    scenarios = {
        "stacked_cascade": {"summary": "deep supervision", "sizes": {"medium": {"w": 512}}}
    }
    ways, words, titles, networks = tables(glossary.section(list(run.records), scenarios))
    named = [row.cells[0].text for row in words.rows]
    assert named == ["backward", "step", "eager", "jit", "slower", "faster", "equal"]
    assert len(titles.rows) == len(DEFINITIONS)
    used = {(r["framework"], way_title(r["strategy"])) for r in run.records}
    assert {(row.cells[1].text, row.cells[0].text) for row in ways.rows} == used
    assert [[cell.text for cell in row.cells] for row in networks.rows] == [
        ["stacked_cascade", "deep supervision", "seed: not told; medium: w 512"]
    ]


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]
