"""Replay whole comparisons of ten cells in ten minutes: alarms, what is found, and its promises.

Sessions are documents like those of `cascade-bench regress`, filled with launches drawn from the
trial's traces and looked at, scheduled and promised by the command's own functions. Only the clock
is made: a pair takes as long as its parts did when the traces were recorded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan as trial
from benchmarks.evaluation.trial import replay, traces
from benchmarks.evaluation.trial.tuning import Constants
from benchmarks.regression import leaving, looks, pace, plan
from benchmarks.regression.pace import Pace, Shape
from benchmarks.regression.promises import Promises
from results.regression import scheduling
from results.regression.decision import WALL
from results.regression.document import new_design, new_document
from results.statistics.estimators import Array
from results.statistics.verdict import FASTER, SLOWER

CELLS = 5  # of each framework: the trial's four, and one of them again from other launches
SECONDS = 600.0
SLOWED = 0.03
# Seconds of one pair, measured with the traces: to start a framework's workers and to prepare one
# cell, for each role; the rest is timing.
START, PREPARE, FIXED = 0.85, 0.24, 20.0


@dataclass(frozen=True)
class Noise:
    """The launches that sessions are drawn from, and what is done to them.

    Attributes:
        name: for the table.
        logs: metric → log times [sets, workers, cells] of the trial's cells.
        factor: of the differences between the launches of a set.
        disturbed: the share of single times that are disturbed.
        by: standard deviation of what is added to these, as a log ratio.
    """

    name: str
    logs: Mapping[str, Array]
    factor: float = 1.0
    disturbed: float = 0.0
    by: float = 0.1

    def draw(self, rng: np.random.Generator, pairs: int) -> dict[str, Array]:
        """Return metric → log times of base, head and control: [pairs, 3, cells]."""
        wall = self.logs[WALL]
        sets, workers, count = wall.shape
        order = [*range(count // 2), int(rng.integers(count // 2))]
        order += [*range(count // 2, count), count // 2 + int(rng.integers(count // 2))]
        picked = rng.integers(sets, size=(pairs, 2))
        roles = rng.permuted(np.tile(np.arange(workers), (pairs, 2, 1)), axis=-1)
        which = [0, 0, 0, 0, 1] * 2  # the fifth cell comes from a set of its own
        hit = rng.random((pairs, 3, len(order))) < self.disturbed
        added = hit * rng.normal(0.0, self.by, hit.shape)
        drawn = {}
        for metric, logs in self.logs.items():
            centre = logs.mean(axis=1, keepdims=True)
            wide = centre + self.factor * (logs - centre)
            columns = [
                wide[picked[:, w, None], roles[:, w], place]
                for w, place in zip(which, order, strict=True)
            ]
            drawn[metric] = np.stack(columns, axis=-1) + added
        return drawn


def cells() -> list[dict[str, str]]:
    """Return the cells of a replayed comparison."""
    return [
        {"framework": framework, "strategy": f"cell {place}"}
        for framework in trial.FRAMEWORKS
        for place in range(CELLS)
    ]


def replayed(
    noise: Noise, seed: Sequence[int], slowed: Mapping[int, float], confirm: float = 0.0
) -> dict[str, Any]:
    """Replay one comparison to its end and return its document.

    Args:
        noise: that its launches come from.
        seed: of the draws.
        slowed: cell → by what share head is slower.
        confirm: seconds after the budget for what then looks slower.
    """
    rng = np.random.default_rng(seed)
    drawn = noise.draw(rng, plan.MOST_PAIRS)
    for cell, share in slowed.items():
        for values in drawn.values():
            values[:, 1, cell] += math.log1p(share)
    times = {metric: np.exp(values) for metric, values in drawn.items()}
    design = new_design()
    document = new_document(
        cells(), design=design, budget_seconds=SECONDS, confirm_seconds=confirm, promises=[]
    )
    clock = Clock(document, times, confirm)
    if not clock.measure_until(SECONDS, None) and confirm:
        chosen = leaving.start_confirming(document)
        if chosen is not None:
            clock.measure_until(SECONDS + confirm, chosen)
    return document


class Clock:
    """Run a comparison on recorded times and a made clock, as `session.ComparisonSession` does."""

    def __init__(self, document: dict[str, Any], times: Mapping[str, Array], confirm: float):
        self.document, self.times, self.whole_seconds = document, times, SECONDS + confirm
        self.now, self.pace, self.cell_seconds = FIXED, Pace(), plan.CELL_SECONDS
        self.promises = Promises(document, lambda _: None)

    def measure_until(self, end: float, chosen: leaving.Chosen | None) -> bool:
        """Add pairs until all is decided or the time is over; return whether all is."""
        while True:
            shape = self._shape()
            count = self.document["pairs"]
            spent = end - self.now < self.pace.expected(shape)
            if count and (spent or count >= plan.MOST_PAIRS):
                taken = looks.take_last_look(self.document, end / self.whole_seconds)
                return taken and leaving.all_decided(self.document, chosen, None)
            self._add_pair(shape)
            due = looks.take_due_look(self.document, self.now / self.whole_seconds)
            if due and self._all_decided(chosen, end):
                return True

    def _shape(self) -> Shape:
        """Return what the next launch pair consists of."""
        measured = [one for one in self.document["cells"] if not one.get("left_after")]
        frameworks = {one["cell"]["framework"] for one in measured}
        control = self.document["design"].get("control_pairs") is None
        return Shape(len(frameworks), len(measured), 3 if control else 2)

    def _add_pair(self, shape: Shape) -> None:
        """Add the times of one launch pair, and let its time pass."""
        pair = self.document["pairs"]
        for place, entry in enumerate(self.document["cells"]):
            if not entry.get("left_after"):
                for metric, values in self.times.items():
                    row: list[float | None] = values[pair, :, place].tolist()
                    if shape.roles == 2:
                        row[2] = None
                    entry["seconds"].setdefault(metric, []).append(row)
        self.document["pairs"] += 1
        starting = START * shape.frameworks * shape.roles
        overhead = starting + PREPARE * shape.cells * shape.roles
        seconds = overhead + self.cell_seconds * shape.cells * shape.roles
        self.now += seconds
        self.pace.add(shape, seconds, starting)
        self.cell_seconds = pace.cell_seconds(
            overhead, shape, plan.CELL_SECONDS, plan.MOST_CELL_SECONDS
        )

    def _all_decided(self, chosen: leaving.Chosen | None, end: float) -> bool:
        """Do as `session.ComparisonSession` does after a look."""

        def announce(standing: scheduling.Standing, cells: Sequence[int]) -> None:
            pair_seconds = self.pace.expected(self._shape())
            self.promises.announce(standing, cells, end - self.now, pair_seconds)

        return leaving.all_decided(self.document, chosen, announce)


def rates(noise: Noise, count: int, seed: int) -> dict[str, Any]:
    """Return how often unchanged comparisons alarm, slowdowns are found, and promises are kept.

    Args:
        noise: that the launches come from.
        count: comparisons of each kind.
        seed: of the draws.
    """
    tally: dict[str, list[float]] = {}
    for index in range(count):
        _count(tally, noise, [seed, index], index % (2 * CELLS))
    return {name: float(np.mean(values)) for name, values in tally.items()} | {
        "sessions": count,
        "promised": len(tally.get("kept", [])),
        "alarm_count": int(sum(tally["alarms"])),
    }


def _count(tally: dict[str, list[float]], noise: Noise, seed: list[int], cell: int) -> None:
    """Add one comparison of unchanged code to the tally, and those with one slowed cell."""
    unchanged = replayed(noise, [*seed, 0], {})
    slowed = replayed(noise, [*seed, 1], {cell: SLOWED})
    seen = {
        "alarms": alarmed(unchanged),
        "pairs": unchanged["pairs"],
        "control": unchanged["design"].get("control_pairs", unchanged["pairs"]),
        "found": calls_slower(slowed, cell),
    }
    promise = next((one for one in slowed["promises"] if one["slowdown"]), None)
    if promise and promise["pairs"] == plan.FIRST_LOOK:
        at = replayed(noise, [*seed, 1], {cell: promise["slowdown"]})
        seen |= {"kept": calls_slower(at, cell), "promise": promise["slowdown"]}
    for name, value in seen.items():
        tally.setdefault(name, []).append(float(value))


def alarmed(document: Mapping[str, Any]) -> bool:
    """Return whether anything of a comparison is called slower or faster, in any metric."""
    standing = scheduling.standing_of(document)
    return standing is not None and bool(np.isin(standing.session.verdicts, (SLOWER, FASTER)).any())


def calls_slower(document: Mapping[str, Any], cell: int) -> bool:
    """Return whether a comparison calls this cell slower."""
    standing = scheduling.standing_of(document)
    return standing is not None and standing.cells[cell] == SLOWER


def noises(folder: Path, half: str) -> list[Noise]:
    """Return the noise of one half of the traces, as recorded and made worse."""
    recorded = traces.load_all(folder)
    saved = json.loads((folder / "replay.json").read_text())["constants"]
    constants = {metric: Constants(**saved[metric]) for metric in trial.METRICS}
    logs = {
        condition: replay.OurSessions.from_sets(
            replay.select_sets(recorded, half, condition), constants, 1
        ).logs
        for condition in trial.CONDITIONS
    }
    return [
        *(Noise(condition, values) for condition, values in logs.items()),
        Noise("quiet, twice as noisy", logs["quiet"], factor=2.0),
        Noise("quiet, 1 time in 20 disturbed by 10 %", logs["quiet"], disturbed=0.05),
    ]
