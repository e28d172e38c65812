"""Write the sections of the trial's page that are tables of rates and figures.

``replayed`` are the figures of `evaluate.evaluate`, ``summarised`` those of `summary.summarise`.
Each function returns lines of Markdown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.evaluation.trial import plan, rates
from benchmarks.evaluation.trial.plan import OURS
from results.formatting import NOTHING, seconds_text
from results.statistics import launch_pairs

SLOWER_WORDS = [f"+{round(100 * f)} %" for f in plan.SLOWDOWNS]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> list[str]:
    """Return the lines of a Markdown table and an empty line.

    The first ``text_columns`` are aligned as text, all others as numbers.
    """
    rule = ["---"] * text_columns + ["---:"] * (len(titles) - text_columns)
    return [f"| {' | '.join(row)} |" for row in (titles, rule, *rows)] + [""]


def percent(hits: int, of: int) -> str:
    """Return a rate with Wilson's 95 % interval as text, in percent: ``1.0 [0.5, 2.0]``."""
    low, high = rates.wilson(hits, of)
    return f"{100 * hits / of:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def prose(text: str, bullet: str = "") -> list[str]:
    """Return the lines of a text wrapped to 98 characters; ``bullet`` starts the first one."""
    return textwrap.wrap(
        text,
        98,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def alarms(replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on the false alarms of every tool with its usual setting."""
    rows = []
    for condition, one in replayed["conditions"].items():
        counts = {OURS: one["ours"][rates.MAIN]["alarms"]}
        counts |= {tool: entry["alarms"] for tool, entry in one["tools"].items()}
        for tool, count in counts.items():
            single = percent(count["slower"], count["comparisons"])
            suite = percent(count["suite_slower"], count["suites"])
            rows.append([condition, tool, single, suite])
    return [
        "## False alarms",
        "",
        *prose(
            "Unchanged code called slower, % with Wilson's 95 % interval, each tool with its "
            f"usual setting; {plan.TRIALS} replayed suites each. The intervals take the replays "
            "as independent, which they are not: they share launches."
        ),
        "",
        "![Alarms](trial/alarms.svg)",
        "",
        *table(["condition", "tool", "of single comparisons", "of whole suites"], rows, 2),
    ]


def power(replayed: Mapping[str, Any], *, matched: bool) -> list[str]:
    """Return the lines of the section on the slowdowns that every tool finds.

    Thresholds are the usual ones, or with ``matched`` those at which all alarm equally often.
    """
    rows = []
    for condition, one in replayed["conditions"].items():
        powers = {OURS: ("", one["ours"][rates.MAIN]["power"])}
        for tool, entry in one["tools"].items():
            name = rates.best_setting(entry)
            chosen = entry["settings"][name] if matched else entry
            text = name.replace("X", f"{chosen['threshold']:.4g}") if matched else ""
            powers[tool] = (text, chosen["power"])
        for tool, (text, power) in powers.items():
            figures = [percent(*rates.power_of(power, str(f))) for f in plan.SLOWDOWNS]
            rows.append([condition, tool, f"`{text}`" if text else NOTHING, *figures])
    heading = (
        [
            "## What is found at a matched alarm rate",
            "",
            *prose(
                "Each tool's threshold moved, on the tuning half, until it alarms in no more "
                "suites than this suite does there; of a tool's settings the one that then finds "
                "most there."
            ),
            "",
            "![Power](trial/power.svg)",
            "",
        ]
        if matched
        else ["## What is found", "", "One slowed cell among unchanged ones, % found slower.", ""]
    )
    return heading + table(["condition", "tool", "setting", *SLOWER_WORDS], rows, 3)


def ours(replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on this suite's alarms and power, by metric."""
    rows = []
    for condition, one in replayed["conditions"].items():
        for variant, figures in one["ours"].items():
            alarms, power = figures["alarms"], figures["power"]
            cells = [percent(*rates.power_of(power, str(f))) for f in plan.SLOWDOWNS]
            everything = power[rates.POWER_AT]
            rows.append(
                [
                    condition, variant, percent(alarms["suite_alarms"], alarms["suites"]), *cells,
                    percent(everything["everything"], everything["of"]),
                    f"{alarms['pairs']:.1f}", f"{100 * alarms['control_left']:.1f}",
                    f"{100 * alarms['equal']:.0f}",
                ]
            )  # fmt: skip
    titles = [
        "condition", "metric", "alarms, either way", *SLOWER_WORDS, "everything +3 %",
        "launch pairs", "control left", "called equal",
    ]  # fmt: skip
    return [
        "## This suite, metric by metric",
        "",
        *prose(
            "All in %, but for the launch pairs that an unchanged session takes. *Everything* is "
            "the common mode's row; *control left*: base against base left the margin, so the "
            f"session says inconclusive. The margin is {100 * launch_pairs.MARGIN:.0f} %: of a "
            "slowdown of just as much half can be found at best."
        ),
        "",
        *table(titles, rows, 2),
    ]


def coverage(replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on how often the 95 % intervals contain the true ratio."""
    rows = []
    for condition, one in replayed["conditions"].items():
        for metric, looks in one["coverage"].items():
            for pairs, shares in looks.items():
                mean = sum(shares) / len(shares)
                figures = [f"{100 * value:.1f}" for value in (mean, min(shares), max(shares))]
                rows.append([condition, metric, pairs, *figures])
    titles = ["condition", "metric", "launch pairs", "mean", "least row", "most"]
    return [
        "## Coverage of the 95 % intervals",
        "",
        f"% of {plan.TRIALS} replayed sessions whose interval holds the true ratio, 1.",
        "",
        *table(titles, rows, 2),
    ]


def constants(replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on the constants that the tuning half chose."""
    quantiles = sorted({q for q, _, _ in replayed["grid"]["wall"]})
    drops = sorted({drop for _, drop, _ in replayed["grid"]["wall"]})
    rows = []
    for metric, grid in replayed["grid"].items():
        cells = {(q, drop): sd for q, drop, sd in grid}
        for drop in drops:
            row = [f"{100 * cells[q, drop]:.2f}" for q in quantiles]
            rows.append([metric, str(drop), *row])
    chosen = ", ".join(
        f"{metric}: {c['quantile']:g} % quantile, {c['drop']} dropped"
        for metric, c in replayed["constants"].items()
    )
    turns = ", ".join(f"{1e3 * turn:g} ms: {100 * sd:.2f} %" for turn, sd in replayed["turns"])
    return [
        "## Constants, from the tuning half",
        "",
        *prose(
            "SD of one launch pair in %, its common mode taken out (geometric mean over cells and "
            "conditions), by the quantile of a launch's samples and how many samples are dropped "
            f"at the start of each turn. Chosen: {chosen}."
        ),
        "",
        *table(["metric", "dropped", *(f"{q:g} %" for q in quantiles)], rows, 2),
        *prose(
            f"By the length of a turn: {turns}. The report half was recorded with "
            f"{1e3 * replayed['turn']:g} ms."
        ),
        "",
    ]


def cells(summarised: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on the raw traces: a row for each condition and cell."""
    rows = []
    for condition, cells in summarised["conditions"].items():
        for name, one in cells.items():
            keys = ("launch_sd", "within_launch_cv", "pair_sd_wall", "pair_sd_cpu")
            spreads = [f"{100 * one[key]:.2f}" for key in keys]
            more = [f"{one['autocorrelation']:.2f}", f"{one['cpu_over_wall']:.2f}"]
            rows.append([condition, name, seconds_text(one["seconds"]), *spreads, *more])
    titles = [
        "condition", "cell", "time", "SD of a launch, %", "CV within, %", "SD of a pair, wall, %",
        "SD of a pair, CPU, %", "lag-1 autocorrelation", "CPU / wall",
    ]  # fmt: skip
    return [
        "## The traces",
        "",
        "More in [trial/summary.json](trial/summary.json).",
        "",
        "![Spread](trial/spread.svg)",
        "",
        *table(titles, rows, 2),
    ]
