"""Chooses the estimator's constants, on the tuning half of the traces alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from benchmarks.evaluation.trial import plan
from benchmarks.evaluation.trial.traces import LaunchSet
from results.statistics import launch_pairs, moderation
from results.statistics.estimators import Array

QUANTILES = (5.0, 10.0, 25.0, 50.0)
DROPPED = (0, 1, 3)


class Constants(NamedTuple):
    """Which quantile of a launch's samples, in percent, and how many are left out of each turn."""

    quantile: float
    drop: int


def quantile_logs(sets: Sequence[LaunchSet], metric: str, constants: Constants) -> Array:
    """log of the quantile of each worker's samples: [sets, workers, cells]."""
    return np.array(
        [
            [
                [
                    np.log(np.percentile(one.turns(s.id, w, metric, constants.drop), constants[0]))
                    for s in plan.SUBJECTS
                ]
                for w in range(plan.WORKERS)
            ]
            for one in sets
        ]
    )


def spreads(logs: Array) -> Array:
    """The SD of one launch pair's d, its common mode taken out, as the estimator sees it: [cells].

    Of all pairs of workers in a set, either way round, so that it lies about 0.
    """
    pairs = list(permutations(range(logs.shape[1]), 2))
    d = np.concatenate([logs[:, b] - logs[:, a] for a, b in pairs]).T
    own, _ = launch_pairs.take_out_common(d, (0,) * len(d))
    variance = moderation.locations(own).variance
    return np.sqrt(variance)


def grid(sets: Sequence[LaunchSet], metric: str) -> dict[Constants, float]:
    """Constants → SD of a launch pair, the geometric mean over cells and conditions."""
    found = {}
    for constants in (Constants(q, drop) for q in QUANTILES for drop in DROPPED):
        found[constants] = _mean_spread(sets, metric, constants)
    return found


def _mean_spread(sets: Sequence[LaunchSet], metric: str, constants: Constants) -> float:
    logs = []
    for condition in plan.CONDITIONS:
        chosen = [one for one in sets if one.meta.condition == condition]
        if chosen:
            logs.append(np.log(spreads(quantile_logs(chosen, metric, constants)) + 1e-6))
    return float(np.exp(np.mean(logs)))


def best(found: dict[Constants, float]) -> Constants:
    """The constants that spread least."""
    return min(found, key=lambda constants: found[constants])


DEFAULT = Constants(launch_pairs.QUANTILE, 1)


def by_turn(sets: Sequence[LaunchSet]) -> dict[float, float]:
    """Length of a turn in seconds → SD of a launch pair with the usual constants, wall and CPU."""
    found = {}
    for turn in plan.TURNS:
        chosen = [one for one in sets if one.meta.turn == turn]
        if chosen:
            both = [_mean_spread(chosen, metric, DEFAULT) for metric in plan.METRICS]
            found[turn] = float(np.exp(np.mean(np.log(both))))
    return found


def best_turn(sets: Sequence[LaunchSet]) -> float:
    """The length of a turn that spread least; the first of `plan.TURNS` where nothing is known."""
    found = by_turn(sets)
    return min(found, key=lambda turn: found[turn]) if found else plan.TURNS[0]
