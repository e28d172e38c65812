"""Every mark of every chart is drawn at the figures of its record, inside its own interval."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from results.records.record import Run, sample_key
from results.report import answer_charts, framework_counts
from results.report.build import build
from results.report.by_size import MOST_LINES, charts_by_size
from results.report.collection import collect
from results.report.html import charts_of
from results.report.model import Chart
from results.report.questions import answers
from results.report.sections import every_cell, framework_comparison
from results.terminal.run_summary import document
from results.ways import way_title
from tests.helpers.factories.report_runs import LATER, later, whole_run

pytest.importorskip("altair")
NAMES = ("scenario", "variant", "size", "framework", "strategy", "phase")


@pytest.fixture(scope="module")
def run() -> Run:
    """Return a run in which every ratio is far from 1, so that none passes for its inverse."""
    made = whole_run(variants=("n2", "n4", "n8"))
    for place, record in enumerate(made.records):
        record["peak_share"] = 0.4 + place / 1000
    return made


@pytest.fixture(scope="module")
def charts(run: Run) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts_of(build([run]))}


def marks(chart: Chart) -> list[dict[str, Any]]:
    """Return the data of a chart as its specification holds it, without lines for the eye."""
    stored = [rows for node in nodes(chart.spec) for rows in node.get("datasets", {}).values()]
    stored += [node["values"] for node in nodes(chart.spec) if isinstance(node.get("values"), list)]
    found = [mark for rows in stored for mark in rows if isinstance(mark, dict) and len(mark) > 4]
    assert found, chart.name
    return list({json.dumps(mark, sort_keys=True): mark for mark in found}.values())


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside a value of JSON."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from nodes(item)


def channels(chart: Chart) -> list[Mapping[str, Any]]:
    """Return the encoding of each layer of a chart."""
    return [node["encoding"] for node in nodes(chart.spec) if "encoding" in node]


def drawn(chart: Chart) -> set[str]:
    """Return the fields at which a chart draws its marks, by both axes and by colour."""
    axes = ("x", "x2", "y", "y2", "color")
    fields = (one[axis].get("field") for one in channels(chart) for axis in axes if axis in one)
    return {field for field in fields if field}


def records_of(run: Run, mark: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records of a run whose names are those of a mark."""
    known = [name for name in NAMES if name in mark]
    return [r for r in run.records if all(r[name] == mark[name] for name in known)]  # type: ignore[literal-required]


def test_there_are_all_charts_of_one_run(charts: Mapping[str, Chart]) -> None:
    assert set(charts) == {
        "frameworks", "frameworks-medium", "frameworks-seed", "passes", "freezing-torch",
        "freezing-torch-seed", "freezing-jax", "freezing-jax-seed", "gradients", "losses", "sizes",
        "crossover-torch-eager", "crossover-jax-jit", "verdicts", "noise",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("frameworks", {"ratio", "low", "high", "predicted"}),
        ("passes", {"ratio", "low", "high", "predicted"}),
        ("freezing-torch", {"ratio", "low", "high", "predicted"}),
        ("losses", {"ratio", "low", "high", "predicted"}),
        ("sizes", {"seconds", "flops"}),
        ("gradients", {"eps"}),
        ("crossover-jax-jit", {"ratio"}),
        ("noise", {"half"}),
    ],
)
def test_axes_show_the_fields_that_are_checked_here(
    charts: Mapping[str, Chart], name: str, fields: set[str]
) -> None:
    """A figure on an axis under another name would escape the tests below."""
    figures = {"ratio", "low", "high", "predicted", "seconds", "flops", "eps", "half"}
    assert drawn(charts[name]) & figures >= fields - {"predicted"}
    assert drawn(charts[name]) & figures <= fields


@pytest.mark.parametrize(
    "name",
    ["passes", "freezing-torch", "freezing-torch-seed", "freezing-jax", "losses", "sizes",
     "crossover-torch-eager", "crossover-jax-jit"],
)  # fmt: skip
def test_every_mark_has_the_figures_of_its_record(
    run: Run, charts: Mapping[str, Chart], name: str
) -> None:
    found = marks(charts[name])
    assert len(found) > 1
    for mark in found:
        (record,) = records_of(run, mark)
        if name != "sizes":
            ratio = record["ratio"]
            assert [mark["ratio"], mark["low"], mark["high"]] == [
                ratio["estimate"], ratio["low"], ratio["high"],
            ]  # fmt: skip
            assert mark["low"] <= mark["ratio"] <= mark["high"]
            assert mark["verdict"] == record["verdict"]
        assert mark["predicted"] == record["predicted_ratio"]
        assert mark["seconds"] == record["seconds"]["estimate"]
        assert mark.get("flops", record["flops"]) == record["flops"]


