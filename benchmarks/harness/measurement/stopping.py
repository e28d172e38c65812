"""Going on until the ratios are as precise as was asked for, or the time is up.

What differs from launch to launch is most of the noise, so more launches are taken, in steps, and
after each the widths of the intervals are looked at, never the ratios: a rule that stopped at a
welcome ratio would find one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from results.statistics.estimators import LAUNCHES_FOR_INTERVAL, log_ratios
from results.statistics.moderation import NO_PRIOR, Prior, moderate
from results.statistics.verdict import half_width

STEPS = (10, 16, 24)  # launches at which the widths are looked at again
# why measuring a group stopped
REACHED, LAUNCHES, TIME, NOTHING = "precision", "launches", "time", "nothing to compare"

Launches = Sequence[Sequence[float]]
Samples = Mapping[str, Launches]


@dataclass(frozen=True)
class PrecisionGoal:
    """What was asked for: half the 95 % interval's width, relative, of every ratio of a group.

    ``most`` launches at most, and no new step after ``seconds`` in a group.
    """

    asked: float
    most: int
    seconds: float
    baseline: str
    prior: Prior = NO_PRIOR

    def job(self) -> dict[str, Any]:
        """As plain JSON data."""
        # JSON has no infinity: what many cells agree on counts for very many
        prior = [value if math.isfinite(value) else 1e9 for value in self.prior]
        return {**asdict(self), "prior": prior if self.prior.dof else None}

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> PrecisionGoal:
        prior = Prior(*job["prior"]) if job["prior"] else NO_PRIOR
        return cls(**{**job, "prior": prior})

    def steps(self, launches: int) -> Iterator[int | None]:
        """How many launches there are to be after each further step; at last None, for no more."""
        for step in (*(s for s in STEPS if s < self.most), self.most):
            if step > launches:
                yield step
        yield None

    def stop(self, samples: Samples, following: int | None, seconds: float) -> str | None:
        """Why the group stops here, None to go on.

        Args:
            samples: strategy to one row of times a launch, of what went well so far.
            following: launches after the next step, None if there is none.
            seconds: what the group took so far.
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
        others = [cell for name, cell in samples.items() if name != self.baseline]
        return others if self.baseline in samples else []

    def _width(self, baseline: Launches, cell: Launches) -> float:
        d = log_ratios(baseline, cell)
        return math.inf if len(d) < LAUNCHES_FOR_INTERVAL else half_width(moderate(d, self.prior))


def parsed(text: str) -> float:
    """``1%`` or ``0.01`` as a fraction. Raises ValueError where it is neither, or not in (0, 1)."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise ValueError(
            f"--precision {text!r} must be above 0 and below 100 %, such as 1% or 0.01"
        )
    return value
