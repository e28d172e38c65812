"""What the report concludes of a freeze, from its gradients and from what moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness.worker import gate
from results.report import record_cells
from results.report.sections import (
    headlines,
)
from tests.helpers.factories.report_runs import whole_run
from tests.helpers.report_pages import section_of, tables, texts


def test_a_recipe_that_lets_the_frozen_part_move_does_not_hold() -> None:
    run = whole_run()
    moved = next(r for r in run.records if r["strategy"] == "partition")
    moved |= {"outcome": "wrong_gradients", "equivalence": "net1.w is frozen and moved"}
    rows = [row for table in tables(section_of(run, "freezing")) for row in texts(table)]
    assert [row[-1] for row in rows if row[4] == "wrong_gradients"] == ["no"]
    assert {row[-1] for row in rows if row[3].startswith("requires_grad_false ")} == {
        "yes, bit for bit"
    }


def test_a_wrong_gradient_says_nothing_about_a_freeze() -> None:
    """Name the failed cell, but never as a freeze that does not hold."""
    run = whole_run()
    said = "net2.w: gradient off by 0.1, allowed 1e-3"
    for record in run.records:
        if record["strategy"] in ("partition", "requires_grad_false"):
            record |= {"outcome": "wrong_gradients", "equivalence": said}
    cells = [
        row.cells[-1]
        for table in tables(section_of(run, "freezing"))
        for row in table.rows
        if row.cells[4].text == "wrong_gradients"
    ]
    assert {(cell.text, cell.kind) for cell in cells} == {("not told", "missing")}
    assert all(said in cell.note for cell in cells)
    headline = "".join(headlines.right_or_wrong(run.records))
    assert f"Wrong: the gradients of {len(cells)} cells" in headline
    assert "frozen" not in headline


def test_a_frozen_part_that_moved_is_not_called_a_wrong_gradient() -> None:
    run = whole_run()
    moved = next(r for r in run.records if r["strategy"] == "partition")
    moved |= {"outcome": "wrong_gradients", "equivalence": "net1.w is frozen and moved"}
    headline = "".join(headlines.right_or_wrong(run.records))
    assert headline.startswith("Wrong: in 1 cell a frozen part moved.")
    assert "gradients of" not in headline


def test_the_words_by_which_a_moved_part_is_known_are_those_of_the_check() -> None:
    start = {"net1.w": np.zeros(2)}
    arrays = {f"{part}/{name}": a for part in ("updated", "start") for name, a in start.items()}
    rules: Any = {"still": ["net1.w"], "zero_gradient": [], "optimizer": "sgd", "dtype": "float32"}
    said = gate._wrong_update({"net1.w": np.ones(2)}, arrays, rules)
    assert record_cells.frozen_part_moved({"equivalence": said})
