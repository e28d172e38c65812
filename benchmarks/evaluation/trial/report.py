"""Write ``docs/trial.md``, its plots and the summary of the raw traces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evaluation.trial import live as live_module
from benchmarks.evaluation.trial import (
    machines,
    plan,
    rates,
    sections,
    side_by_side,
    summary,
    tools,
    traces,
)
from benchmarks.evaluation.trial.plan import OURS
from benchmarks.evaluation.trial.traces import TraceError
from benchmarks.evaluation.trial.tuning import Constants
from results.formatting import NOTHING


def write(folder: Path, docs: Path) -> None:
    """Write the page ``trial.md``, its plots and the summary of the traces.

    Args:
        folder: the folder of the traces and of the results of the earlier stages.
        docs: the folder that the page goes to; plots and summary go to ``trial`` in it.

    Raises:
        TraceError: there was no replay yet.
    """
    from benchmarks.evaluation.trial import plots  # matplotlib is of the extra `trial`

    replayed = _read(folder / "replay.json")
    if replayed is None:
        raise TraceError(
            f"{folder} holds no replay.json; run: python -m benchmarks.evaluation.trial replay"
        )
    constants = {m: Constants(**replayed["constants"][m]) for m in plan.METRICS}
    sets = traces.load_all(folder)
    summarised = summary.summarise(sets, constants, machines.read(folder))
    (docs / "trial").mkdir(parents=True, exist_ok=True)
    (docs / "trial" / "summary.json").write_text(json.dumps(summarised, indent=1) + "\n")
    plots.draw(replayed, summarised["conditions"], docs / "trial")
    text = page(
        replayed,
        summarised,
        _read(folder / "agreement.json"),
        _read(folder / "live.json"),
        side_by_side.section(folder.parent),
    )
    (docs / "trial.md").write_text(text)
    print(f"written: {docs / 'trial.md'}")


def _read(path: Path) -> Any:
    """Return the content of a JSON file; None if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def page(
    replayed: Mapping[str, Any],
    summarised: Mapping[str, Any],
    agreement: Mapping[str, Any] | None,
    live: Mapping[str, Any] | None,
    machines_section: Sequence[str] = (),
) -> str:
    """Return the whole page as Markdown.

    Args:
        replayed: the figures of `evaluate.evaluate`.
        summarised: the summary of the traces, see `summary.summarise`.
        agreement: the counts of `agreement.check`, or None.
        live: the results of `live.run`, or None.
        machines_section: the lines about all machines, see `side_by_side.section`.
    """
    lines = [
        *_head(replayed, summarised),
        *machines_section,
        *_marks(rates.marks(replayed, summarised["conditions"])),
        *sections.alarms(replayed),
        *sections.power(replayed, matched=False),
        *sections.power(replayed, matched=True),
        *sections.ours(replayed),
        *sections.coverage(replayed),
        *sections.constants(replayed),
        *sections.cells(summarised),
        *_agreement(agreement),
        *_live(live, replayed),
        *_limits(replayed),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _head(replayed: Mapping[str, Any], summarised: Mapping[str, Any]) -> list[str]:
    """Return the lines of title, question, machine and the description of the trial.

    The arguments are those of `page`, as in all functions below it.
    """
    machine = summarised["machine"]
    names = ", ".join(f"{name} {machine[name]}" for name in machines.PACKAGES)
    lines = [
        "# The trial: who raises false alarms, and who finds what",
        "",
        *sections.prose(
            "Written by `make trial`. Two versions of code are compared; head is unchanged, or "
            "slower by a known factor. How often does each tool raise a false alarm, and how "
            "often does it find the slowdown, in the same wall time?"
        ),
        "",
        *sections.prose(
            "All rates but those of the section *Machine by machine* are of one machine: "
            f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}, "
            f"Python {machine['python']}, {names}."
        ),
        "",
    ]
    for text in _setting(replayed, summarised):
        lines += sections.prose(text, "- ")
    return [*lines, ""]


