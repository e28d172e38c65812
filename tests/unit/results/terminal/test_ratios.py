"""Test the tables of ratios, verdicts and predictions, which fit 100 columns."""

from __future__ import annotations

from typing import Any

from results.records.record import Record
from results.terminal import ratios
from tests.helpers.factories.records import CELL, record


def figure(estimate: float, high: float | None) -> dict[str, Any]:
    return {
        "estimate": estimate, "low": None if high is None else estimate**2 / high, "high": high,
        "confidence": 0.95, "launches": 6,
    }  # fmt: skip


def cell(strategy: str, *, high: Any = 1.5, **known: Any) -> Record:
    changes = {name: known.pop(name) for name in list(known) if name in CELL}
    return record(CELL | {"strategy": strategy} | changes, ratio=figure(1.46, high), **known)


def test_line_holds_ratio_half_width_verdict_and_prediction() -> None:
    text = ratios.ratios([cell("separate_retained", verdict="slower", predicted_ratio=1.4545)])
    lines = text.splitlines()
    assert lines[0] == "torch eager · large · backward, phase backward · ratio to summed"
    assert lines[2].split() == ["stacked_cascade", "n4", "1.46", "±0.04", "▲", "1.45"]
    assert "▲ slower  ▼ faster  = equal  ? inconclusive" in text


def test_baseline_has_no_column_and_a_run_of_baselines_no_table() -> None:
    assert ratios.ratios([record(CELL | {"strategy": "summed"})]) == ""


def test_narrow_interval_shows_a_decimal_more() -> None:
    text = ratios.ratios([cell("boundary_split", high=1.463)])
    assert "1.460 ±0.003" in text


def test_fourth_strategy_begins_another_table_and_nothing_is_wider_than_100() -> None:
    names = ("separate_retained", "boundary_split", "separate_grad", "functional")
    long = {"scenario": "attention_on_frozen_backbone", "variant": "gamma05"}
    text = ratios.ratios([cell(n, verdict="inconclusive", **long) for n in names])
    assert text.count("ratio to summed") == 1
    assert max(map(len, text.splitlines())) <= 100
    assert sum("attention_on_frozen_backbone gamma05" in line for line in text.splitlines()) == 2


def test_failed_unsupported_and_absent_cells_look_different() -> None:
    failed = cell("separate_retained", outcome="wrong_gradients")
    no = cell("boundary_split", outcome="unsupported")
    lost = cell("separate_grad") | {"ratio": None}
    line = ratios.ratios([failed, no, lost]).splitlines()[2]
    assert line.split() == ["stacked_cascade", "n4", "wrong_gradients", "–", "no", "ratio"]


def test_few_launches_show_the_estimate_and_say_why_there_is_no_verdict() -> None:
    text = ratios.ratios([cell("separate_retained", high=None)])
    assert "±" not in text.splitlines()[2]
    assert "intervals and verdicts need 6 launches" in text


def test_an_unusual_phase_is_named_and_markup_is_text() -> None:
    usual = [cell(n, scenario="[red]x[/red]") for n in ("separate_retained", "boundary_split")]
    text = ratios.ratios([*usual, cell("reforward", phase="gradient", scenario="[red]x[/red]")])
    assert "reforward (gradient)" in text
    assert "[red]x[/red] n4" in text


def test_verdicts_are_counted_with_their_margins_and_alpha() -> None:
    records = [cell("a", verdict="slower"), cell("b", verdict="slower"), cell("c", verdict="equal")]
    text = ratios.verdict_counts(records, {"torch": 0.01, "jax": 0.02}, 0.01)
    line = "verdicts: 2 slower, 1 equal (margin: torch 1 %, jax 2 %; α = 0.01 over a group)"
    assert text == line
    assert ratios.verdict_counts([cell("a")], {}, 0.01) == ""


def test_reached_precision_and_other_stops_are_counted() -> None:
    reasons = {
        "a": "precision",
        "b": "time",
        "c": "launches",
        "d": "nothing to compare",
        "e": "time",
    }
    assert ratios.stopping_summary(reasons, 0.01) == (
        "precision 1 %: reached in 1 of 4 groups; 1 stopped at the last launch allowed; "
        "2 stopped at the time limit of a group"
    )