def test_every_mark_of_the_frameworks_is_the_ratio_of_its_pair(
    run: Run, charts: Mapping[str, Chart]
) -> None:
    pairs = document(run)["frameworks"]
    drawn_marks = [mark for name in charts if "frameworks" in name for mark in marks(charts[name])]
    assert len(drawn_marks) > len(marks(charts["frameworks"])) > 1
    for mark in drawn_marks:
        (pair,) = [p for p in pairs if all(p[n] == mark[n] for n in NAMES if n != "framework")]
        ratio = pair["ratio"]
        assert (mark["low"], mark["ratio"], mark["high"]) == (
            ratio["low"], ratio["estimate"], ratio["high"],
        )  # fmt: skip
        assert mark["low"] <= mark["ratio"] <= mark["high"]
        assert 0.7 < mark["ratio"] < 0.9  # jax takes 0.8 of torch's time
        assert mark["verdict"] == ("jax" if mark["high"] < 1 else "not told")
        assert mark["faster"] == ("JAX faster" if mark["high"] < 1 else "not told")


@pytest.mark.parametrize("name", ["passes", "sizes", "frameworks", "freezing-torch"])
def test_the_axes_hold_all_that_is_drawn_also_lines_for_the_eye(
    charts: Mapping[str, Chart], name: str
) -> None:
    """Hold every mark within its axes: one outside is drawn beside the plot, and narrows it."""
    spec = charts[name].spec
    domains: dict[str, list[float]] = {}
    fields: dict[str, set[str]] = {"x": set(), "y": set()}
    for one in channels(charts[name]):
        for axis, drawn_fields in fields.items():
            for channel in (axis, f"{axis}2"):
                drawn_fields |= {one[channel]["field"]} if channel in one else set()
            if domain := one.get(axis, {}).get("scale", {}).get("domain"):
                domains[axis] = domain
    assert domains
    for axis, (low, high) in domains.items():
        values = [
            row[field] for rows in spec["datasets"].values() for row in rows
            for field in fields[axis] if isinstance(row.get(field), int | float)
        ]  # fmt: skip
        assert len(values) > 2
        assert low <= min(values) < max(values) <= high


def test_every_mark_of_the_noise_is_half_the_interval_of_its_ratio(
    run: Run, charts: Mapping[str, Chart]
) -> None:
    ends = [(r["ratio"]["low"], r["ratio"]["high"]) for r in run.records if r["ratio"]]
    expected = [np.sqrt(high / low) - 1 for low, high in ends if low and high]
    found = [mark["half"] for mark in marks(charts["noise"])]
    assert sorted(found) == pytest.approx(sorted(one for one in expected if one > 0))


def test_every_comparison_counts_once_in_the_bars_of_its_way(
    run: Run, charts: Mapping[str, Chart]
) -> None:
    spec = charts["verdicts"].spec
    counted = Counter((m["line"], m["verdict"]) for rows in spec["datasets"].values() for m in rows)
    judged = [r for r in run.records if r["verdict"] and r["strategy"] != r["baseline"]]
    names = [f"{r['framework']}: {way_title(r['strategy'])}" for r in judged]
    verdicts = [str(r["verdict"]) for r in judged]
    assert counted == Counter(zip(names, verdicts, strict=True))
    assert spec["encoding"]["x"]["aggregate"] == "count"


def test_a_chart_by_size_shows_each_mark_once_with_the_largest_size_first(
    charts: Mapping[str, Chart],
) -> None:
    first, rest = marks(charts["freezing-torch"]), marks(charts["freezing-torch-seed"])
    assert {mark["size"] for mark in first} == {"medium"}
    assert {mark["size"] for mark in rest} == {"seed"}
    lines = list(dict.fromkeys(mark["line"] for mark in first))
    means = [np.mean([np.log(m["ratio"]) for m in first if m["line"] == line]) for line in lines]
    assert means == sorted(means)


def test_a_chart_with_more_lines_than_a_screen_holds_is_split() -> None:
    rows: list[Any] = [
        {"problem": f"network{i}", "size": "seed", "line": f"line {i}", "ratio": 1.0 + i}
        for i in range(2 * MOST_LINES + 1)
    ]
    made: list[tuple[str, str, int]] = []

    def make(suffix: str, words: str, marks: Sequence[Any]) -> Chart:
        made.append((suffix, words, len(marks)))
        return Chart(suffix, words, "", dict)

    assert len(charts_by_size(rows, [], make)) == 3
    words = "each network at its largest size"
    assert made == [
        ("", f"{words}, 1 of 3", MOST_LINES), ("-2", f"{words}, 2 of 3", MOST_LINES),
        ("-3", f"{words}, 3 of 3", 1),
    ]  # fmt: skip


