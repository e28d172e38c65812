"""Compare ways to locate a cell's log ratio, and their intervals, on recorded launches.

All versions ran the same code, so the true log ratio is 0. A way is good where its estimates lie
near 0 and its 95 % intervals are short and hold 0 in 95 % of comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from benchmarks.evaluation.trial.budgets import CELLS, Noise
from benchmarks.evaluation.trial.plan import FRAMEWORKS
from results.regression.decision import WALL
from results.statistics import common_mode, moderation
from results.statistics.estimators import Array

PAIRS = 16  # launch pairs of a comparison
CONFIDENCE = 0.95
HUBER = 1.345  # standard deviations up to which a value counts in full: 95 % efficient if normal
STEPS = 30  # of reweighting, after which Huber's estimate stands still
GROUPS = tuple(i for i in range(len(FRAMEWORKS)) for _ in range(CELLS))


class Located(NamedTuple):
    """Estimates and the ends of their intervals, each [..., cells]."""

    estimate: Array
    low: Array
    high: Array


def mean(d: Array) -> Located:
    """Return the mean with Student's interval; ``d`` is [..., cells, pairs], as below."""
    return _student(d.mean(-1), d.std(-1, ddof=1) / np.sqrt(d.shape[-1]), d.shape[-1] - 1)


def trimmed(d: Array) -> Located:
    """Return the 20 %-trimmed mean with the interval of Tukey & McLaughlin, as `regress` does."""
    located = moderation.locations(d)
    error = np.sqrt(located.variance / d.shape[-1])
    return _student(located.estimate, error, float(np.max(located.dof)))


def median(d: Array) -> Located:
    """Return the median with the interval between two of the ordered values (sign test)."""
    ordered, count = np.sort(d, axis=-1), d.shape[-1]
    cut = max(0, int(scipy.stats.binom.ppf((1 - CONFIDENCE) / 2, count, 0.5)) - 1)
    return Located(np.median(d, axis=-1), ordered[..., cut], ordered[..., count - 1 - cut])


def hodges_lehmann(d: Array) -> Located:
    """Return the median of the means of all pairs of values (Hodges & Lehmann 1963).

    Its interval is that of Wilcoxon's signed-rank test, a permutation test.
    """
    count = d.shape[-1]
    first, second = np.triu_indices(count)
    means = np.sort((d[..., first] + d[..., second]) / 2, axis=-1)
    deviation = np.sqrt(count * (count + 1) * (2 * count + 1) / 24)
    z = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2)
    cut = max(0, int(count * (count + 1) / 4 - z * deviation))
    return Located(np.median(means, axis=-1), means[..., cut], means[..., -1 - cut])


def huber(d: Array) -> Located:
    """Return Huber's estimate (1964), scaled by the median absolute deviation."""
    centre = np.median(d, axis=-1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(d - centre), axis=-1, keepdims=True) + 1e-12
    for _ in range(STEPS):
        far = np.maximum(np.abs(d - centre) / scale, 1e-12)
        weights = np.minimum(1.0, HUBER / far)
        centre = (weights * d).sum(-1, keepdims=True) / weights.sum(-1, keepdims=True)
    count = d.shape[-1]
    standard = (d - centre) / scale
    cut = np.clip(standard, -HUBER, HUBER)
    inside = np.maximum((np.abs(standard) < HUBER).mean(-1), 1 / count)
    error = scale[..., 0] * np.sqrt((cut**2).sum(-1) / (count - 1)) / (inside * np.sqrt(count))
    return _student(centre[..., 0], error, count - 1)


OURS = "20 %-trimmed mean"
WAYS: dict[str, Callable[[Array], Located]] = {
    "mean": mean,
    OURS: trimmed,
    "median": median,
    "Hodges–Lehmann": hodges_lehmann,
    "Huber": huber,
}


def figures(noise: Noise, sessions: int, seed: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return way → ``error``, ``covered`` and ``half_width`` on comparisons of unchanged code.

    Args:
        noise: the launches that comparisons are drawn from.
        sessions: how many comparisons.
        seed: of the draws.

    Returns:
        For each of `WAYS` the root mean square of the estimates and half the mean length of the
        intervals, both as log ratios and as geometric means over cells; and the share of intervals
        that hold 0.
    """
    rng = np.random.default_rng(seed)
    times = np.stack([noise.draw(rng, PAIRS)[WALL] for _ in range(sessions)])
    d = np.swapaxes(times[:, :, 1] - times[:, :, 0], 1, 2)
    own, _ = common_mode.take_out_common(d, GROUPS)
    return {name: _figures(way(own)) for name, way in WAYS.items()}


def _figures(located: Located) -> dict[str, Any]:
    """Return the figures of one way, whose estimates are [sessions, cells]."""
    error = np.sqrt((located.estimate**2).mean(0))
    half = (located.high - located.low).mean(0) / 2
    covered = (located.low <= 0) & (located.high >= 0)
    return {
        "error": float(np.exp(np.log(error).mean())),
        "half_width": float(np.exp(np.log(half).mean())),
        "covered": float(covered.mean()),
    }


def _student(estimate: Array, error: Array, dof: float) -> Located:
    """Return the estimates with Student's interval."""
    half = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, dof) * error
    return Located(estimate, estimate - half, estimate + half)
