"""What the codes of findings are, and how findings are told: texts, pages, tables, annotations."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from benchmarks.paths import ROOT
from results.own_code import check_document, finding_texts
from results.own_code.findings import RULES, find
from results.terminal.findings_table import table

PAGE = ROOT / finding_texts.PAGE
CODES = tuple(finding_texts.TITLES)


def tensor(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": "parameter", "elements": 4, "shape": [2, 2], "frozen": None,
        "reach": {"task": "value"}, "cut": None, "held": True, "optimizers": ["SGD"],
        "stepped": True, "rate": 0.1, "gradients": [1, 1], "cleared": False,
        "moved": [0.1, 0.1], "outside": [0.0, 0.0], "called": True, "stale_cast": False,
        "tied": [], **changes,
    }  # fmt: skip


def observation(*tensors: dict[str, Any], **changes: Any) -> Any:
    return {
        "framework": "torch", "steps": 2, "losses": {"task": {"value": 1.0, "finite": True}},
        "tensors": list(tensors) or [tensor("net.weight")], "passes": [1, 1], "moves": [],
        "stepped": ["SGD"], "strangers": [], "clipped": [], "merged": None,
        "frozen_gradients": None, "zero_weight": None, "first_nonfinite": None, "reduced": None,
        **changes,
    }  # fmt: skip


def move(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "step": 0, "name": name, "by": "SGD", "optimizer": 0, "size": 0.1, "gradient": "value",
        "fresh": True, "accumulated": True, "required": False, "decay": 0.0, "rate": 0.1,
        "inside": False, **changes,
    }  # fmt: skip


def saving(flops: float, least: float, **changes: Any) -> dict[str, Any]:
    return {
        "flops": flops, "least_flops": least, "seconds": None, "least_seconds": None, **changes
    }  # fmt: skip


# Codes and their page


def test_every_code_has_its_section_and_every_section_its_code() -> None:
    assert re.findall(r"^## (CB\d+)$", PAGE.read_text(), re.MULTILINE) == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_section_says_what_it_is_and_how_it_is_mended_in_both_frameworks(code: str) -> None:
    section = PAGE.read_text().partition(f"## {code}\n")[2].partition("\n## ")[0]
    assert section.strip().startswith(f"*{finding_texts.TITLES[code]}.*")
    assert "torch: " in section
    assert "JAX" in section
    for cause in finding_texts.CAUSES[code] if code == "CB101" else ():
        assert cause in section or cause in ("by_hand", "optimizer")


def test_links_to_the_traps_lead_somewhere() -> None:
    text = PAGE.read_text()
    titles = re.findall(r"^## (.*)$", (PAGE.parent / "traps.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
    linked = re.findall(r"\(traps\.md#([^)]*)\)", text)
    assert len(linked) >= 4
    assert set(linked) <= anchors


def test_every_code_has_its_texts() -> None:
    assert set(CODES) == set(finding_texts.CAUSES)
    assert {f: set(mends) for f, mends in finding_texts.MENDS.items()} == {
        "torch": set(CODES), "jax": set(CODES),
    }  # fmt: skip
    assert len(RULES) >= len(CODES) - 1  # one rule tells two


# Decisions


def codes(seen: Any) -> list[str]:
    return [one["code"] for one in find(seen)]


def test_right_step_has_no_finding() -> None:
    assert codes(observation()) == []


@pytest.mark.parametrize(
    ("frozen", "required", "found"),
    [
        ("stated", True, ["CB101"]), ("stated", False, ["CB101"]), ("unrequired", False, ["CB101"]),
        ("unrequired", True, []), (None, True, []),
    ],
)  # fmt: skip
def test_what_the_step_unfreezes_itself_may_move(
    frozen: Any, required: bool, found: list[str]
) -> None:
    seen = observation(tensor("a", frozen=frozen), moves=[move("a", required=required)])
    assert codes(seen) == found


@pytest.mark.parametrize(("least", "found"), [(50.0, ["CB302"]), (99.5, [])])
def test_what_saves_next_to_nothing_is_not_told(least: float, found: list[str]) -> None:
    assert codes(observation(merged=saving(100.0, least, difference=1e-6, passes=2))) == found


@pytest.mark.parametrize(("difference", "found"), [(1e-2, "CB302"), (0.2, "CB303")])
def test_rounding_is_told_from_another_gradient(difference: float, found: str) -> None:
    merged = saving(100.0, 50.0, difference=difference, where="net.weight", passes=2)
    assert codes(observation(merged=merged)) == [found]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [([9.0, 8.0], [1.0, 1.0], ["CB403"]), ([9.0, 8.0], [4.5, 4.0], []), ([9.0], [1.0], [])],
)
def test_division_is_told_from_clipping(
    before: list[float], after: list[float], found: list[str]
) -> None:
    events = [
        {"step": i, "before": b, "after": a, "largest": a / 2, "scale": 8.0}
        for i, (b, a) in enumerate(zip(before, after, strict=True))
    ]
    assert codes(observation(clipped=events)) == found


def test_second_step_by_one_gradient_is_told_from_one_by_its_own() -> None:
    again = move("net.weight", fresh=False, optimizer=1)
    assert codes(observation(moves=[again])) == ["CB203"]
    assert codes(observation(moves=[again | {"accumulated": False}])) == []
    assert codes(observation(moves=[again | {"fresh": True}])) == []


@pytest.mark.parametrize(("steps", "found"), [(3, ["CB204"]), (1, []), (0, [])])
def test_gradients_that_pile_up_in_several_steps_are_told(steps: int, found: list[str]) -> None:
    assert codes(observation(tensor("a", piled=steps))) == found


def test_gradient_that_is_gone_at_the_step_has_a_mend_of_its_own() -> None:
    (one,) = find(observation(tensor("a", cleared=True, moved=[0.0, 0.0])))
    assert one["code"] == "CB201"
    assert one["mend"] == "call zero_grad before backward, not between backward and step"


def test_message_names_three_tensors_the_evidence_and_the_page() -> None:
    tensors = [tensor(f"net.{i}", held=False, moved=[0.0, 0.0]) for i in range(5)]
    (one,) = find(observation(*tensors))
    assert one["message"] == (
        "net.0, net.1, net.2 and 2 more: no optimizer holds it (unmoved in 2 steps)"
    )
    assert one["tensors"] == [f"net.{i}" for i in range(5)]
    assert one["page"] == "docs/check.md#cb201"


# How it is shown


def document(seen: Any) -> dict[str, Any]:
    part = check_document.checked(seen["framework"], "2.13.0", seen, find(seen))
    return {
        "schema": 1, "kind": "check", "case": {"name": "c.py:make", "file": "c.py", "line": 3},
        "date": "", "seconds": 3.2, "answer": check_document.answer([part], None),
        "exit_code": int(bool(part["findings"])), "error": None, "frameworks": [part],
    }  # fmt: skip


def test_nothing_found_says_what_was_looked_at() -> None:
    made = document(observation())
    json.dumps(made, allow_nan=False)
    shown = " ".join(table(made).split())
    assert "torch: nothing found." in shown
    assert "looked at 2 steps, 1 loss alone, 1 parameter (0 frozen, 1 moved)" in shown
    assert "1 backward pass in a step, steps of SGD" in shown


def test_a_step_in_which_nothing_moves_is_noted() -> None:
    still = tensor("a", moved=[0.0, 0.0], rate=0.0)
    made = document(observation(still))
    assert made["exit_code"] == 0
    assert "give --steps N" in table(made)


def test_many_findings_fit_one_screen_and_names_cannot_break_it() -> None:
    tensors = [
        tensor(f"\x1b[31mnet{i}" + "é" * 300, held=False, moved=[0.0, 0.0]) for i in range(9)
    ]
    made = document(
        observation(*tensors, first_nonfinite={"step": 0, "names": ["a"], "losses": []})
    )
    made["frameworks"][0]["findings"] *= 6
    shown = table(made)
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "and 4 more: --json FILE has all" in shown
