"""Build the page of the demonstrations from their saved results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
    """Return the saved results of all live sessions of one kind, in order.

    Args:
        folder: of the results.
        kind: ``unchanged``, ``faulty`` or ``upgrade``.
    """
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"{kind}-*.json"))]


def _replayed(path: Path) -> Iterator[str]:
    """Yield the lines of the section about replayed comparisons: alarms and slowdowns found.

    Args:
        path: ``replay.json``: machine → what `demonstrate.replay_comparisons` returned.
    """
    yield from ("## Unchanged code, replayed", "")
    if not path.exists():
        yield from (NONE.format("replay"), "")
        return
    replayed = json.loads(path.read_text())
    yield (
        "Comparisons of 8 cells drawn from recorded launches of one and the same code (the report "
        "half of [the trial](trial.md)'s traces of each machine), decided by the command's "
        "estimator: 24 launch pairs, looks after 10, 16 and 24, all cells measured to "
        "the end. (Whole budgets, as the command spends them, stand in [method.md](method.md).) "
        "They share launches, so the interval, exact for independent "
        "ones, is a guide. Then one cell made slower, and every torch cell."
    )
    slowed = list(next(iter(next(iter(replayed.values())).values()))["found"])
    heads = "".join(
        f" +{100 * float(f):g} % found | all torch +{100 * float(f):g} % |" for f in slowed
    )
    yield ""
    yield (
        "| machine | condition | comparisons | alarms (slower or faster) | at most, 95 % | "
        f"of them slower (exit code 1) |{heads}"
    )
    yield f"|---|---|--:|--:|--:|--:|{'--:|--:|' * len(slowed)}"
    for machine, condition, result in _by_condition(replayed):
        from scipy.stats import binomtest  # it takes a second, which pages without results save

        most = binomtest(result["alarms"], result["comparisons"]).proportion_ci().high
        cells = "".join(
            f" {100 * sum(p['cells']) / len(p['cells']):.1f} % | {100 * p['everything']:.1f} % |"
            for p in result["found"].values()
        )
        yield (
            f"| {machine} | {condition} | {result['comparisons']} | {result['alarms']} | "
            f"{100 * most:.2f} % | {result['regressions']} |{cells}"
        )
    yield ""


def _by_condition(replayed: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield machine, condition and figures of each row of the replayed comparisons."""
    for machine, conditions in replayed.items():
        for condition, result in conditions.items():
            yield machine, condition, result


def _unchanged(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the section about sessions in which only a comment was edited."""
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
        verdicts = [finding["verdict"] for finding in run["findings"]]
        counts = [verdicts.count(v) for v in ("equal", "faster", "inconclusive", "slower")]
        yield (
            f"| {place + 1} | {run['code']} | {run['launch_pairs']} | {run['minutes']:.1f} | "
            f"{' | '.join(map(str, counts))} |"
        )
    yield ""


def _faulty(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the section about sessions with the faults: whether each was found."""
    yield from ("## Three faults slipped in, live", "")
    if not runs:
        yield from (NONE.format("live"), "")
        return
    names = " | ".join(f"{fault.description}: {fault.cell}" for fault in FAULTS)
    yield f"| session | exit code | min | {names} | others called slower |"
    yield f"|--:|--:|--:|{'---|' * len(FAULTS)}---|"
    for place, run in enumerate(runs):
        findings = {_name(finding["cell"]): finding for finding in run["findings"]}
        cells = [_fault_text(findings.get(fault.cell), fault.verdict) for fault in FAULTS]
        others = [
            name
            for name, finding in findings.items()
            if finding["verdict"] == "slower" and name not in {fault.cell for fault in FAULTS}
        ]
        yield (
            f"| {place + 1} | {run['code']} | {run['minutes']:.1f} | {' | '.join(cells)} | "
            f"{', '.join(others) or 'none'} |"
        )
    yield ""


def _upgraded(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the section about another release of a framework: a table of all cells."""
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
        for finding in run["findings"]:
            yield f"| {_name(finding['cell'])} | {_verdict_and_ratio(finding)} |"
        yield ""


def _versions(run: dict[str, Any], side: str) -> str:
    """Return the versions of the frameworks' packages on one side, as text."""
    versions = run["comparison"]["sides"][side]["versions"]
    return ", ".join(f"{name} {versions[name]}" for name in ("torch", "jax", "jaxlib", "flax"))


def _verdict_and_ratio(finding: dict[str, Any]) -> str:
    """Return two cells of a table: the verdict, and the ratio of head to base with its interval.

    The reason stands in the place of a ratio that does not exist.

    Args:
        finding: about one cell, or about the shift that a framework's cells have in common.
    """
    ratio = finding["ratios"].get("wall")
    if not ratio:
        return f"{finding['verdict']} | {finding['why'] or ''}"
    ends = f"{ratio['low']:.3f}, {ratio['high']:.3f}"
    return f"{finding['verdict']} | {ratio['estimate']:.3f} [{ends}]"


def _fault_text(finding: dict[str, Any] | None, expected: str) -> str:
    """Return the verdict on a faulty cell with the change of its time, for a table.

    Args:
        finding: about the cell; None where it was not measured.
        expected: the verdict that the fault must cause; another one is marked.
    """
    if finding is None:
        return "**not measured**"
    mark = "" if finding["verdict"] == expected else "**not found:** "
    ratio = finding["ratios"].get("wall")
    change = f" {100 * (ratio['estimate'] - 1):+.1f} %" if ratio else ""
    return f"{mark}{finding['verdict']}{change}"


def _name(cell: dict[str, str]) -> str:
    """Return the name that tables give to a cell, from its fields."""
    from results.regression.document import Finding

    return Finding(cell, "", "", {}, None, None).name