def test_every_mark_of_the_gradients_is_the_error_of_its_parameter(
    run: Run, charts: Mapping[str, Chart]
) -> None:
    for mark in marks(charts["gradients"]):
        errors = {
            error["parameters"][mark["parameter"]]
            for record in records_of(run, {k: v for k, v in mark.items() if k != "problem"})
            if (error := record["gradient_error"])
        }
        assert mark["eps"] in [error * 2**23 for error in errors]


def test_marks_over_several_runs_are_times_over_those_of_the_first() -> None:
    runs = [whole_run(), later(drift=1.3)]
    (machine,) = collect(runs)
    section = every_cell.side_by_side(machine)
    assert section
    (chart,) = [block for block in section.blocks if isinstance(block, Chart)]
    for mark in marks(chart):
        expected = 1.3 if mark["run"] == LATER else 1.0
        assert mark["ratio"] == pytest.approx(expected, rel=0.02)


def test_what_a_single_run_timed_has_no_mark_beside_other_runs() -> None:
    """One time alone shows no drift: its mark would stand at 1 among those that show one."""
    runs = [whole_run(sizes=("seed", "medium")), whole_run(LATER, sizes=("medium", "large"))]
    section = every_cell.side_by_side(collect(runs)[0])
    assert section
    (chart,) = [block for block in section.blocks if isinstance(block, Chart)]
    assert {mark["size"] for mark in marks(chart)} == {"medium"}


@pytest.mark.parametrize(
    ("ratio", "words", "faster"),
    [
        (0.8, "jax 1.3 times as fast", "jax"),
        (0.5, "jax 2.0 times as fast", "jax"),
        (1.25, "torch 1.3 times as fast", "torch"),
        (4.0, "torch 4.0 times as fast", "torch"),
    ],
)
def test_words_say_which_framework_is_faster_and_by_how_much(
    run: Run, ratio: float, words: str, faster: str
) -> None:
    """The ratio is jax's time over torch's: under 1 jax is faster, by its inverse."""
    pair: Any = collect([run])[0].pairs[0]
    shown = {"estimate": ratio, "low": 0.9 * ratio, "high": 1.05 * ratio}
    pair = pair._replace(ratio=pair.ratio | shown)
    assert framework_counts.extreme(pair).startswith(f"{words} (")
    assert framework_counts.winner(pair) == faster
    won = {"jax": "on 1 of 1 network, torch on 0", "torch": "on 0 of 1 network, torch on 1"}[faster]
    assert framework_counts.title([pair]) == f"JAX is faster {won} (eager torch, jit JAX)"
    assert framework_comparison._mark(pair)["verdict"] == faster


def test_of_several_runs_each_pair_of_frameworks_is_shown_once_from_the_newer_run() -> None:
    """Both runs measured the same cells: an older run's pairs must not stand beside the newer's."""
    old, new = whole_run(), later(drift=1.2)
    alone, together = (collect(runs)[0].pairs for runs in ([new], [old, new]))
    assert len(together) == len(alone) > 0
    keys = [(sample_key(pair.torch), sample_key(pair.jax)) for pair in together]
    assert len(set(keys)) == len(keys)
    newest = {id(record) for record in new.records}
    assert all(id(r) in newest for pair in together for r in (pair.torch, pair.jax))
    assert [pair.ratio for pair in together] == [pair.ratio for pair in alone]


def test_pairs_of_an_older_run_are_shown_where_the_newer_measured_other_cells() -> None:
    old, new = whole_run(sizes=("seed", "medium")), later()
    new.records[:] = [r for r in new.records if r["size"] == "medium"]
    pairs = collect([old, new])[0].pairs
    sizes = [pair.torch["size"] for pair in pairs]
    assert sizes.count("seed") == sizes.count("medium") == len(sizes) // 2
    assert {id(p.jax) for p in pairs if p.jax["size"] == "medium"} <= {id(r) for r in new.records}


def test_marks_of_the_answer_are_the_ratios_of_their_records(run: Run) -> None:
    panels = [c for c in charts_of(build([run])) if c.name.startswith("answer-")]
    panels += [answer_charts.panel_chart(one, (0.1, 10.0)) for one in answers(run.records)]
    assert panels
    for chart in panels:
        for mark in marks(chart):
            (record,) = records_of(run, mark)
            ratio = record["ratio"]
            assert (mark["low"], mark["ratio"], mark["high"]) == (
                ratio["low"], ratio["estimate"], ratio["high"],
            )  # fmt: skip
        assert drawn(chart) & {"low", "ratio", "high", "mean"} == {"low", "ratio", "high", "mean"}
