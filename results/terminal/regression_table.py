"""Show the comparison of two versions: in a terminal, as Markdown, and as plain data."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, code, escape, one_line, seconds_text
from results.grouping import group_by
from results.regression import suspects
from results.regression.decision import WALL
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
    WRONG,
    Analysis,
    Finding,
    FrameworkShift,
    Ratio,
    session_exit_code,
)
from results.regression.needed import what_is_needed
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER
from results.terminal import count_table, tables
from results.terminal.regression_json import finding_json, shift_json
from results.terminal.verdict_marks import VERDICT_MARKS

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = tables.WIDTH
# verdict → how a table shows it
LABELS = {
    WRONG: "✗ wrong gradients",
    FAILED: "✗ failed",
    FIXED: "base was wrong",
    NEW: NEW,
    GONE: GONE,
    SLOWER: f"{VERDICT_MARKS[SLOWER]} slower",
    FASTER: f"{VERDICT_MARKS[FASTER]} faster",
    EQUAL: f"{VERDICT_MARKS[EQUAL]} equal",
    INCONCLUSIVE: f"{VERDICT_MARKS[INCONCLUSIVE]} not told",
}
STYLES = {
    WRONG: "bold red",
    SLOWER: "red",
    FAILED: "bold red",
    FASTER: "green",
    INCONCLUSIVE: "yellow",
    FIXED: "yellow",
}
FIGURES = re.compile(r"\d+(?:\.\d+)?")  # in the reason of a verdict
OUTCOMES = {
    NOTHING_SLOWER: "nothing got slower",
    REGRESSION: "a regression",
    ERROR: "a cell failed",
    UNDECIDED: "inconclusive: not everything could be told",
}
ONLY_COUNTED = {  # of a comparison without a clock
    NOTHING_SLOWER: "no count got worse; nothing was timed",
    UNDECIDED: "inconclusive: not everything could be counted, and nothing was timed",
}


def outcome(document: Mapping[str, Any], analysis: Analysis) -> str:
    """Return the outcome in words: ``a regression: wall time, FLOPs (exit code 1)``."""
    words, exit_code = OUTCOMES[analysis.exit_code], session_exit_code(document, analysis)
    if analysis.exit_code == REGRESSION:
        words = f"{words}: {', '.join(analysis.worse_metrics)}"
    elif analysis.uncounted is not None:
        words = ONLY_COUNTED.get(analysis.exit_code, words)
    if exit_code == STOPPED:
        words = f"stopped by Ctrl-C, until then: {words}"
    elif document.get("broke_off"):
        words = f"broken off, until then: {words}"
    elif document.get("unsaved"):
        words = f"not saved; {words}"
    return f"{words} (exit code {exit_code})"


def change_text(ratio: Ratio | None) -> str:
    """Format head against base as a relative change with its interval: ``+5.1 % [+4.2, +6.0]``."""
    if ratio is None:
        return NOTHING
    estimate, low, high = (100 * (part - 1) for part in (ratio.estimate, ratio.low, ratio.high))
    digits = 1 if abs(estimate) < 100 else 0
    return f"{estimate:+.{digits}f} % [{low:+.{digits}f}, {high:+.{digits}f}]"


def version_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that describe the two versions: what base and head share, and each difference."""
    versions = {name: side["versions"] for name, side in document["sides"].items()}
    differing = [p for p in PACKAGES if versions["base"].get(p) != versions["head"].get(p)]
    same = [p for p in PACKAGES if p not in differing and versions["head"].get(p)]
    yield "both: " + ", ".join(f"{p} {versions['head'][p]}" for p in same)
    for name, side in document["sides"].items():
        own = [f"{p} {versions[name].get(p) or 'not installed'}" for p in differing]
        yield f"{name}: {', '.join([side['label'], *own])}"


def summary(document: Mapping[str, Any], analysis: Analysis) -> str:
    """Return a sentence on the whole comparison: cells by verdict, launch pairs, margin and α."""
    verdicts = Counter(finding.verdict for finding in analysis.findings)
    counts = ", ".join(f"{count} {name}" for name, count in verdicts.items())
    if "how" in document:
        return f"{counts}; {document['how']}"
    if document.get("counts_only"):
        return f"{len(analysis.findings)} cells; nothing was timed: --counts-only"
    design = document["design"]
    stopped = f", {document['stopped']}" if document["stopped"] else ""
    return (
        f"{counts}; {document['pairs']} launch pairs, {_looks(design)}{stopped}; margin "
        f"{100 * design['margin']:g} %, α = {100 * design['alpha']:g} % over all cells and looks"
    )


