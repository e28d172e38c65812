"""The page says what the records say: units, intervals, failures, and names made harmless."""

from __future__ import annotations

from typing import Any

import pytest

from results.formatting import (
    bytes_text,
    code,
    escape,
    flops_text,
    number_text,
    ratio_text,
    seconds_text,
    share_text,
    time_text,
)
from results.records import FIGURES, Record, Run, new_record
from results.report import markdown

DASH = "\N{EN DASH}"
FIELDS = {
    "kind": "backward", "scenario": "stacked_cascade", "variant": "n4", "size": "medium",
    "framework": "torch", "mode": "eager", "strategy": "summed", "phase": "backward",
    "device": "cpu", "dtype": "float32",
}  # fmt: skip


def figure(estimate: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {
        "estimate": estimate, "low": low, "high": high, "confidence": 0.95, "launches": 6,
    }  # fmt: skip


def cell(strategy: str, **known: Any) -> Record:
    known = {"outcome": "ok", "missing": dict.fromkeys(FIGURES, "not measured")} | known
    changed = {name: known.pop(name) for name in list(known) if name in FIELDS}
    return new_record(
        FIELDS | {"strategy": strategy} | changed,
        family="cascade", baseline="summed", rerun=f"pytest -k {strategy}", **known,
    )  # fmt: skip


def run(*records: Record, **known: Any) -> Run:
    machine = {"id": "m", "cpu": "Some CPU", "cores": 2, "torch": "2.13.0", "jax": "0.10.2"}
    standard: dict[str, Any] = {
        "started": "2026-11-21T01:02:03+00:00", "finished": "2026-11-21T01:05:00+00:00",
        "machine": machine, "settings": {"launches": 6}, "records": list(records),
    }  # fmt: skip
    return Run("20261121T010203-ab12cd", **(standard | known))


BASE = cell("summed", seconds=figure(1.234e-3, 1.2e-3, 1.3e-3), peak_share=0.371)
OTHER = cell(
    "separate_retained",
    seconds=figure(1.8e-3, 1.7e-3, 1.9e-3),
    ratio=figure(1.459, 1.441, 1.4849),
    verdict="slower",
    predicted_ratio=1.45,
    gradient_error={"relative": 2.1e-7, "tensor": "net1.linear1.weight"},
)


def table_rows(page: str) -> list[list[str]]:
    """The cells of every row of every table, titles and rulers left out."""
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    split = [[part.strip() for part in row.strip("|").split(" | ")] for row in rows]
    return [row for row in split if row[0] not in ("variant", "---")]


# Figures as text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.234e-3, "1.23 ms"), (12.34e-6, "12.3 µs"), (123.4e-9, "123 ns"), (5.0, "5.00 s"),
        (999.6e-6, "1.00 ms"), (999.4e-6, "999 µs"), (1234.0, "1230 s"), (2e-10, "0.200 ns"),
        (0.0, "0 ns"), (None, DASH),
    ],
)  # fmt: skip
def test_a_time_has_a_unit_and_three_digits(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_time_and_its_interval_have_one_unit() -> None:
    assert time_text(figure(1.234e-3, 0.987e-3, 1.3e-3)) == "1.23 ms [0.987, 1.30]"
    assert time_text(figure(12.3e-6, None, None)) == "12.3 µs"
    assert time_text(None) == DASH


def test_a_ratio_shows_its_interval_and_without_one_only_itself() -> None:
    assert ratio_text(figure(1.459, 1.441, 1.4849)) == "1.46 [1.44, 1.48]"
    assert ratio_text(figure(0.98765, None, None)) == "0.988"
    assert ratio_text(None) == DASH


def test_numbers_and_shares_are_rounded_and_null_is_a_dash() -> None:
    assert (number_text(1.45), number_text(0.0), number_text(None)) == ("1.45", "0", DASH)
    assert (share_text(0.371), share_text(0.0123), share_text(None)) == ("37 %", "1.2 %", DASH)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a|b", r"a\|b"), ("<script>", "&lt;script&gt;"), ("a&lt;", "a&amp;lt;"),
        ("[x](http://y)", r"\[x\](http://y)"), ("`c`", r"\`c\`"), ("*b*", r"\*b\*"),
        ("two\nlines\t\x1b[31m", r"two lines  \[31m"), ("stacked_cascade", "stacked_cascade"),
        ("_slanted_", r"\_slanted\_"), (r"a\|b", r"a\\\|b"), ("\ud800", "?"),
    ],
)  # fmt: skip
def test_a_name_from_a_file_is_shown_and_does_nothing(name: str, text: str) -> None:
    assert escape(name) == text


def test_a_code_span_holds_any_backticks() -> None:
    assert code("pytest -k x") == "`pytest -k x`"
    assert code("a``b`") == "``` a``b` ```"
    assert code("one\n# two") == "`one # two`"


# The page


def test_a_row_shows_every_figure_of_its_cell() -> None:
    assert table_rows(markdown(run(BASE, OTHER))) == [
        ["n4", "backward", "torch eager", "summed", "1.23 ms", "1", DASH, DASH, DASH, "37 %"],
        [
            "n4", "backward", "torch eager", "separate_retained", "1.80 ms", "1.46 [1.44, 1.48]",
            "slower", "1.45", "2.1e-7 (net1.linear1.weight)", DASH,
        ],
    ]  # fmt: skip


def test_a_table_of_recipes_shows_what_each_saves() -> None:
    figures: dict[str, Any] = {
        "flops": 1.5e9,
        "residual_bytes": 3 * 2**20,
        "optimizer_state_bytes": None,
    }
    page = markdown(run(cell("detach", kind="freeze", phase="step", **figures)))
    titles, _, row = (line for line in page.splitlines() if line.startswith("|"))
    assert "| recipe |" in titles
    assert titles.endswith("| FLOPs | saved for backward | optimizer state |")
    assert row.endswith(f"| 1.50 G | 3.00 MiB | {DASH} |")


