"""A comparison for people: a table for the terminal, and the same as Markdown."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, code, escape, one_line, seconds_text
from results.regression.document import (
    ERROR,
    FAILED,
    FIXED,
    GONE,
    NEW,
    NOTHING_SLOWER,
    PACKAGES,
    REGRESSION,
    STOPPED,
    UNDECIDED,
    WALL,
    WRONG,
    Analysis,
    Finding,
    FrameworkShift,
    Ratio,
    ending,
)
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100
MARKS = {
    WRONG: "✗ wrong gradients", SLOWER: "▲ slower", FAILED: "✗ failed", INCONCLUSIVE: "? not told",
    FIXED: "base was wrong", NEW: NEW, GONE: GONE, FASTER: "▼ faster", EQUAL: "= equal",
}  # fmt: skip
STYLES = {WRONG: "bold red", SLOWER: "red", FAILED: "bold red", FASTER: "green",
          INCONCLUSIVE: "yellow", FIXED: "yellow"}  # fmt: skip
OUTCOMES = {
    NOTHING_SLOWER: "nothing got slower",
    REGRESSION: "a regression",
    ERROR: "a cell failed",
    UNDECIDED: "inconclusive: not everything could be told",
}


def outcome(document: Mapping[str, Any], found: Analysis) -> str:
    """The exit code in words: ``a regression (exit code 1)``."""
    said, ends = OUTCOMES[found.exit_code], ending(document, found)
    if ends == STOPPED:
        said = f"stopped by Ctrl-C, until then: {said}"
    elif document.get("broke_off"):
        said = f"broken off, until then: {said}"
    elif document.get("unsaved"):
        said = f"not saved; {said}"
    return f"{said} (exit code {ends})"


def change(ratio: Ratio | None) -> str:
    """``+5.1 % [+4.2, +6.0]``: head against base, with the interval."""
    if ratio is None:
        return NOTHING
    estimate, low, high = (100 * (part - 1) for part in (ratio.estimate, ratio.low, ratio.high))
    digits = 1 if abs(estimate) < 100 else 0
    return f"{estimate:+.{digits}f} % [{low:+.{digits}f}, {high:+.{digits}f}]"


def sides(document: Mapping[str, Any]) -> Iterator[str]:
    """Base and head in a line each; versions that both have are said once, on a line before."""
    told = document["sides"]
    versions = {name: side["versions"] for name, side in told.items()}
    differing = [p for p in PACKAGES if versions["base"].get(p) != versions["head"].get(p)]
    same = [p for p in PACKAGES if p not in differing and versions["head"].get(p)]
    yield "both: " + ", ".join(f"{p} {versions['head'][p]}" for p in same)
    for name, side in told.items():
        own = [f"{p} {versions[name].get(p) or 'not installed'}" for p in differing]
        yield f"{name}: {', '.join([side['label'], *own])}"


def summary(document: Mapping[str, Any], found: Analysis) -> str:
    """How many cells came to what, and from what."""
    counts = Counter(one.verdict for one in found.findings)
    said = [f"{count} {name}" for name, count in counts.items()]
    if "how" in document:
        return f"{', '.join(said)}; {document['how']}"
    pairs, design = document["pairs"], document["design"]
    stopped = f", {document['stopped']}" if document["stopped"] else ""
    looked = f"looked at after {', '.join(map(str, design['taken']))}" if design["taken"] else (
        f"of {design['looks'][0] if design['looks'] else 10} that a verdict takes"
    )  # fmt: skip
    return (
        f"{', '.join(said)}; {pairs} launch pairs, {looked}{stopped}; margin "
        f"{100 * design['margin']:g} %, α = {100 * design['alpha']:g} % over all cells and looks"
    )


def shift_text(shift: FrameworkShift) -> str:
    """``all 5 torch cells together: +0.1 % [-0.2, +0.4], = equal``."""
    wall = change(shift.ratios[WALL])
    return f"all {shift.cells} {shift.framework} cells together: {wall}, {MARKS[shift.verdict]}"


def text(
    document: Mapping[str, Any], found: Analysis, width: int = WIDTH, *, colour: bool = False
) -> str:
    """The whole comparison for a terminal of that width."""
    from rich.console import Console

    console = Console(
        width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False,
        color_system="standard" if colour else None,
    )  # fmt: skip
    with console.capture() as captured:
        for part in _parts(document, found):
            console.print(part, soft_wrap=isinstance(part, str) and len(part) <= width)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _parts(document: Mapping[str, Any], found: Analysis) -> Iterator[RenderableType]:
    for line in sides(document):
        yield one_line(line)
    yield ""
    yield _table(found.findings)
    for shift in found.shifts:
        yield shift_text(shift)
    yield ""
    for one in found.findings:
        if one.why:
            yield one_line(f"{one.verdict}: {one.name}: {one.why}")
    if document.get("broke_off"):
        yield one_line(f"broken off: {document['broke_off']}")
    yield one_line(summary(document, found))
    yield outcome(document, found)


def _table(findings: Sequence[Finding]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("verdict", no_wrap=True)
    table.add_column("cell", overflow="fold", ratio=1)
    for heading in ("head against base", "of the CPU", "base"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in findings:
        table.add_row(
            Text(MARKS[one.verdict], STYLES.get(one.verdict, "")),
            Text(one_line(one.name)),
            change(one.ratios.get(WALL)),
            _short(one.ratios.get("cpu")),
            seconds_text(one.base),
        )
    return table


def _short(ratio: Ratio | None) -> str:
    return NOTHING if ratio is None else f"{100 * (ratio.estimate - 1):+.1f} %"


def markdown(document: Mapping[str, Any], found: Analysis) -> str:
    """The same for a pull request; what is equal is folded away."""
    title = outcome(document, found)
    lines = [f"### {title[0].upper()}{title[1:]}", ""]
    lines += [escape(f"Broken off: {document['broke_off']}"), ""] if "broke_off" in document else []
    lines += [f"- {escape(line)}" for line in sides(document)]
    lines += [f"- {escape(summary(document, found))}", ""]
    loud = [one for one in found.findings if one.verdict not in (EQUAL, FASTER)]
    quiet = [one for one in found.findings if one not in loud]
    if loud:
        lines += [*_rows(loud), ""]
    if found.shifts:
        lines += [*(f"- {escape(shift_text(shift))}" for shift in found.shifts), ""]
    if quiet:
        title = f"{len(quiet)} cells that are no regression"
        lines += [f"<details><summary>{title}</summary>", "", *_rows(quiet), "", "</details>", ""]
    asked = shlex.join(["cascade-bench", "regress", *_arguments(document)])
    return "\n".join([*lines, f"Again: {code(asked)}"]) + "\n"


def _arguments(document: Mapping[str, Any]) -> list[str]:
    """As they were, with a commit for what is another one elsewhere: ``HEAD^1``."""
    given = list(document["arguments"])
    refs = list(takewhile(lambda one: not one.startswith("-"), given))
    for place, (ref, side) in enumerate(zip(refs, document["sides"].values(), strict=False)):
        if side.get("commit") and re.search(r"HEAD|[@^~]", ref):
            given[place] = side["commit"][:9]
    return given


def _rows(findings: Sequence[Finding]) -> Iterator[str]:
    yield "| verdict | cell | head against base [95 %] | of the CPU | base | head | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for one in findings:
        cells = [
            MARKS[one.verdict],
            escape(one.name),
            change(one.ratios.get(WALL)),
            change(one.ratios.get("cpu")),
            seconds_text(one.base),
            seconds_text(one.head),
            escape(one.why),
        ]
        yield f"| {' | '.join(cells)} |"


def document_json(document: Mapping[str, Any], found: Analysis) -> dict[str, Any]:
    """For programs: what was concluded, and beside it all that was taken."""
    return {
        "exit_code": ending(document, found),
        "outcome": outcome(document, found),
        "launch_pairs": found.pairs,
        "findings": [_plain(one) for one in found.findings],
        "shifts": [
            {"framework": s.framework, "cells": s.cells, "verdict": s.verdict,
             "ratios": {name: vars(ratio) for name, ratio in s.ratios.items()}}
            for s in found.shifts
        ],
        "comparison": dict(document),
    }  # fmt: skip


def _plain(one: Finding) -> dict[str, Any]:
    return {
        "cell": dict(one.cell),
        "verdict": one.verdict,
        "why": one.why or None,
        "base_seconds": one.base,
        "head_seconds": one.head,
        "ratios": {name: vars(ratio) for name, ratio in one.ratios.items()},
    }