def remarks(document: Mapping[str, Any], analysis: Analysis) -> list[str]:
    """Return the lines on what looks slower, on what was counted, and on what the time went to."""
    budget = float(document.get("budget_seconds") or 0.0)
    lines = [suspects.suspect_text(one, budget) for one in suspects.suspects_of(document)]
    counted = count_table.summary(document, analysis.findings)
    lines += [counted] if counted else []
    spent = suspects.time_text(document)
    return [*lines, spent] if spent else lines


def _looks(design: Mapping[str, Any]) -> str:
    """Return in words after how many launch pairs the data were analysed.

    Before the first interim analysis, return how many launch pairs it takes.

    Args:
        design: the ``design`` of the comparison's document.
    """
    if design["taken"]:
        return f"looked at after {', '.join(map(str, design['taken']))}"
    return f"of {design['looks'][0] if design['looks'] else 10} that a verdict takes"


def shift_text(shift: FrameworkShift) -> str:
    """Return the change that all cells of a framework share, in a line.

    It reads ``all 5 torch cells together: +0.1 % [-0.2, +0.4], = equal``.
    """
    wall = change_text(shift.ratios[WALL])
    return f"all {shift.cells} {shift.framework} cells together: {wall}, {LABELS[shift.verdict]}"


def text(
    document: Mapping[str, Any], analysis: Analysis, width: int = WIDTH, *, colour: bool = False
) -> str:
    """Return the page on a comparison of two versions as a terminal shows it.

    Args:
        document: the comparison, as `results.regression.document` describes it.
        analysis: the verdicts on it.
        width: columns of the terminal.
        colour: whether to emit colour codes.
    """
    parts = _parts(document, analysis)
    return tables.printed(parts, width, colour=colour, unwrapped=lambda line: len(line) <= width)


def _parts(document: Mapping[str, Any], analysis: Analysis) -> Iterator[RenderableType]:
    """Yield the lines and the table of the page: outcome, versions, findings, reasons, summary."""
    yield outcome(document, analysis)
    yield ""
    for line in version_lines(document):
        yield one_line(line)
    yield ""
    yield from count_table.parts(analysis.findings)
    timed = [one for one in analysis.findings if _is_shown(one, analysis)]
    if timed:
        yield _table(timed)
    for shift in analysis.shifts:
        yield shift_text(shift)
    yield ""
    for line in reasons(timed):
        yield one_line(line)
    for note in document.get("notes") or ():
        yield one_line(f"note: {note}")
    if document.get("broke_off"):
        yield one_line(f"broken off: {document['broke_off']}")
    for line in remarks(document, analysis):
        yield one_line(line)
    yield one_line(summary(document, analysis))


def _is_shown(finding: Finding, analysis: Analysis) -> bool:
    """Return whether a cell has a row: without a clock only what failed has one."""
    return analysis.uncounted is None or finding.verdict != INCONCLUSIVE


