"""What it would take to tell what could not be told, in the line of a pull request's comment."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from results.regression import document as regression
from results.regression.document import Analysis, Finding, FrameworkShift, Ratio
from results.regression.needed import what_is_needed
from results.terminal import regression_table
from tests.helpers.factories.comparisons import cells, comparison


def concluded(low: float, estimate: float, high: float, *, why: str = "") -> Analysis:
    """An analysis after 24 launch pairs with one cell that was not told and one that was."""
    first, second = cells()[:2]
    told = Ratio(1.0, 0.999, 1.001, "equal")
    unsure = Ratio(estimate, low, high, "inconclusive")
    return Analysis(
        [
            Finding(first, "inconclusive", why, {"wall": unsure}, 1e-3, 1e-3),
            Finding(second, "equal", "", {"wall": told}, 1e-3, 1e-3),
        ],
        [],
        24,
    )


def document(**more: Any) -> dict[str, Any]:
    return comparison() | {"finished": "2026-11-21T01:10:03+00:00"} | more


def test_where_all_is_told_the_comment_is_its_heading() -> None:
    made = comparison(spread=0.001)
    result = regression.analysis(made)
    assert what_is_needed(made, result) is None
    seen = regression_table.markdown(made, result).split("<details>")[0]
    assert seen.split("\n") == ["### Nothing got slower (exit code 0)", "", ""]


def test_launch_pairs_grow_with_the_square_of_the_interval() -> None:
    """Half of the interval is 2 % and must be 1 %: four times as many launch pairs."""
    said = what_is_needed(document(), concluded(0.99, 1.01, 1.03))
    assert said is not None
    pairs = int(re.findall(r"(\d+) launch pairs or more instead of 24", said)[0])
    assert 90 <= pairs <= 102
    assert said.startswith("1 of 2 cells not told: ")
    minutes = int(re.findall(r"--budget (\d+)m", said)[0])
    assert minutes == pytest.approx(10 * pairs / 24, abs=1)


@pytest.mark.parametrize(
    ("analysis", "more", "said"),
    [
        (concluded(0.99, 1.0199, 1.05), {}, "too near to the margin to be told"),
        (concluded(0.9, 1.0, 1.1, why=regression.DISTURBED), {}, "a quieter machine"),
        (Analysis(concluded(0.9, 1.0, 1.1).findings, [], 0), {}, "before 10 launch pairs"),
        (concluded(0.9, 1.0, 1.1), {"finished": None}, "instead of 24"),
    ],
)
def test_what_more_launch_pairs_do_not_mend_is_said(
    analysis: Analysis, more: dict[str, Any], said: str
) -> None:
    line = what_is_needed(document(**more), analysis)
    assert line is not None
    assert said in line
    assert "\n" not in line


def test_two_saved_runs_are_sent_to_one_session() -> None:
    stored = {key: value for key, value in document().items() if key != "design"}
    said = what_is_needed(stored, concluded(0.9, 1.0, 1.1))
    assert said is not None
    assert said.endswith("compare both versions in one session, `cascade-bench regress BASE`")


@pytest.mark.parametrize("verdict", ["slower", "inconclusive"])
def test_what_a_framework_s_cells_share_is_not_folded_where_it_decides(verdict: str) -> None:
    equal = [one for one in concluded(1, 1, 1).findings if one.verdict == "equal"]
    shift = FrameworkShift("torch", 5, {"wall": Ratio(1.03, 1.01, 1.05, verdict)})
    result = Analysis(equal, [shift], 24)
    seen = regression_table.markdown(document(), result).split("<details>")[0]
    assert "all 5 torch cells together: +3.0 %" in seen
    needed = "what all torch cells share not told: "
    assert (needed in seen) == (verdict == "inconclusive")


def test_times_without_any_spread_have_no_interval_and_are_said_all_the_same() -> None:
    made = comparison(frameworks=("torch",))
    for entry in made["cells"]:
        entry["seconds"] = {metric: [[1e-3] * 3] * 24 for metric in entry["seconds"]}
    result = regression.analysis(made)
    assert "5 of 5 cells not told" in regression_table.markdown(made, result)
    written = json.dumps(regression_table.document_json(made, result), allow_nan=False)
    ratio = json.loads(written)["findings"][0]["ratios"]["wall"]
    assert (ratio["estimate"], ratio["low"], ratio["high"]) == (1.0, None, None)