def _setting(replayed: Mapping[str, Any], summarised: Mapping[str, Any]) -> list[str]:
    """Return the points, as texts, that describe how the trial was made."""
    counts = "; ".join(
        f"{half} half: {', '.join(f'{n} {condition}' for condition, n in each.items())}"
        for half, each in replayed["sets"].items()
    )
    return [
        f"**Suite.** {len(plan.SUBJECTS)} cells of this suite, four in torch and the same four in "
        f"jax. A decision may take {plan.DECISION_SECONDS:.0f} s, so a whole comparison "
        f"{plan.SUITE_SECONDS:.0f} s, for every tool, the start of its processes included. All "
        "run on one core, one thread each.",
        "**Conditions.** Quiet; and bursty: a second process takes one core with memory traffic, "
        f"on and off for {plan.BURST[0]} to {plan.BURST[1]:.0f} s at random.",
        f"**Traces.** {summarised['seconds']['total'] / 60:.0f} minutes: sets of three fresh "
        f"launches of each framework, all of the same code ({counts}). Constants and thresholds "
        "come from the tuning half, all figures from the other. One rule of this suite, that what "
        "an early look found is taken back where more pairs bring it within the margin, was added "
        "after looking at alarms in the report half of the traces of 2026-11-21, 6 in 4,000 "
        "unchanged sessions then.",
        "**Replay.** Sessions are drawn from the launches with replacement, and who plays base or "
        "head is drawn too, so the truth is a ratio of exactly 1. A slowdown is a factor on head.",
        f"**This suite** takes {_pairs(replayed)}; its verdict uses wall and CPU time as one "
        "family.",
        f"**The others.** pytest-benchmark has one process a side ({plan.LONG_SECONDS:.0f} s a "
        "cell recorded, less than its share of the time; see the end). pyperf, asv (interleaved "
        f"rounds, `--record-samples`) and the benchstat-like U test have {_processes(replayed)} a "
        "side and cell.",
    ]


def _pairs(replayed: Mapping[str, Any]) -> str:
    """Return a text: seconds of a launch pair and launch pairs at each look, by condition."""
    return ", ".join(
        f"{one['pair_seconds']:.1f} s a launch pair {condition} (looks after "
        f"{', '.join(map(str, one['looks']))})"
        for condition, one in replayed["conditions"].items()
    )


def _processes(replayed: Mapping[str, Any]) -> str:
    """Return a text: how many processes the other tools have on each side, and why fewer."""
    least = min(one["processes"] for one in replayed["conditions"].values())
    if least < replayed["processes"]:
        return f"{least} processes (time allows {replayed['processes']}; no more were recorded)"
    return f"{least} processes"


def _marks(marks: Sequence[rates.Mark]) -> list[str]:
    """Return the lines of the section on the pass marks, with the causes of those missed."""
    lines = ["## What was asked for", ""]
    rows = [[m.requirement, "yes" if m.reached else "**no**", m.evidence] for m in marks]
    lines += sections.table(["mark", "reached", "seen"], rows, 3)
    missed = [m for m in marks if not m.reached]
    if missed:
        lines += ["Not reached, and the cause:", ""]
        for mark in missed:
            lines += sections.prose(f"{mark.requirement}: {mark.cause or 'no cause found'}.", "- ")
        lines.append("")
    return lines


