"""Show which counts of two versions differ: in a terminal, in a sentence, and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, bytes_text, escape, flops_text, one_line, seconds_text
from results.regression.counts import BETTER, METRICS, OTHER, WORSE, CountChange
from results.regression.document import Finding
from results.terminal import tables

if TYPE_CHECKING:
    from rich.console import RenderableType

LABELS = {WORSE: "▲ worse", BETTER: "▼ better", OTHER: "≠ other"}
STYLES = {WORSE: "red", BETTER: "green", OTHER: "yellow"}
MOST_OPERATIONS = 4  # named beside a number of operations that changed
TEXTS: dict[str, Callable[[float], str]] = {
    "flops": flops_text,
    "bytes": bytes_text,
    "seconds": seconds_text,
    "number": lambda value: f"{value:.0f}",
}


def changes(findings: Sequence[Finding]) -> list[tuple[Finding, CountChange]]:
    """Return each count that changed with its cell, what is worse first."""
    pairs = [(finding, one) for finding in findings for one in finding.counts]
    order = list(LABELS)
    return sorted(pairs, key=lambda pair: (order.index(pair[1].verdict), not pair[1].decides))


def values(change: CountChange) -> tuple[str, str]:
    """Return the values of base and head as text, in full where they would look alike."""
    text = TEXTS[METRICS[change.metric].unit]
    base, head = text(change.base), text(change.head)
    return (base, head) if base != head else (f"{change.base:,.15g}", f"{change.head:,.15g}")


def relative(change: CountChange) -> str:
    """Return head against base in percent; a dash where base has none."""
    return f"{100 * (change.head / change.base - 1):+.3g} %" if change.base else NOTHING


def detail(change: CountChange) -> str:
    """Return which operations changed in number: ``aten.mm.default 3 → 5``."""
    named = sorted(change.operations.items(), key=lambda one: -abs(one[1][1] - one[1][0]))
    shown = [f"{name} {base} → {head}" for name, (base, head) in named[:MOST_OPERATIONS]]
    more = len(named) - MOST_OPERATIONS
    return ", ".join([*shown, f"{more} more"] if more > 0 else shown)


def sentence(finding: Finding, change: CountChange) -> str:
    """Return one changed count in a line, as it is said before anything is timed."""
    base, head = values(change)
    named = f" ({detail(change)})" if change.operations else ""
    return one_line(
        f"count {change.verdict}: {finding.name}: {change.label} {base} → {head}{named}"
    )


def summary(document: Mapping[str, Any], findings: Sequence[Finding]) -> str | None:
    """Return in a line what was counted, and of how many cells nothing of it changed.

    None where nothing was counted, as in a comparison of two saved runs.
    """
    entries = [one for one in document.get("cells", ()) if one.get("counts")]
    if not entries:
        return document.get("uncounted")
    labels = [one.label for key, one in METRICS.items() if any(key in e["counts"] for e in entries)]
    changed = sum(bool(finding.counts) for finding in findings)
    same = f"the same in {len(entries) - changed} of {len(entries)} cells"
    lost = sum(bool(one.get("not_repeated")) for one in entries)
    more = f"; not the same each time in {lost}, and left out there" if lost else ""
    why = f"; {document['uncounted']}" if document.get("uncounted") else ""
    return f"counts: {', '.join(labels)}: {same}{more}{why}"


def parts(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """Yield the table of the counts that changed, and an empty line; nothing where none did."""
    from rich.table import Table
    from rich.text import Text

    changed_counts = changes(findings)
    if not changed_counts:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("count", no_wrap=True)
    table.add_column("cell", overflow="fold", ratio=1)
    table.add_column("of what", overflow="fold")
    for heading in ("base", "head", "head against base"):
        table.add_column(heading, justify="right", no_wrap=True)
    for finding, change in changed_counts:
        label = Text(LABELS[change.verdict], STYLES[change.verdict])
        name = Text(one_line(finding.name))
        if change.operations:
            name.append(one_line(f": {detail(change)}"), "dim")
        figures = [tables.shorten(text, tables.FIGURE) for text in values(change)]
        table.add_row(label, name, change.label, *figures, relative(change))
    yield table
    yield ""


def markdown_rows(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of the Markdown table of the counts that changed, and an empty one."""
    changed_counts = changes(findings)
    if not changed_counts:
        return
    yield "| count | cell | of what | base | head | | |"
    yield "|---|---|---|--:|--:|--:|---|"
    for finding, change in changed_counts:
        figures = [*values(change), relative(change), escape(detail(change))]
        cells = [LABELS[change.verdict], escape(finding.name), change.label, *figures]
        yield f"| {' | '.join(cells)} |"
    yield ""


def as_json(change: CountChange) -> dict[str, Any]:
    """Return a count that changed as an object of JSON."""
    shown = vars(change) | {"label": change.label}
    return shown | {"operations": {name: list(pair) for name, pair in change.operations.items()}}
