"""Choose the constants of the estimator, on the tuning half of the traces alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from benchmarks.evaluation.trial import plan
from benchmarks.evaluation.trial.traces import LaunchSet
from results.statistics import common_mode, launch_pairs, moderation
from results.statistics.estimators import Array

QUANTILES = (5.0, 10.0, 25.0, 50.0)
DROPPED = (0, 1, 3)


class Constants(NamedTuple):
    """Say how a launch is summarised.

    ``quantile`` is that of its samples, in percent; ``drop`` is how many samples are left out at
    the start of each turn.
    """

    quantile: float
    drop: int


def quantile_logs(sets: Sequence[LaunchSet], metric: str, constants: Constants) -> Array:
    """Return the log of each launch's time in seconds per call: [sets, workers, cells].

    The time is the percentile ``constants.quantile`` of the launch's samples, without the first
    ``constants.drop`` of each turn.
    """
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
    """Return the standard deviation of one launch pair's log ratio by cell: [cells].

    The shift that all cells share is taken out, as the estimator does. All pairs of workers in a
    set count, in both orders, so that the mean is 0.
    """
    pairs = list(permutations(range(logs.shape[1]), 2))
    d = np.concatenate([logs[:, b] - logs[:, a] for a, b in pairs]).T
    own, _ = common_mode.take_out_common(d, (0,) * len(d))
    variance = moderation.locations(own).variance
    return np.sqrt(variance)


def spread_by_constants(sets: Sequence[LaunchSet], metric: str) -> dict[Constants, float]:
    """Return the spread of a launch pair for each choice of constants.

    It is the standard deviation of its log ratio, a geometric mean over cells and conditions.
    """
    by_setting = {}
    for constants in (Constants(q, drop) for q in QUANTILES for drop in DROPPED):
        by_setting[constants] = _mean_spread(sets, metric, constants)
    return by_setting


def _mean_spread(sets: Sequence[LaunchSet], metric: str, constants: Constants) -> float:
    """Return the geometric mean over cells and conditions of a launch pair's spread."""
    logs = []
    for condition in plan.CONDITIONS:
        members = [one for one in sets if one.meta.condition == condition]
        if members:
            logs.append(np.log(spreads(quantile_logs(members, metric, constants)) + 1e-6))
    return float(np.exp(np.mean(logs)))


def least_spread(by_setting: dict[Constants, float]) -> Constants:
    """Return the constants with the smallest spread."""
    return min(by_setting, key=lambda constants: by_setting[constants])


DEFAULT = Constants(launch_pairs.QUANTILE, 1)


def spread_by_turn(sets: Sequence[LaunchSet]) -> dict[float, float]:
    """Return length of a turn in seconds → spread of a launch pair, with default constants.

    The spread is the geometric mean over cells, conditions and metrics.
    """
    by_setting = {}
    for turn in plan.TURNS:
        members = [one for one in sets if one.meta.turn == turn]
        if members:
            both = [_mean_spread(members, metric, DEFAULT) for metric in plan.METRICS]
            by_setting[turn] = float(np.exp(np.mean(np.log(both))))
    return by_setting


def least_spread_turn(sets: Sequence[LaunchSet]) -> float:
    """Return the length of a turn in seconds with the smallest spread.

    Without any set it is the first length that is tried.
    """
    by_setting = spread_by_turn(sets)
    return min(by_setting, key=lambda turn: by_setting[turn]) if by_setting else plan.TURNS[0]
