"""Times of the transformers at size `large`, held to what their counted FLOPs predict.

Of `early_exit` it is the law of N(N+1)/2 blocks against N, of `low_rank_adapters` what freezing
saves. Whole sessions are measured, each for some minutes, and on a machine that does anything else
the figures say nothing. So no tier of tests has them; they run by
``pytest benchmarks/evaluation/measured_laws.py`` (``make laws``).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import frameworks
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from results.records import storage
from results.records.record import Record

WITHIN = 0.1
BLOCKS = 4
LIMIT = 1800.0  # seconds of a session
FREEZING = {"torch": ("requires_grad_false",), "jax": ("grad_of_trainable", "partition")}


def compared(folder: Path, framework: str, scenario: str, *more: str) -> list[Record]:
    """Measure cells of a transformer at size `large`; return those that have a ratio."""
    if reason := frameworks.why_missing(framework):
        pytest.skip(reason)
    words = [
        sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-p", "no:cacheprovider",
        f"--framework={framework}", f"--scenario={scenario}", "--size=large", "--launches=6",
        "--cell-seconds=0.5", f"--results={folder}", *more,
    ]  # fmt: skip
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = storage.find_runs(folder)
    records = storage.load_run(run).records
    assert {record["outcome"] for record in records} <= {"ok", "unsupported"}
    timed = [record for record in records if record["outcome"] == "ok"]
    return [record for record in timed if record["strategy"] != record["baseline"]]


def off(record: Record) -> float:
    """Return by what share a cell's ratio to the baseline is off the predicted one.

    What is predicted is the ratio of counted FLOPs. An update has next to none, and moves bytes: of
    a step it is the ratio of the limits of its operations, where they were measured.
    """
    limit = record["limit_ratio"] if record["phase"] == "step" else None
    predicted = limit or record["predicted_ratio"]
    assert record["ratio"] is not None
    assert predicted is not None
    return abs(record["ratio"]["estimate"] / predicted - 1.0)


def walks(size: dict[str, int], blocks: int) -> float:
    """Return by hand what separate backward passes cost over one of the sum.

    A block has 12 products of w·w forward, and two of scores, tokens by tokens by w; the head of
    each exit has one of w by the vocabulary, and is walked once either way.
    """
    width, tokens = size["width"], size["tokens"]
    block = 12 * width**2 + 2 * tokens * width
    heads = blocks * width * size["vocabulary"]
    return (blocks * (blocks + 1) // 2 * block + heads) / (blocks * block + heads)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_separate_passes_take_as_long_as_the_blocks_that_they_walk(
    tmp_path: Path, framework: str
) -> None:
    ways = "summed,separate_retained,reforward"
    options = ("--kind=backward", f"--variant=n{BLOCKS}", f"--strategy={ways}")
    phases = ("--phase=backward,gradient",)
    records = compared(tmp_path, framework, "early_exit", *options, *phases)
    by_cell = {(record["strategy"], record["phase"]): record for record in records}
    assert {("separate_retained", "backward"), ("reforward", "gradient")} <= by_cell.keys()
    law = walks(dict(CATALOGUE["early_exit"].sizes["large"]), BLOCKS)
    counted = by_cell["separate_retained", "backward"]["predicted_ratio"]
    assert counted == pytest.approx(law, rel=0.02)  # XLA counts other arithmetic as well
    assert not {cell: off(one) for cell, one in by_cell.items() if off(one) > WITHIN}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_freezing_all_but_the_adapters_saves_the_time_of_what_it_leaves_out(
    tmp_path: Path, framework: str
) -> None:
    recipes = ("unfrozen", *FREEZING[framework])
    options = ("--kind=freeze", "--variant=b05", f"--strategy={','.join(recipes)}")
    phases = ("--phase=gradient,step",)
    records = compared(tmp_path, framework, "low_rank_adapters", *options, *phases)
    by_cell = {(record["strategy"], record["phase"]): record for record in records}
    steps = {recipe for recipe, phase in by_cell if phase == "step"}
    assert steps == set(FREEZING[framework])
    assert {phase for _, phase in by_cell} == {"gradient", "step"}
    assert not {cell: off(one) for cell, one in by_cell.items() if off(one) > WITHIN}
