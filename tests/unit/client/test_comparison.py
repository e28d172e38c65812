"""`Comparison`: every figure by name, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_bench import suite
from cascade_bench.comparison import Comparison
from cascade_bench.row_text import seconds_text
from tests.helpers.own_code import example_document, example_of_both


@pytest.fixture
def document() -> dict[str, Any]:
    return example_document()


def test_figures_are_had_by_name(document: dict[str, Any]) -> None:
    result = Comparison(document)
    ratio = result.ratio("separate_retained")
    assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((1.32, 1.30, 1.35))
    assert (ratio.baseline, ratio.verdict, ratio.confidence, ratio.launches) == (
        "summed", "slower", 0.95, 6,
    )  # fmt: skip
    assert result.ratio("separate_retained", "gradient").estimate == 1.11
    assert result.ratio("requires_grad_false").estimate == 0.6
    seconds = result.seconds("summed")
    assert (seconds.low, seconds.high) == pytest.approx((1.96e-3, 2.06e-3))
    assert result.flow["code"] == {"encoder": "value", "head": "absent"}
    assert result.ok
    assert result.answer.startswith("Sum the losses")


def test_usual_phase_is_backward_and_for_a_recipe_step(document: dict[str, Any]) -> None:
    rows = document["frameworks"][0]["rows"]
    rows.reverse()
    freeze = next(row for row in rows if row["way"] == "requires_grad_false")
    rows.insert(0, freeze | {"phase": "backward", "ratio": freeze["ratio"] | {"estimate": 0.5}})
    result = Comparison(document)
    assert result.ratio("separate_retained").estimate == 1.32
    assert result.ratio("requires_grad_false").estimate == 0.6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("separate_retaind",), "not measured; did you mean 'separate_retained'"),
        (("xyz",), "measured: summed, separate_retained, boundary_split"),
        (("summed", "step"), "'summed' has no phase 'step'; measured: backward"),
        (("boundary_split",), "has no ratio: unsupported: the case has no stages"),
    ],
)
def test_figure_that_is_not_there_is_explained(
    document: dict[str, Any], arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Comparison(document).ratio(*arguments)


def test_baseline_has_no_ratio_and_that_is_the_reason(document: dict[str, Any]) -> None:
    document["frameworks"][0]["rows"][0]["ratio"] = None
    with pytest.raises(ValueError, match="has no ratio: it is the baseline"):
        Comparison(document).ratio("summed")
    document["frameworks"][0]["rows"][1]["ratio"] = None
    with pytest.raises(ValueError, match="has no ratio: 'summed', the baseline, was not measured"):
        Comparison(document).ratio("separate_retained")


def test_two_frameworks_are_told_apart(document: dict[str, Any]) -> None:
    torch = document["frameworks"][0]
    other = {**torch, "framework": "jax", "flow": {"code": {"encoder": "value", "head": "zero"}}}
    document["frameworks"].append(other)
    result = Comparison(document)
    with pytest.raises(ValueError, match="measured in torch and jax; give framework="):
        result.ratio("summed")
    assert result.seconds("summed", framework="jax").estimate == 2e-3
    with pytest.raises(ValueError, match="differ in their flow"):
        _ = result.flow
    assert result.flows["jax"]["code"]["head"] == "zero"
    with pytest.raises(ValueError, match="nothing was measured of tensorflow"):
        result.ratio("summed", framework="tensorflow")


def test_ratio_of_too_few_launches_passes_no_assertion(document: dict[str, Any]) -> None:
    row = document["frameworks"][0]["rows"][1]
    row["ratio"] |= {"low": None, "high": None}
    ratio = Comparison(document).ratio("separate_retained")
    assert ratio.estimate == 1.32
    assert not ratio.low > 1.0
    assert not ratio.high < 100.0
    assert "<td>1.32</td>" in Comparison(document)._repr_html_()


def test_pandas_gets_a_column_for_each_bound(document: dict[str, Any]) -> None:
    frame = Comparison(document).to_pandas()
    assert len(frame) == 5
    retained = frame[(frame.way == "separate_retained") & (frame.phase == "backward")].iloc[0]
    assert (retained.ratio, retained.ratio_low) == pytest.approx((1.32, 1.30))
    assert retained.framework == "torch"
    assert frame[frame.way == "boundary_split"].ratio.isna().all()


def test_notebook_gets_a_table_with_every_text_escaped(document: dict[str, Any]) -> None:
    document["answer"] = "a <script>"
    document["frameworks"][0]["rows"][3]["why"] = "<b>no stages</b>"
    shown = Comparison(document)._repr_html_()
    assert "<p>a &lt;script&gt;</p>" in shown
    assert "&lt;b&gt;no stages&lt;/b&gt;" in shown
    assert "1.32 [1.30, 1.35]" in shown
    assert "<script>" not in shown


def test_what_the_suite_cannot_draw_is_told_in_its_words(document: dict[str, Any]) -> None:
    for part in document["frameworks"]:
        part["rows"] = []
    with pytest.raises(suite.SuiteError, match=r"^no way has a ratio, so there is nothing to plot"):
        Comparison(document).plot()


@pytest.mark.slow
def test_chart_is_drawn_by_the_suite_and_shown_by_altair(document: dict[str, Any]) -> None:
    pytest.importorskip("altair")
    drawn = Comparison(document).plot().to_dict()
    text = str(drawn)
    assert "separate_retained" in text
    assert "boundary_split" not in text  # it has no ratio
    assert "1.32" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.0412, "41.2 ms"), (8.02e-5, "80.2 µs"), (3e-9, "3 ns"), (0.0, "0 ns")],
)
def test_times_have_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_two_frameworks_are_compared_by_the_way_s_name_in_torch() -> None:
    result = Comparison(example_of_both())
    ratio = result.framework_ratio("summed")
    assert (ratio.estimate, ratio.low, ratio.high) == (0.5, 0.4, 0.625)
    assert (ratio.baseline, ratio.verdict) == ("torch's summed", "faster")
    assert result.framework_ratio("summed", "gradient").estimate == 0.9
    assert result.framework_ratio("detach").verdict == "slower"
    assert result.pair
    assert result.pair["weights"][0] == ["head.bias", "as it is", "head.bias"]
    shown = result._repr_html_()
    assert "<li>summed in phase backward: 0.50 [0.40, 0.62], faster</li>" in shown


def test_ratio_of_frameworks_that_is_not_there_is_explained(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one framework was measured"):
        Comparison(document).framework_ratio("summed")
    assert Comparison(document).pair is None
    both = example_of_both()
    with pytest.raises(ValueError, match="'summed' in phase 'step' was not timed in both"):
        Comparison(both).framework_ratio("summed", "step")
    with pytest.raises(ValueError, match="timed in both: summed in phase backward, summed in"):
        Comparison(both).framework_ratio("sum")
    both["pair"]["problem"] = "the gradients by x differ"
    with pytest.raises(ValueError, match="cannot be compared with torch: the gradients by x"):
        Comparison(both).framework_ratio("summed")
