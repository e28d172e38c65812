"""Compute rates with their intervals, and judge whether the trial reached its pass marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from benchmarks.evaluation.trial import plan, tools
from results.statistics import launch_pairs

MAIN = "wall and CPU"  # the variant of this suite that has to reach the marks
POWER_AT, POWER_MARK = "0.03", 0.80
COVERAGE = (0.93, 0.97)
SUITES = 300  # if none of these alarms, the upper bound of the rate is just under 1 %


class Mark(NamedTuple):
    """Report one pass mark: the requirement, the figures, and the cause if it was not reached."""

    requirement: str
    reached: bool
    evidence: str
    cause: str


def upper_bound(hits: int, of: int) -> float:
    """Return Clopper and Pearson's one-sided 95 % upper bound of a rate (1934).

    ``hits`` of ``of`` trials were positive. The bound is 1 if all were, or if there were no trials.
    """
    return float(scipy.stats.beta.ppf(0.95, hits + 1, of - hits)) if of > hits else 1.0


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % interval of the rate ``hits / of`` (1927)."""
    interval = scipy.stats.binomtest(hits, of).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def power_of(power: Mapping[str, Any], fraction: str) -> tuple[int, int]:
    """Return how many slowed cells were found over all cells, and how many there were.

    Args:
        power: slowdown → counts, as of `replay.our_power`.
        fraction: the slowdown as a key of ``power``, such as ``"0.03"``.
    """
    one = power[fraction]
    return sum(one["cells"]), one["of"] * len(one["cells"])


def best_setting(entry: Mapping[str, Any]) -> str:
    """Return the name of the tool's setting that finds most slowed cells on the tuning half.

    ``entry`` are the figures of one tool in `replay_tools.tool_figures`; the settings alarm equally
    often.
    """
    settings = entry["settings"]
    return max(settings, key=lambda name: settings[name]["promise"])


def marks(replayed: Mapping[str, Any], cells: Mapping[str, Any]) -> list[Mark]:
    """Judge the four marks: silence, power, order among the tools, and coverage.

    Args:
        replayed: the figures of `evaluate.evaluate`.
        cells: condition → cell → figures, see `summary.summarise`.
    """
    return [
        _silence(replayed),
        _power(replayed["conditions"]["bursty"], cells["bursty"]),
        _ahead(replayed),
        _covered(replayed),
    ]


def _silence(replayed: Mapping[str, Any]) -> Mark:
    """Judge whether no replayed session of unchanged code raised an alarm.

    ``replayed`` are the figures of `evaluate.evaluate`.
    """
    alarms = [one["ours"][MAIN]["alarms"] for one in replayed["conditions"].values()]
    apart = [one["disjoint"] for one in replayed["conditions"].values()]
    hits, of = (sum(a[key] for a in alarms) for key in ("suite_alarms", "suites"))
    few, alone = (sum(a[key] for a in apart) for key in ("suite_alarms", "suites"))
    bound = upper_bound(hits, of)
    evidence = (
        f"{hits} alarms in {of} replayed sessions (upper bound {bound:.2%} if they were "
        f"independent, which they are not: they share launches); {few} in the {alone} that share "
        f"none (upper bound {upper_bound(few, alone):.0%})"
    )
    reached = hits == 0 and of >= SUITES
    cause = "" if reached else "; ".join(_alarm_causes(replayed))
    return Mark(f"no alarm in at least {SUITES} unchanged suites", reached, evidence, cause)


def _alarm_causes(replayed: Mapping[str, Any]) -> list[str]:
    """Return for each condition with alarms a text about their cause.

    ``replayed`` are the figures of `evaluate.evaluate`.
    """
    parts = []
    for condition, one in replayed["conditions"].items():
        alarms = one["ours"][MAIN]["alarms"]
        if alarms["suite_alarms"]:
            parts.append(
                f"{condition}: {alarms['suite_alarms']} alarms, {alarms['common_alarms']} of them "
                "by a common mode; normal noise as wide as these launches' makes "
                f"{one['normal_alarms']} in as many sessions, "
                + _normal_share(alarms["suite_alarms"], one["normal_alarms"])
            )
    return parts


def _normal_share(hits: int, normal: int) -> str:
    """Return the part of a sentence that says what causes the alarms.

    ``hits`` alarms came of the recorded launches and ``normal`` of normal noise as wide: it
    explains as many, and the tails of the launches the rest.
    """
    if hits > normal:
        return "what is more comes from their tails"
    return "so these are what the level α allows, which no session is without"


