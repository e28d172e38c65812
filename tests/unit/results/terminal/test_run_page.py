"""Test ``cascade-bench show``: complete and damaged runs, and names that must have no effect."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from results.formatting import time_text
from results.records import canary_status
from results.records.record import (
    CELL_FIELDS,
    FIGURES,
    Record,
    Run,
    explain,
    new_record,
    sample_key,
)
from results.statistics.verdict import VERDICTS
from results.terminal import run_page, run_summary
from tests.helpers.factories.records import CELL, record, run
from tests.helpers.factories.whole_runs import whole_run
from tests.helpers.hostile_names import NAMES
from tests.helpers.terminal_text import unprintable, widest

REPORT = "cascade-bench report x.json"


@pytest.fixture(scope="module")
def whole() -> Run:
    return whole_run()


def shown(measured: Run, **options: Any) -> str:
    return run_page.text(measured, REPORT, **options)


def with_settings(measured: Run, **changes: Any) -> Run:
    return replace(measured, settings=measured.settings | changes)


def failing(outcome: str, reason: str, **changes: str) -> Record:
    cell = CELL | changes
    known = {"outcome": outcome, "rerun": f"pytest benchmarks --strategy={cell['strategy']} "}
    failed = new_record(cell, family="cascade", baseline="summed", **known)
    return explain(failed, reason)


def test_head_names_run_machine_versions_and_how_it_was_measured(whole: Run) -> None:
    assert shown(whole).split("\n")[:6] == [
        "run 20261121T010203-ab12cd on machine 0123456789ab",
        "AMD EPYC 7763 64-Core Processor, 2 cores, Linux x86_64",
        "torch 2.13.0, jax 0.10.2, jaxlib 0.10.2, flax 0.12.8, optax 0.2.8, numpy 2.4.6, "
        "Python 3.11.9",
        "2026-11-21 01:02 UTC, took 8 min 12 s, 6 launches, commit e7177d6f00ba with changes",
        "cells: 308 ok",
        "canaries: torch ok, jax ok",
    ]


def test_start_is_shown_in_utc(whole: Run) -> None:
    assert "2026-11-21 01:02 UTC" in shown(replace(whole, started="2026-11-21T03:02:03+02:00"))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal(whole: Run, width: int) -> None:
    text = shown(whole, width=width, times=True)
    assert 0.8 * width < widest(text) <= width
    assert "…" not in text  # fewer columns side by side, and each whole


def test_three_hundred_cells_take_under_250_lines(whole: Run) -> None:
    assert len(shown(whole).split("\n")) < 250


def test_ways_are_named_with_their_words_where_they_fit_a_few_lines(whole: Run) -> None:
    two = [r for r in whole.records if r["strategy"] in ("summed", "separate_retained")]
    named = "separate_retained · a pass for each loss"
    assert named in shown(replace(whole, records=two))
    assert named not in shown(whole)  # it has more ways than that


def test_ratios_and_verdicts_are_those_of_the_session(whole: Run) -> None:
    text = shown(whole)
    assert "torch eager · medium · backward, phase backward · ratio to summed" in text
    assert "jax jit · seed · freeze, phase step · ratio to unfrozen" in text
    words = [word for word in VERDICTS if f" {word}" in text.partition("verdicts:")[2]]
    assert "slower" in words
    assert "(margin: torch 1 %, jax 1 %; α = 0.01 over a group)" in " ".join(text.split())


def test_frameworks_are_compared_and_their_modes_named(whole: Run) -> None:
    section = shown(whole).partition("torch against jax: jax's time over torch's [95 % ")[2]
    title = "torch eager, jax jit: unequal modes · medium · backward, phase backward"
    table = section.partition(f"{title}\n")[2].split("\n\n")[0].split("\n")
    assert table[0].split() == ["summed", "separate_retained", "boundary_split"]
    row = next(line for line in table if line.startswith("stacked_cascade n4"))
    ratios = row.replace(" [", "[").replace(", ", ",").split()[2:]
    assert [float(ratio.partition("[")[0]) for ratio in ratios] == pytest.approx(
        [1.2] * 3, abs=0.03
    )
    assert all(ratio.endswith("]") for ratio in ratios)


def test_pair_of_equal_modes_is_called_equal(whole: Run) -> None:
    eager = {sample_key(r): sample_key(r | {"mode": "eager"}) for r in whole.records}
    records = [r | {"mode": "eager"} for r in whole.records]
    samples = {eager[key]: rows for key, rows in whole.samples.items()}
    text = shown(replace(whole, records=records, samples=samples))
    assert "torch eager, jax eager: equal modes" in text
    assert "unequal" not in text


def test_without_samples_it_says_why_the_frameworks_are_not_compared(whole: Run) -> None:
    text = shown(replace(whole, samples={}))
    assert "torch against jax: nothing to show, the samples are not beside the run" in text


def test_run_of_one_framework_does_not_mention_the_other(whole: Run) -> None:
    torch = [r for r in whole.records if r["framework"] == "torch"]
    assert "against jax" not in shown(replace(whole, records=torch))


def test_recipes_have_a_line_each_over_all_problems(whole: Run) -> None:
    text = shown(whole)
    title = "torch eager · medium · freeze, phase step · shares of unfrozen, 6 problems\n"
    table = text.partition(title)[2].split("\n\n")[0].split("\n")
    assert table[0].split() == ["FLOPs", "saved", "for", "backward", "optimizer", "state"]
    assert table[1].split() == ["requires_grad_false", "0.65", "0.50", "0.50"]
    assert len(table) == 1 + 5
    jax = text.partition(title.replace("torch eager", "jax jit"))[2].split("\n\n")[0]
    assert "stop_gradient" in jax
    assert "  –  " in jax


def test_shares_that_differ_are_a_range_and_one_problem_has_its_own_figures(whole: Run) -> None:
    names = ("unfrozen", "detach")
    cells = [r for r in whole.records if r["framework"] == "torch" and r["strategy"] in names]
    gan, only = ([r for r in cells if r["scenario"] == s and r["size"] == "medium"]
                 for s in ("gan", "only_new_layer"))  # fmt: skip
    less = [r | {"flops": 1.2e9} if r["strategy"] == "detach" else r for r in only]
    assert " 0.65 to 0.80 " in shown(replace(whole, records=gan + less, samples={}))
    text = shown(replace(whole, records=less, samples={})).partition("what freezing saves")[2]
    (line,) = [line for line in text.split("\n") if line.startswith("detach")]
    assert " ".join(line.split()) == "detach 1.20 G 1.00 MiB 3.00 MiB"


def test_recipes_without_their_baseline_have_no_share(whole: Run) -> None:
    cells = [r for r in whole.records if r["kind"] == "freeze" and r["strategy"] == "detach"]
    text = shown(replace(whole, records=cells, samples={})).partition("what freezing saves")[2]
    assert {" ".join(li.split()) for li in text.split("\n") if "detach" in li} == {"detach – – –"}


def test_times_are_shown_on_request(whole: Run) -> None:
    cell = whole.records[0]
    time = time_text(cell["seconds"])
    assert cell["scenario"] == "conv_cascade"
    assert time not in shown(whole)
    assert time in shown(whole, times=True)
    assert "not steady" not in shown(whole, times=True)


def test_unsteady_and_missing_times_are_marked() -> None:
    seconds = {"estimate": 1e-3, "low": None, "high": None, "confidence": 0.95, "launches": 2}
    cells = [
        record(CELL | {"strategy": "summed"}, seconds=seconds, steady=False),
        record(CELL | {"strategy": "b"}, seconds=None),
        failing("crashed", "signal 9", strategy="c"),
    ]
    text = shown(run(records=cells, samples={}), times=True).partition("the time of one call")[2]
    assert "1.00 ms ~" in text
    assert "no time" in text
    assert "crashed" in text
    assert "~ not steady" in text


def test_peak_memory_is_shown_where_it_was_measured(whole: Run) -> None:
    assert "peak memory" not in shown(whole)
    records = [r | {"peak_bytes": 3 * 2**20} for r in whole.records]
    section = shown(replace(whole, records=records)).partition("\npeak memory\n")[2]
    assert section.split("\n\n")[0].count("3.00 MiB") == 7 * 3


def test_end_names_the_commands_for_more(whole: Run) -> None:
    assert shown(whole, go_on="pytest --resume=x").split("\n")[-3:] == [
        "",
        "the whole report: cascade-bench report x.json",
        "the time of each cell: --times; all of it for programs: --json",
    ]


# What went wrong


def test_failed_canary_is_loud(whole: Run) -> None:
    wrong = whole.settings["canaries"][0] | {"passed": False, "said": "twice reads 1.0"}
    text = shown(with_settings(whole, canaries=[wrong]))
    assert "canaries: torch FAILED\nCANARY FAILED: torch: twice: twice reads 1.0\n" in text
    assert " ".join(canary_status.DISTRUST.split()[:6]) in text
    assert "canaries: none were taken" in shown(with_settings(whole, canaries=None))


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ({"interrupted": True}, "INTERRUPTED: what follows is what was measured until then"),
        ({"finished": None}, "NOT FINISHED: it is still measuring, or was killed"),
    ],
)
def test_unfinished_run_is_marked_with_the_command_that_goes_on(
    whole: Run, ending: dict[str, Any], line: str
) -> None:
    left = [failing("interrupted", "stopped before", size="gpu")]
    cut = replace(whole, records=[*whole.records, *left], **ending)
    text = shown(cut, go_on="pytest benchmarks --resume=x")
    assert f"\n{line}\ncells: 308 ok, 1 interrupted\n" in text
    assert "\nto go on: pytest benchmarks --resume=x\n" in text
    assert "what failed" not in text
    assert "NOT FINISHED" not in shown(whole)


def test_failed_cells_stand_with_the_command_that_measures_them_again() -> None:
    cells = [failing("timeout", "120 s passed", strategy=name) for name in ("a", "b")]
    cells += [failing("unsupported", "cannot exist", size="seed")]
    text = shown(run(records=cells, samples={}, finished=""), go_on="pytest --resume=x")
    section = text.partition("what failed\n")[2].split("\n")
    assert section[:3] == [
        "timeout, 2 cells: 120 s passed",
        "  backward stacked_cascade n4 large torch eager backward cpu float32: a, b",
        "    pytest benchmarks --strategy=a,b",
    ]
    assert "all that failed again, in the same run: pytest --resume=x" in text
    assert "cannot exist" not in text


def test_failure_without_a_reason_is_marked_as_such() -> None:
    assert "\ncrashed, 1 cell: no reason given\n" in shown(
        run(records=[record(outcome="crashed", missing={})], samples={})
    )


def test_run_without_figures_settings_or_versions_is_shown() -> None:
    bare = run(records=[record()], settings={}, machine={"id": "m"}, samples={})
    text = shown(bare, times=True)
    assert "processor unknown\nversions unknown\n" in text
    assert "launches unknown" in text
    assert "no ratio" in text
    assert "no time" in text
    assert "None" not in text
    assert "nan" not in text


def test_figures_of_any_size_are_shown_and_settings_that_are_null() -> None:
    """A file may not hold these figures, but a session prints its own before they are saved."""
    nothing = dict.fromkeys(("estimate", "low", "high", "confidence", "launches"))
    huge = dict.fromkeys(nothing, 1e300)
    cells = [
        record(CELL | {"strategy": "a"}, seconds=nothing, ratio=nothing),
        record(CELL | {"strategy": "b"}, seconds=huge, ratio=huge, verdict="unheard of",
               flops=1e300, peak_bytes=10**300, predicted_ratio=-1e-300),
    ]  # fmt: skip
    odd: dict[str, Any] = dict.fromkeys([*run_summary.SETTINGS, "canaries"])
    machine = {"id": "m"} | dict.fromkeys(("cpu", "cores", "gpu", "torch", "commit"))
    odd_run = run(records=cells, settings=odd, machine=machine, samples={}, started="then")
    text = shown(odd_run, times=True)
    assert widest(text) <= 100
    assert "then, launches unknown" in text
    assert "verdicts:" not in text
    assert "ratio ± half its interval" not in shown(replace(odd_run, records=cells[:1]))
    assert json.loads(json.dumps(run_summary.document(odd_run), allow_nan=False))["settings"] == (
        dict.fromkeys(run_summary.SETTINGS)
    )


# Names


def hostile(name: str) -> Run:
    """Return a run in which every text that a file may hold is this name."""

    def cell(strategy: str, framework: str, **known: Any) -> Record:
        fields = dict.fromkeys(CELL_FIELDS, name) | {"strategy": strategy, "framework": framework}
        known = {"missing": dict.fromkeys(FIGURES, name)} | known
        modes = {"mode": {"torch": "eager", "jax": "jit"}.get(framework, name), "kind": "freeze"}
        return new_record(fields | modes, family=name, baseline=name, rerun=name, **known)

    ratio = {"estimate": 1.5, "low": 1.4, "high": 1.6, "confidence": 0.95, "launches": 6}
    ok = {"outcome": "ok", "ratio": ratio, "seconds": ratio, "verdict": name, "peak_bytes": 5}
    cells = [cell(s, f, **ok) for s in (name, "b") for f in ("torch", "jax", name)]
    cells += [cell("c", "torch", outcome="crashed", equivalence=name)]
    canary = {"framework": name, "canary": name, "passed": False, "said": name, "dtype": name}
    settings = {
        "canaries": [canary, canary | {"passed": None, "device": name}], "margins": {name: 0.01},
        "alpha": 0.01, "stopped": {name: name}, "precision": 0.01, "arguments": [name],
    }  # fmt: skip
    names = ("id", "cpu", "cores", "gpu", "torch", "python", "commit", "platform")
    samples = {sample_key(c): [np.array([1.0, 2.0])] * 6 for c in cells[:6]}
    return Run(
        name, name, None, dict.fromkeys(names, name), settings, records=cells,
        samples=samples,
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("width", [60, 100])
def test_no_name_writes_on_the_terminal_or_breaks_the_page(name: str, width: int) -> None:
    text = shown(hostile(name), go_on=f"pytest {name}", width=width, times=True)
    assert unprintable(text) == ""
    assert widest(text) <= width
    assert text.count("\N{FIRST STRONG ISOLATE}") == text.count("\N{POP DIRECTIONAL ISOLATE}")
    for line in ("canaries:", "CANARY FAILED", "torch against jax", "what freezing saves",
                 "peak memory", "the time of one call", "what failed", "to go on:"):  # fmt: skip
        assert f"\n{line}" in text, line


@pytest.mark.parametrize("name", ["a colour", "a title", "a cursor", "a C1 code"])
def test_no_name_writes_on_a_terminal_in_colour(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that all codes in the text are colours of rich itself."""
    monkeypatch.setenv("TERM", "xterm")
    measured = hostile(NAMES[name])
    coloured = shown(measured, colour=True)
    assert coloured != shown(measured)
    codes = {code.partition("m")[0] for code in coloured.split("\x1b[")[1:]}
    assert codes <= {"0", "1", "1;31", "2", "33"}
    assert "\x07" not in coloured
    assert "\x9b" not in coloured


@pytest.mark.parametrize("name", ["markup", "a closing tag", "a page's tag"])
def test_markup_in_a_name_is_shown_as_it_is(name: str) -> None:
    assert shown(hostile(NAMES[name])).count(NAMES[name]) > 10


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_json_of_any_name_is_ascii(name: str) -> None:
    text = json.dumps(run_summary.document(hostile(name)), allow_nan=False)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["run"] == name