def test_peak_memory_has_a_column_where_any_cell_of_the_table_has_it() -> None:
    large = cell("summed", size="large", peak_bytes=3 * 2**20)
    bare = cell("separate_retained", size="large")
    lines = markdown(run(BASE, large, bare)).splitlines()
    titles = [line for line in lines if line.startswith("| variant")]
    rules = [line for line in lines if line.startswith("| ---")]
    assert [title.endswith("| peak share | peak memory |") for title in titles] == [False, True]
    assert [rule.count("|") for rule in rules] == [title.count("|") for title in titles]
    assert [row[10:] for row in table_rows("\n".join(lines))] == [[], ["3.00 MiB"], [DASH]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (flops_text(None), DASH),
        (flops_text(0), "0"),
        (flops_text(999), "999"),
        (flops_text(999_600), "1.00 M"),
        (flops_text(1e19), "10000 P"),
        (bytes_text(None), DASH),
        (bytes_text(1000), "1000 B"),
        (bytes_text(1536), "1.50 KiB"),
        (bytes_text(1023), "1023 B"),
        (bytes_text(2**20), "1.00 MiB"),
        (bytes_text(5e12), "4.55 TiB"),
    ],
)
def test_counts_and_sizes_have_a_unit_that_reads_well(text: str, shown: str) -> None:
    assert text == shown


def test_the_head_names_machine_versions_and_launches() -> None:
    head = markdown(run(BASE)).splitlines()
    assert head[0] == "# Some CPU, 2 cores, torch 2.13.0, jax 0.10.2"
    assert "6 launches" in head[2]
    assert "20261121T010203-ab12cd" in head[2]


def test_the_head_says_when_a_run_was_interrupted_or_goes_on() -> None:
    assert "Interrupted" in markdown(run(BASE, interrupted=True)).splitlines()[2]
    assert "Not finished" in markdown(run(BASE, finished=None)).splitlines()[2]
    assert "**" not in markdown(run(BASE)).splitlines()[2]


def test_the_title_of_the_ratios_names_baseline_and_confidence() -> None:
    assert "| vs summed [95 % interval] |" in markdown(run(BASE, OTHER))


def test_scenarios_and_sizes_stand_in_the_order_first_seen() -> None:
    page = markdown(run(
        cell("summed", scenario="zebra"), cell("summed", scenario="ant"),
        cell("summed", scenario="zebra", size="large"), cell("other", scenario="zebra"),
    ))  # fmt: skip
    assert [line for line in page.splitlines() if line.startswith("##")] == [
        "## zebra", "### medium (backward, cpu, float32)", "### large (backward, cpu, float32)",
        "## ant", "### medium (backward, cpu, float32)",
    ]  # fmt: skip


@pytest.mark.parametrize("field", ["kind", "size", "device", "dtype"])
def test_cells_that_differ_in_what_no_column_shows_stand_in_tables_of_their_own(
    field: str,
) -> None:
    page = markdown(run(cell("summed"), cell("summed", **{field: "other"})))
    assert page.count("### medium (") + page.count("### other (") == 2


def test_a_cell_that_is_not_steady_says_so() -> None:
    unsteady = cell("summed", seconds=figure(1e-3, None, None), steady=False)
    assert table_rows(markdown(run(unsteady)))[0][4] == "1.00 ms (not steady)"


def test_a_failed_cell_shows_why_in_its_row_and_how_to_run_it_again() -> None:
    wrong = cell("detached", outcome="wrong_gradients", equivalence="net1.bias off by 3e-2")
    slow = cell("reforward", outcome="timeout", missing={"seconds": "120 s passed"})
    page = markdown(run(BASE, wrong, slow))
    times = [row[4] for row in table_rows(page)]
    assert times[1:] == ["wrong_gradients: net1.bias off by 3e-2", "timeout: 120 s passed"]
    _, heading, section = page.partition("## What did not go well")
    assert heading
    assert "detached-backward-cpu-float32: wrong_gradients: net1.bias" in section
    assert "Again: `pytest -k reforward`" in section
    assert "summed" not in section


def test_what_does_not_apply_is_listed_once_a_reason() -> None:
    given = {"outcome": "unsupported", "missing": {"seconds": "no GPU"}}
    page = markdown(run(BASE, cell("a", **given), cell("b", **given), cell("a", size="x", **given)))
    assert page.endswith("## Not applicable\n\n- no GPU: 3 cells (torch a, torch b)\n")
    assert "What did not go well" not in page


def test_when_all_went_well_no_section_says_otherwise() -> None:
    page = markdown(run(BASE, OTHER))
    assert "What did not" not in page
    assert "Not applicable" not in page


def test_hostile_names_change_neither_the_columns_nor_the_markup() -> None:
    evil = "x|y<img src=q>\n# [l](z) `"
    hostile = cell(
        evil, variant=evil, scenario=evil, size=evil, framework=evil, phase=evil,
        outcome="crashed", missing={"seconds": evil},
        gradient_error={"relative": 1.0, "tensor": evil},
    )  # fmt: skip
    page = markdown(run(hostile, machine={"id": "m", "cpu": evil}))
    assert "<img" not in page.replace("`` pytest -k x|y<img src=q> # [l](z) ` ``", "")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    bars = [line.replace(r"\|", "").count("|") for line in rows]
    assert bars == [11, 11, 11]
    assert sum(line.startswith("#") for line in page.splitlines()) == 4


def test_a_run_without_records_is_a_page_all_the_same() -> None:
    assert markdown(run()).startswith("# Some CPU")