def _power(bursty: Mapping[str, Any], cells: Mapping[str, Any]) -> Mark:
    """Judge whether enough cells slowed by 3 % were found, in the time of a decision.

    Args:
        bursty: the figures of `evaluate.evaluate` under bursty load.
        cells: cell → figures of `summary.summarise` under that condition.
    """
    ours = bursty["ours"][MAIN]
    hits, of = power_of(ours["power"], POWER_AT)
    low, high = wilson(hits, of)
    seconds = bursty["pair_seconds"] * bursty["looks"][-1] / len(plan.SUBJECTS)
    evidence = (
        f"{hits / of:.1%} [{low:.1%}, {high:.1%}] of the cells slowed by 3 %, in at most "
        f"{seconds:.0f} s a decision ({bursty['looks'][-1]} launch pairs)"
    )
    reached = hits / of >= POWER_MARK and seconds <= plan.DECISION_SECONDS
    cause = "" if reached else _power_cause(bursty, ours, cells, seconds)
    return Mark(f"≥ {POWER_MARK:.0%} of +3 % found under bursty load", reached, evidence, cause)


def _power_cause(
    bursty: Mapping[str, Any], ours: Mapping[str, Any], cells: Mapping[str, Any], seconds: float
) -> str:
    """Return a text on why too few slowed cells were found, or a decision took too long.

    ``ours`` are this suite's figures in ``bursty``; ``seconds`` is the time of a decision. The
    other arguments are those of `_power`.
    """
    parts = []
    if seconds > plan.DECISION_SECONDS:
        parts.append(f"{bursty['looks'][-1]} launch pairs take {seconds:.0f} s a decision")
    one = ours["power"][POWER_AT]
    for (name, figures), count in zip(cells.items(), one["cells"], strict=True):
        if count / one["of"] < POWER_MARK:
            parts.append(
                f"{name}: found {count / one['of']:.0%}, a launch pair's SD is "
                f"{figures['pair_sd_wall']:.1%} on the wall and {figures['pair_sd_cpu']:.1%} in "
                "CPU time"
            )
    left = ours["alarms"]["control_left"]
    if left > 0.05:
        parts.append(
            f"base against base left ±{launch_pairs.MARGIN:.0%} in {left:.0%} of the sessions, "
            "which makes them inconclusive"
        )
    return "; ".join(parts)


def _ahead(replayed: Mapping[str, Any]) -> Mark:
    """Judge whether this suite finds more cells slowed by 3 % than every other tool.

    Thresholds are those at which all alarm equally often on the tuning half. ``replayed`` are the
    figures of `evaluate.evaluate`.
    """
    parts, behind = [], []
    for condition, one in replayed["conditions"].items():
        hits, of = power_of(one["ours"][MAIN]["power"], POWER_AT)
        others = []
        for tool, entry in one["tools"].items():
            setting = best_setting(entry)
            theirs, count = power_of(entry["settings"][setting]["power"], POWER_AT)
            others.append(f"{tool} {theirs / count:.1%}")
            if theirs / count >= hits / of:
                raised = entry["settings"][setting]["alarms"]
                behind.append(
                    f"{condition}: {tool} ({setting}) finds {theirs / count:.1%}; its threshold, "
                    f"matched on the tuning half, alarms in {raised['suite_slower']} of "
                    f"{raised['suites']} suites of the report half"
                )
        parts.append(f"{condition}: this suite {hits / of:.1%}, {', '.join(others)}")
        behind += [
            f"{condition}: {tool} has no figure ({why})"
            for tool, why in one["missing"].items()
            if tool in tools.TOOLS
        ]
    requirement = "ahead of the other four at a matched alarm rate, +3 %"
    return Mark(requirement, not behind, "; ".join(parts), "; ".join(behind))


def _covered(replayed: Mapping[str, Any]) -> Mark:
    """Judge whether the 95 % intervals contain the true ratio as often as they should.

    ``replayed`` are the figures of `evaluate.evaluate`.
    """
    shares, outside = [], []
    for condition, one in replayed["conditions"].items():
        for metric, looks in one["coverage"].items():
            for pairs, rows in looks.items():
                share = float(np.mean(rows))
                shares.append(share)
                if not COVERAGE[0] <= share <= COVERAGE[1]:
                    outside.append(
                        f"{condition}, {metric}, {pairs} pairs: {share:.1%} over all rows, the "
                        f"least in one row {min(rows):.1%}"
                    )
    span = f"{min(shares):.1%} to {max(shares):.1%}"
    evidence = f"{span} over condition, metric and look, {plan.TRIALS} sessions each"
    cause = "; ".join(outside)
    if cause:
        cause += "; the rows' spreads differ more than their common prior allows for, or have tails"
    return Mark("nominal 95 % intervals cover in 93–97 %", not outside, evidence, cause)
