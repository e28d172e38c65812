"""Build the page of the demonstrations from their saved results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from benchmarks.evaluation.demonstration.faults import FAULTS

NONE = "Not run yet: `python -m benchmarks.evaluation.demonstration.demonstrate {}`."


def page(folder: Path) -> str:
    """Return the page as Markdown; a part without results says which command makes them.

    Args:
        folder: ``replay.json`` and one file for each live session, see `demonstrate`.
    """
    lines = [
        "# What `cascade-bench regress` says of what is known",
        "",
        "Made by `make demonstration`, on a quiet machine two hours; what is there is not "
        "measured again. Method: [regress.md](regress.md).",
        "",
        *_replayed(folder / "replay.json"),
        *_unchanged(_live(folder, "unchanged")),
        *_faulty(_live(folder, "faulty")),
        *_upgraded(_live(folder, "upgrade")),
    ]
    return "\n".join(lines) + "\n"


def _live(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"{kind}-*.json"))]


def _replayed(path: Path) -> Iterator[str]:
    yield from ("## Unchanged code, replayed", "")
    if not path.exists():
        yield from (NONE.format("replay"), "")
        return
    conditions = json.loads(path.read_text())
    yield (
        "Comparisons of 8 cells drawn from recorded launches of one and the same code (the report "
        "half of [the trial](trial.md)'s traces), decided as the command does: 24 launch pairs, "
        "looks after 10, 16 and 24. They share launches, so the interval, exact for independent "
        "ones, is a guide. Then one cell made slower, and every torch cell."
    )
    slowed = list(next(iter(conditions.values()))["found"])
    heads = "".join(
        f" +{100 * float(f):g} % found | all torch +{100 * float(f):g} % |" for f in slowed
    )
    yield ""
    yield (
        "| condition | comparisons | alarms (slower or faster) | at most, 95 % | of them slower "
        f"(exit code 1) |{heads}"
    )
    yield f"|---|--:|--:|--:|--:|{'--:|--:|' * len(slowed)}"
    for condition, one in conditions.items():
        most = binomtest(one["alarms"], one["comparisons"]).proportion_ci().high
        cells = "".join(
            f" {100 * sum(p['cells']) / len(p['cells']):.1f} % | {100 * p['everything']:.1f} % |"
            for p in one["found"].values()
        )
        yield (
            f"| {condition} | {one['comparisons']} | {one['alarms']} | {100 * most:.2f} % | "
            f"{one['regressions']} |{cells}"
        )
    yield ""


def _unchanged(runs: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("## A comment edited, live", "")
    if not runs:
        yield from (NONE.format("live"), "")
        return
    alarms = sum(run["code"] not in (0, 3) for run in runs)
    count = f"{len(runs)} session{'s' if len(runs) > 1 else ''}"
    yield f"{count} of the default ten cells; {alarms} raised an alarm."
    yield ""
    yield "| session | exit code | launch pairs | min | equal | faster | not told | slower |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    for place, run in enumerate(runs):
        verdicts = [one["verdict"] for one in run["findings"]]
        counts = [verdicts.count(v) for v in ("equal", "faster", "inconclusive", "slower")]
        yield (
            f"| {place + 1} | {run['code']} | {run['launch_pairs']} | {run['minutes']:.1f} | "
            f"{' | '.join(map(str, counts))} |"
        )
    yield ""


def _faulty(runs: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("## Three faults slipped in, live", "")
    if not runs:
        yield from (NONE.format("live"), "")
        return
    names = " | ".join(f"{fault.description}: {fault.cell}" for fault in FAULTS)
    yield f"| session | exit code | min | {names} | others called slower |"
    yield f"|--:|--:|--:|{'---|' * len(FAULTS)}---|"
    for place, run in enumerate(runs):
        findings = {_name(one["cell"]): one for one in run["findings"]}
        cells = [_fault_text(findings.get(fault.cell), fault.verdict) for fault in FAULTS]
        others = [
            name
            for name, one in findings.items()
            if one["verdict"] == "slower" and name not in {fault.cell for fault in FAULTS}
        ]
        yield (
            f"| {place + 1} | {run['code']} | {run['minutes']:.1f} | {' | '.join(cells)} | "
            f"{', '.join(others) or 'none'} |"
        )
    yield ""


def _upgraded(runs: list[dict[str, Any]]) -> Iterator[str]:
    yield from ("## Another release of a framework, live", "")
    if not runs:
        yield from (NONE.format("upgrade"), "")
        return
    for run in runs:
        yield (
            f"Base: {_versions(run, 'base')}. Head: {_versions(run, 'head')}. The rest of the two "
            f"environments is the same. Exit code {run['code']}, {run['launch_pairs']} launch "
            f"pairs, {run['minutes']:.1f} min of a budget of "
            f"{run['comparison']['budget_seconds'] / 60:g}."
        )
        yield from ("", "| cell | verdict | head / base [95 %] |", "|---|---|---|")
        for shift in run["shifts"]:
            yield f"| everything in {shift['framework']} | {_verdict_and_ratio(shift)} |"
        for one in run["findings"]:
            yield f"| {_name(one['cell'])} | {_verdict_and_ratio(one)} |"
        yield ""


def _versions(run: dict[str, Any], side: str) -> str:
    versions = run["comparison"]["sides"][side]["versions"]
    return ", ".join(f"{name} {versions[name]}" for name in ("torch", "jax", "jaxlib", "flax"))


def _verdict_and_ratio(one: dict[str, Any]) -> str:
    ratio = one["ratios"].get("wall")
    if not ratio:
        return f"{one['verdict']} | {one['why'] or ''}"
    ends = f"{ratio['low']:.3f}, {ratio['high']:.3f}"
    return f"{one['verdict']} | {ratio['estimate']:.3f} [{ends}]"


def _fault_text(one: dict[str, Any] | None, expected: str) -> str:
    """Return the verdict on a faulty cell, marked if it is not the expected one."""
    if one is None:
        return "**not measured**"
    mark = "" if one["verdict"] == expected else "**not found:** "
    ratio = one["ratios"].get("wall")
    change = f" {100 * (ratio['estimate'] - 1):+.1f} %" if ratio else ""
    return f"{mark}{one['verdict']}{change}"


def _name(cell: dict[str, str]) -> str:
    """Return the name that tables give to a cell."""
    from results.regression.document import Finding

    return Finding(cell, "", "", {}, None, None).name
