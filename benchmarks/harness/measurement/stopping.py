"""Decide when a group has been measured enough: when its ratios are as precise as required.

Most of the noise differs from launch to launch, so launches are added, in steps. The rule looks
only at the widths of the intervals, never at the ratios themselves: a rule that could stop at a
ratio that somebody hopes for would report such ratios too often.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.harness.measurement.job import StoppingRule
from results.statistics.estimators import LAUNCHES_FOR_INTERVAL, log_ratios
from results.statistics.moderation import NO_PRIOR, Prior, moderate
from results.statistics.verdict import half_width

STEPS = (10, 16, 24)  # launches at which the widths are looked at again
# reasons to stop measuring a group
REACHED, LAUNCHES, TIME, NOTHING = "precision", "launches", "time", "nothing to compare"

Launches = Sequence[Sequence[float]]
Samples = Mapping[str, Launches]


@dataclass(frozen=True)
class PrecisionGoal:
    """State how precise the ratios of one group must be.

    Args:
        asked: half the width of every ratio's 95 % interval, relative.
        most: the largest number of launches.
        seconds: after so many in a group, no further step begins.
        baseline: the strategy or recipe that the ratios refer to.
        prior: the spread of the framework's ratios so far in the session.
    """

    asked: float
    most: int
    seconds: float
    baseline: str
    prior: Prior = NO_PRIOR

    def rule(self) -> StoppingRule:
        """Return the goal as plain JSON data."""
        # JSON has no infinity: a variance that many cells agree on has very many degrees of freedom
        prior = [value if math.isfinite(value) else 1e9 for value in self.prior]
        return {
            "asked": self.asked,
            "most": self.most,
            "seconds": self.seconds,
            "baseline": self.baseline,
            "prior": prior if self.prior.dof else None,
        }

    @classmethod
    def from_rule(cls, rule: StoppingRule) -> PrecisionGoal:
        """Make a goal from plain JSON data."""
        prior = Prior(*rule["prior"]) if rule["prior"] else NO_PRIOR
        return cls(rule["asked"], rule["most"], rule["seconds"], rule["baseline"], prior)

    def steps(self, launches: int) -> Iterator[int | None]:
        """Yield the number of launches after each further step, and finally None."""
        for step in (*(s for s in STEPS if s < self.most), self.most):
            if step > launches:
                yield step
        yield None

    def stop(self, samples: Samples, following: int | None, seconds: float) -> str | None:
        """Return why the group stops here; None to go on.

        Args:
            samples: strategy → seconds per call [launches, samples], of the cells without failure.
            following: number of launches after the next step, None if there is no such step.
            seconds: spent on the group so far.
        """
        compared = self._compared(samples)
        if not compared:
            return NOTHING
        if all(self._width(samples[self.baseline], cell) <= self.asked for cell in compared):
            return REACHED
        if following is None:
            return LAUNCHES
        return TIME if seconds > self.seconds else None

    def _compared(self, samples: Samples) -> list[Launches]:
        """Return the samples of the cells that have a ratio, which are none without a baseline."""
        others = [cell for name, cell in samples.items() if name != self.baseline]
        return others if self.baseline in samples else []

    def _width(self, baseline: Launches, cell: Launches) -> float:
        """Return half the relative width of the 95 % interval of a cell's ratio to the baseline.

        It is infinite with too few launches for an interval.
        """
        d = log_ratios(baseline, cell)
        return math.inf if len(d) < LAUNCHES_FOR_INTERVAL else half_width(moderate(d, self.prior))


def parse_precision(text: str) -> float:
    """Return the fraction that ``1%`` or ``0.01`` stands for.

    Raises:
        ValueError: the text is neither, or not between 0 and 1.
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise ValueError(
            f"--precision {text!r} must be above 0 and below 100 %, such as 1% or 0.01"
        )
    return value