def reasons(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield each reason of a verdict once, with the cells that it holds for.

    Where it is that of all cells with this verdict, their number is enough, as the table has their
    names. Reasons of inconclusive cells that differ in their figures alone are one.
    """
    for verdict, members in group_by(findings, lambda one: one.verdict).items():
        explained = [one for one in members if one.why]
        texts = group_by(explained, lambda one: _without_figures(one))
        for alike in texts.values():
            why = _spanning([one.why for one in alike])
            names = "; ".join(one.name for one in alike)
            count = f"{len(alike)} cells"
            whose = count if len(alike) == len(members) else f"{count} ({names})"
            yield f"{verdict}: {names if len(alike) == 1 else whose}: {why}"


def _without_figures(finding: Finding) -> str:
    """Return the reason of a finding; of an inconclusive one, with ``#`` for each figure."""
    return FIGURES.sub("#", finding.why) if finding.verdict == INCONCLUSIVE else finding.why


def _spanning(texts: Sequence[str]) -> str:
    """Return texts that differ in their figures alone as one: ``nothing under 40 to 52 %``."""
    columns = zip(*(FIGURES.findall(text) for text in texts), strict=True)
    ends = (dict.fromkeys((min(column, key=float), max(column, key=float))) for column in columns)
    spans = iter([" to ".join(pair) for pair in ends])
    return FIGURES.sub(lambda _: next(spans), texts[0])


def _table(findings: Sequence[Finding]) -> RenderableType:
    """Return the table with a row for each cell: verdict, name, changes and time of base."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("verdict", no_wrap=True)
    table.add_column("cell", overflow="fold", ratio=1)
    for heading in ("head against base", "of the CPU", "base"):
        table.add_column(heading, justify="right", no_wrap=True)
    for finding in findings:
        table.add_row(
            Text(LABELS[finding.verdict], STYLES.get(finding.verdict, "")),
            Text(one_line(finding.name)),
            change_text(finding.ratios.get(WALL)),
            _change_without_interval(finding.ratios.get("cpu")),
            seconds_text(finding.base),
        )
    return table


def _change_without_interval(ratio: Ratio | None) -> str:
    """Return head against base as a relative change, such as ``+5.1 %``; a dash for None."""
    return NOTHING if ratio is None else f"{100 * (ratio.estimate - 1):+.1f} %"


def markdown(document: Mapping[str, Any], analysis: Analysis) -> str:
    """Return the comparison as Markdown for a pull request.

    Only what a reader has to know is open: what got slower, failed or could not be told, and what
    would be needed to tell it. The rest, and where nothing got slower everything but the heading,
    stands in a part that the reader has to open.
    """
    heading = outcome(document, analysis)
    needed = None if document.get("counts_only") else what_is_needed(document, analysis)
    shown = [one for one in analysis.findings if _is_shown(one, analysis)]
    rows = [one for one in shown if one.verdict not in (EQUAL, FASTER)]
    others = [one for one in analysis.findings if one.verdict in (EQUAL, FASTER)]
    lines = [f"### {heading[0].upper()}{heading[1:]}", ""]
    lines += [escape(f"Broken off: {document['broke_off']}"), ""] if "broke_off" in document else []
    lines += [escape(f"{needed}."), ""] if needed else []
    lines += count_table.markdown_rows(analysis.findings)
    lines += [*_rows(rows), ""] if rows else []
    for shift in (one for one in analysis.shifts if one.verdict not in (EQUAL, FASTER)):
        lines += [escape(f"{shift_text(shift)}."), ""]
    lines += [f"<details><summary>{_folded_title(others)}</summary>", ""]
    lines += [f"- {escape(line)}" for line in version_lines(document)]
    lines += [f"- {escape(line)}" for line in remarks(document, analysis)]
    lines += [f"- {escape(summary(document, analysis))}"]
    lines += [f"- Note: {escape(note)}" for note in document.get("notes") or ()]
    lines += [f"- {escape(shift_text(shift))}" for shift in analysis.shifts]
    lines += ["", *_rows(others)] if others else []
    command = shlex.join(["cascade-bench", "regress", *_arguments(document)])
    return "\n".join([*lines, "", f"Again: {code(command)}", "", "</details>"]) + "\n"


def _folded_title(others: Sequence[Finding]) -> str:
    """Return what the reader sees of the part to open."""
    cells = f"{len(others)} cells that are no regression, and " if others else ""
    return f"{cells}how it was measured"


def _arguments(document: Mapping[str, Any]) -> list[str]:
    """Return the arguments of the command that repeats the comparison, also elsewhere or later.

    A reference such as ``HEAD^1``, which may name another commit there, is replaced by its commit.
    """
    arguments = list(document["arguments"])
    refs = list(takewhile(lambda one: not one.startswith("-"), arguments))
    for place, (ref, side) in enumerate(zip(refs, document["sides"].values(), strict=False)):
        if side.get("commit") and re.search(r"HEAD|[@^~]", ref):
            arguments[place] = side["commit"][:9]
    return arguments


def _rows(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of the Markdown table of these findings."""
    yield "| verdict | cell | head against base [95 %] | of the CPU | base | head | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for finding in findings:
        cells = [
            LABELS[finding.verdict],
            escape(finding.name),
            change_text(finding.ratios.get(WALL)),
            change_text(finding.ratios.get("cpu")),
            seconds_text(finding.base),
            seconds_text(finding.head),
            escape(finding.why),
        ]
        yield f"| {' | '.join(cells)} |"


def document_json(document: Mapping[str, Any], analysis: Analysis) -> dict[str, Any]:
    """Return the conclusions, and the comparison they are drawn from, as an object of JSON.

    Returns:
        ``exit_code`` and ``outcome``; ``worse``, what it is a regression of; ``launch_pairs``, how
        many the conclusions rest on; ``findings``, one a cell; ``shifts``, one a framework;
        ``suspects``, what looks slower and was not told; and ``comparison``, the document.
    """
    return {
        "exit_code": session_exit_code(document, analysis),
        "outcome": outcome(document, analysis),
        "worse": analysis.worse_metrics,
        "launch_pairs": analysis.pairs,
        "findings": [finding_json(finding) for finding in analysis.findings],
        "shifts": [shift_json(shift) for shift in analysis.shifts],
        "suspects": suspects.suspects_of(document),
        "comparison": dict(document),
    }