def _agreement(agreement: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of the section on rules against real commands."""
    lines = ["## Do the rules say what the commands say?", ""]
    if agreement is None:
        return [*lines, "Not checked: the replay was stopped before it.", ""]
    rows = []
    for tool, one in agreement.items():
        if "missing" in one:
            rows.append([tool, NOTHING, NOTHING, _why(one["missing"])])
        else:
            rows.append([tool, f"{one['agree']} of {one['cells']}", str(one["slower"]), ""])
    return [
        *lines,
        *sections.prose(
            "Recorded traces, some slowed, told to the tools' real commands through a replaying "
            "timer or their own file format (`pytest --benchmark-compare-fail=median:5%`, `pyperf "
            "compare_to`, `asv continuous` on two commits of a throw-away repository), cell by "
            "cell. The U test is scipy's own."
        ),
        "",
        *sections.table(["tool", "agree", "of these slower", "missing"], rows),
    ]


def _live(live: Mapping[str, Any] | None, replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on the live measurements."""
    lines = ["## Live, under bursty load", ""]
    if not live:
        return [*lines, "Not run.", ""]
    rows = []
    for key, one in live.items():
        tool, fraction = key.rsplit(" ", 1)
        head = "unchanged" if float(fraction) == 0 else f"+{100 * float(fraction):.0f} %"
        if "missing" in one:
            reason = _why(one["missing"])
            rows.append([tool, head, NOTHING, _replayed(replayed, tool, fraction), reason])
            continue
        slower = ", ".join(one["slower"]) or "none"
        count = f"{len(one['slower'])} of {one['cells']}"
        rows.append([tool, head, count, _replayed(replayed, tool, fraction), slower])
    titles = ["tool", "head", "cells called slower", "replayed rate, %", "which"]
    return [
        *lines,
        *sections.prose(
            "Real commands on real code; slowed, head spins 5 % of the time of one torch and one "
            "jax cell. This suite to its first look over all cells, the others on those two cells "
            f"with fewer processes ({live_module.PROCESSES} a side) or less time. A few "
            "comparisons cannot prove a rate: they show that nothing is far off."
        ),
        "",
        *sections.table(titles, rows, 2),
    ]


def _why(missing: str) -> str:
    """Return the end of a reason on one line, without the folders of this machine."""
    return re.sub(r"(?:/[\w.+-]+)+/", "…/", " ".join(missing.split()))[-200:].replace("|", "/")


def _replayed(replayed: Mapping[str, Any], tool: str, fraction: str) -> str:
    """Return the replayed rate under bursty load beside which a live result stands, in %.

    Args:
        replayed: the figures of `evaluate.evaluate`.
        tool: this suite or another tool.
        fraction: the slowdown as text; for ``"0"`` the rate is that of false alarms.
    """
    one = replayed["conditions"]["bursty"]
    entry = one["ours"][rates.MAIN] if tool == OURS else one["tools"].get(tool)
    if entry is None:
        return NOTHING
    if float(fraction) == 0:
        return f"{100 * entry['alarms']['slower'] / entry['alarms']['comparisons']:.1f}"
    hits, of = rates.power_of(entry["power"], str(float(fraction)))
    return f"{100 * hits / of:.1f}"


def _limits(replayed: Mapping[str, Any]) -> list[str]:
    """Return the lines of the section on what the trial cannot show."""
    seconds = []
    for condition, one in replayed["conditions"].items():
        if one["by_seconds"]:
            each = ", ".join(f"{s} s {100 * share:.1f} %" for s, share in one["by_seconds"].items())
            seconds.append(f"{condition} {each}")
    apart = sum(one["disjoint"]["suites"] for one in replayed["conditions"].values())
    points = [
        "Replayed sessions share launches: thousands of them say what these launches would lead "
        f"to, not what others would. Sessions that share none: {apart}. Three hundred of them "
        f"would take {300 * plan.SUITE_SECONDS / 3600:.0f} hours for each condition.",
        "A replayed slowdown is an exact factor. A real one may come with noise of its own.",
        f"{tools.PYTEST_BENCHMARK} has about {plan.SUITE_SECONDS / 2 / len(plan.SUBJECTS):.0f} s "
        f"a cell and side in this time, and {plan.LONG_SECONDS:.0f} s were recorded. Unchanged "
        f"cells that it fails, by the seconds used: {'; '.join(seconds) or 'none recorded'}.",
        "The other tools were given this trial's single core and compiled programs from a cache; "
        "as their users run them, neither is given.",
        "One machine, one hour, but for the section *Machine by machine*.",
    ]
    lines = ["## What this cannot show", ""]
    for text in points:
        lines += sections.prose(text, "- ")
    return [*lines, ""]
