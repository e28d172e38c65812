"""Test the first screen and "your case": what they say follows from the records."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol import cells
from results.formatting import rounded_ratio
from results.records.record import Run
from results.report.build import build
from results.report.collection import collect
from results.report.html import html
from results.report.images import fixed_size_spec, render_drawings
from results.report.model import Answer, Cases
from results.report.questions import answers
from results.report.vocabulary import PRICES
from tests.helpers.factories.report_runs import whole_run
from tests.helpers.hostile_names import HOSTILE


def answer_of(run: Run) -> Answer:
    answer = build([run]).parts[0].answer
    assert answer
    return answer


def cases_of(run: Run) -> Cases:
    cases = build([run]).parts[0].cases
    assert cases
    return cases


def changed(run: Run, **fields: Any) -> Run:
    """Return the run with these fields in its first record that is no baseline."""
    records: list[Any] = [dict(record) for record in run.records]
    first = next(r for r in records if r["strategy"] != r["baseline"])
    first.update(fields)
    return dataclasses.replace(run, records=records)


def test_headline_says_what_to_write_and_what_the_other_way_costs() -> None:
    answer = answer_of(whole_run())
    ratios = [
        record["ratio"]["estimate"] or 0
        for record in whole_run().records
        if record["strategy"] == "separate_retained" and record["size"] == "medium"
        if record["ratio"]
    ]
    ends = re.search(r"takes ([\d.]+) to ([\d.]+) times as long", answer.headline)
    if ends is None:  # both ends round to the same figure
        ends = re.search(r"takes (([\d.]+)) times as long", answer.headline)
    assert ends
    assert answer.headline.startswith("Sum the losses: ")
    assert float(ends[1]) == pytest.approx(min(ratios), rel=0.05)
    assert float(ends[2]) == pytest.approx(max(ratios), rel=0.05)
    assert "requires_grad_(False) in PyTorch" in answer.more


def of_losses(run: Run, counts: dict[str, int], ratios: dict[str, float]) -> Run:
    """Return the run with so many losses, and such a cost of a pass for each, by variant."""
    flows: dict[str, Any] = {
        f"stacked_cascade/{variant}": {"torch": {f"loss{i}": {} for i in range(count)}}
        for variant, count in counts.items()
    }
    for record in run.records:
        if record["strategy"] == "separate_retained" and record["ratio"]:
            record["ratio"] = {**record["ratio"], "estimate": ratios[record["variant"]]}
    return dataclasses.replace(run, settings={**run.settings, "flows": flows})


def test_headline_says_that_a_pass_for_each_loss_costs_more_the_more_losses_there_are() -> None:
    counts, ratios = {"n2": 2, "n4": 4, "n8": 8}, {"n2": 1.4, "n4": 2.5, "n8": 4.4}
    run = of_losses(whole_run(variants=tuple(counts)), counts, ratios)
    assert answer_of(run).headline == (
        "Sum the losses: a backward pass for each loss takes 1.4 to 4.4 times as long, "
        "more with more losses: on average ×1.4 with 2, ×4.4 with 8."
    )
    alike = of_losses(whole_run(variants=tuple(counts)), counts, dict.fromkeys(counts, 1.4))
    assert answer_of(alike).headline.endswith("takes 1.4 times as long.")
    one_number = of_losses(whole_run(), {"n2": 2, "n4": 2}, ratios)
    assert answer_of(one_number).headline.endswith("takes 1.4 to 2.5 times as long.")
    unknown = of_losses(whole_run(), {}, ratios)
    assert answer_of(unknown).headline.endswith("takes 1.4 to 2.5 times as long.")


def test_headline_of_a_run_whose_canary_failed_warns_instead() -> None:
    run = whole_run()
    canary = {"framework": "torch", "canary": "twice", "passed": False, "said": "1.2 times"}
    run = dataclasses.replace(run, settings={**run.settings, "canaries": [canary]})
    answer = answer_of(run)
    assert "Do not use these figures" in answer.headline
    assert "bad" in [fact.kind for fact in answer.facts]


def test_headline_of_a_run_with_wrong_gradients_says_so() -> None:
    run = changed(whole_run(), outcome="wrong_gradients", seconds=None, ratio=None, verdict=None)
    answer = answer_of(run)
    assert answer.headline.startswith("Wrong gradients in 1 of ")
    assert answer.facts[0].kind == "bad"


def test_headline_of_a_run_of_few_launches_says_what_it_lacks() -> None:
    few = answer_of(whole_run(launches=2))
    assert few.headline.startswith("No way can be recommended yet: without an interval")
    assert "(--launches 6)" in few.headline
    one_way = whole_run()
    alone = [record for record in one_way.records if record["strategy"] == record["baseline"]]
    nothing = answer_of(dataclasses.replace(one_way, records=alone))
    assert nothing.headline == "Nothing was timed here that has two ways to compare."


def test_each_mark_is_its_records_ratio_and_lies_within_its_interval() -> None:
    from results.report.answer_charts import mean_marks, panel_marks, way_label

    (machine,) = collect([whole_run()])
    known = {
        (r["framework"], r["scenario"], r["variant"], r["size"], r["strategy"]): r["ratio"]
        for r in machine.records
        if r["ratio"]
    }
    found = answers(machine.records)
    marks = [mark for one in found for mark in panel_marks(one)]
    assert len(marks) >= 8
    for mark in marks:
        key = tuple(mark[n] for n in ("framework", "scenario", "variant", "size", "strategy"))
        assert mark["ratio"] == known[key]["estimate"]
        assert mark["low"] <= mark["ratio"] <= mark["high"]
    for one in found:
        means = {mark["label"]: mark["mean"] for mark in mean_marks(one)}
        for way in one.ways:
            logs = np.log([record["ratio"]["estimate"] for record in way.records])
            assert means[way_label(one, way)] == pytest.approx(np.exp(logs.mean()))


def test_ways_that_only_show_a_price_are_not_on_the_first_screen() -> None:
    from results.report.answer_charts import mean_marks, panel_marks

    assert set(PRICES) == set(cells.ON_REQUEST)
    run = whole_run()
    renamed = {"optimizer_only": "rate_zero", "chain_freeze": "traced_mask"}
    run.records[:] = [
        {**record, "strategy": renamed.get(record["strategy"], record["strategy"])}
        for record in run.records
    ]
    found = answers(collect([run])[0].records)
    ways = {way.strategy for one in found for way in one.ways}
    assert ways >= set(renamed.values())
    drawn = {mark["strategy"] for one in found for mark in panel_marks(one)}
    assert drawn == ways - set(PRICES)
    labels = str([mark["label"] for one in found for mark in mean_marks(one)])
    assert "rate_zero" not in labels
    assert "requires_grad_false" in labels


def test_only_the_recommended_way_has_the_colour() -> None:
    from results.report.answer_charts import mean_marks

    for one in answers(collect([whole_run()])[0].records):
        best = [mark for mark in mean_marks(one) if mark["best"]]
        assert len(best) == 1


def test_your_case_shows_each_question_framework_and_size() -> None:
    cases = cases_of(whole_run())
    choices = [tuple(case.choice.values()) for case in cases.cases]
    assert len(choices) == len(set(choices))
    assert ("series", "jax", "seed") in choices
    assert ("freezing", "torch", "medium") in choices
    for case in cases.cases:
        assert case.code
        assert case.table.rows


def test_command_of_your_case_measures_the_recommended_way() -> None:
    run = whole_run()
    for record in run.records:
        record["rerun"] = f"measure {record['strategy']}"
    ways = {
        (case.choice["question"], case.choice["framework"]): case.rerun
        for case in cases_of(run).cases
    }
    assert ways == {
        ("series", "torch"): "measure summed",
        ("series", "jax"): "measure summed",
        ("freezing", "torch"): "measure requires_grad_false",
        ("freezing", "jax"): "measure partition",
    }


def test_your_case_says_where_gradients_were_wrong() -> None:
    run = changed(whole_run(), outcome="wrong_gradients", seconds=None, ratio=None, verdict=None)
    texts = ["".join(case.about) for case in cases_of(run).cases]
    assert sum("Gradients were wrong in 1 cells" in text for text in texts) == 1


def test_ratio_is_rounded_to_what_its_interval_carries() -> None:
    def ratio(estimate: float, half: float | None) -> dict[str, float | None]:
        ends = (None, None) if half is None else (estimate - half, estimate + half)
        return {"estimate": estimate, "low": ends[0], "high": ends[1]}

    assert rounded_ratio(ratio(1.4567, 0.0213)) == "1.46 ± 0.02"
    assert rounded_ratio(ratio(1.4567, 0.0123)) == "1.457 ± 0.012"
    assert rounded_ratio(ratio(8.71, 0.31)) == "8.7 ± 0.3"
    assert rounded_ratio(ratio(1.4567, None)) == "1.5"
    assert rounded_ratio(ratio(12.0, 30.0)) == "12 ± 30"
    assert rounded_ratio(None) == "\N{EN DASH}"


def test_page_holds_the_drawings_and_needs_no_script_for_them() -> None:
    pytest.importorskip("vl_convert")
    report = build([whole_run()])
    assert report.parts[0].answer
    panel = report.parts[0].answer.questions[0].panels[0]
    drawings = render_drawings({panel.chart.name: panel.chart.spec})
    page = html(report, "", drawings)
    assert page.count("<svg") == 1
    assert "var(--ink)" in drawings[panel.chart.name]
    assert f'aria-label="{panel.figures}' in page


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_of_a_way_is_text_in_a_drawing(name: str) -> None:
    pytest.importorskip("vl_convert")
    run = whole_run()
    records: list[Any] = [dict(record) for record in run.records]
    for record in records:
        if record["strategy"] == "boundary_split":
            record["strategy"] = name
    answer = answer_of(dataclasses.replace(run, records=records))
    chart = answer.questions[0].panels[0].chart
    drawing = render_drawings({chart.name: chart.spec})[chart.name]
    assert "<script" not in drawing
    assert "<img" not in drawing
    assert "one pass of the sum" in drawing


def test_picture_of_all_questions_draws_every_way() -> None:
    vl_convert = pytest.importorskip("vl_convert")
    answer = answer_of(whole_run())
    assert answer.picture
    drawing = vl_convert.vegalite_to_svg(fixed_size_spec(answer.picture))
    for words in ("one pass of the sum", "requires_grad_(False)", "optax.partition", "PyTorch: "):
        assert words in drawing
    large_dots = re.findall(r'<path aria-label="mean: [^"]*"', drawing)
    assert len(large_dots) == 3 + 3 + 3 + 3


def test_the_section_on_backward_passes_has_the_range_of_the_headline() -> None:
    run = whole_run(variants=("n2", "n4", "n8"))
    for record in run.records:  # at the smaller size the cost is another, which no title mixes in
        if record["size"] == "seed" and record["strategy"] == "separate_retained":
            assert record["ratio"]
            record["ratio"] = {**record["ratio"], "estimate": 9.9}
    part = build([run]).parts[0]
    assert part.answer
    (passes,) = [section for section in part.sections if section.name == "passes"]
    times = re.search(r"takes (.* times) as long", part.answer.headline)
    assert times
    assert "9.9" not in times[1]
    assert passes.title == (
        f"At each network's largest size a pass for each loss takes {times[1]} as long as one pass "
        "of the sum"
    )


def test_a_case_says_how_many_networks_were_timed_at_its_size_and_where_the_others_were() -> None:
    many, few = whole_run(variants=("n2", "n4")), whole_run(variants=("n8",), sizes=("seed",))
    run = dataclasses.replace(many, records=[*many.records, *few.records])
    abouts = {
        one.choice["size"]: one.table.about
        for one in cases_of(run).cases
        if one.choice["question"] == "series" and one.choice["framework"] == "torch"
    }
    told = "Timed at medium: 2 of 3 networks; the largest size of 1 other is seed."
    assert abouts["medium"].endswith(told)
    assert "Timed at" not in abouts["seed"]


def test_a_case_names_its_networks_with_convolutions() -> None:
    run = whole_run(scenarios=("conv_cascade", "linear_cascade"), sizes=("medium",))
    for one in cases_of(run).cases:
        assert "With convolutions: conv_cascade." in one.table.about
    for one in cases_of(whole_run()).cases:
        assert "onvolutions" not in one.table.about
