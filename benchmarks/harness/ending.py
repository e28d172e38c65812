"""What a session tells at its end: what failed and how to measure it again, and what was saved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import results.terminal
from results import storage, trust
from results.records import CELL_FIELDS, Record, RecordError, Run

# many cells fail of one cause, and the first few tell it
REASONS, GROUPS = 10, 3  # shown of all, and under one reason


def failed(records: Iterable[Record]) -> list[Record]:
    """Those that came to something else than a time, and might have had one."""
    return [r for r in records if r["outcome"] not in ("ok", "unsupported", "interrupted")]


def failures(records: Sequence[Record]) -> Iterator[str]:
    """A line a reason, under it the groups with their commands; of many, the first few.

    Every cell's own command stands in its record, in the report and in pytest's list of failures.
    """
    reasons: dict[tuple[str, str], dict[tuple[str, ...], list[Record]]] = {}
    for record in records:
        reason = record["outcome"], record["missing"]["seconds"]
        reasons.setdefault(reason, {}).setdefault(_group(record), []).append(record)
    for (outcome, why), found in list(reasons.items())[:REASONS]:
        yield f"{outcome}, {_count(found.values())}: {why}"
        for group, members in list(found.items())[:GROUPS]:
            strategies = ", ".join(record["strategy"] for record in members)
            yield f"  {' '.join(part for part in group if part != '-')}: {strategies}"
            yield f"    {_command(members)}"
        if len(found) > GROUPS:
            yield f"  and {_count(list(found.values())[GROUPS:])} more"
    others = [members for found in list(reasons.values())[REASONS:] for members in found.values()]
    if others:
        yield f"and {_count(others)} more, for {len(reasons) - REASONS} other reasons"


def _group(record: Record) -> tuple[str, ...]:
    return tuple(record[name] for name in CELL_FIELDS if name != "strategy")


def _count(groups: Iterable[Sequence[Record]]) -> str:
    cells = sum(len(members) for members in groups)
    return f"{cells} cell{'s' if cells > 1 else ''}"


def _command(members: Sequence[Record]) -> str:
    """One command for the cells of a group: they differ in nothing but the strategy."""
    first: str = members[0]["rerun"]
    one, every = members[0]["strategy"], ",".join(record["strategy"] for record in members)
    return first.replace(f" --strategy={one} ", f" --strategy={every} ")


def rescue(run: Run) -> Path | None:
    """Save the run in a new temporary folder, where its own cannot be had; None if that fails."""
    try:
        return storage.save_run(run, tempfile.mkdtemp(prefix="cascade-bench-rescued-"))
    except (OSError, RecordError, ValueError):
        return None


def not_saved(trouble: str, checkpoint: Path | None, rescued: Path | None) -> Iterator[str]:
    """What could not be saved, and what there is of it."""
    yield f"NOT SAVED: {trouble}"
    if checkpoint:
        yield f"what could be saved before that: {checkpoint}"
    if rescued:
        yield f"the whole run is here instead: {rescued}"
        yield f"its report: cascade-bench report {rescued}"
    else:
        yield "nor could it be saved in the temporary folder"


def told_time(spent: Mapping[str, float], worked: float, wall: float) -> str:
    """What the session's time went to, and how much of it workers worked; in seconds."""
    each = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in spent.items())
    return (
        f"time went to: {each}; workers measured, warmed up, traced or compiled "
        f"for {worked:.0f} of {wall:.0f} s"
    )


def tell_ratios(run: Run, terminal: pytest.TerminalReporter) -> None:
    """The ratios of the run with their verdicts, and why measuring stopped where precision counted.

    At the width of the terminal, 100 columns where there is none.
    """
    width = max(80, terminal._tw.fullwidth) if terminal.isatty else 100
    lines = [
        results.terminal.ratios(run.records, width, colour=terminal.hasmarkup),
        results.terminal.counted(run.records, run.settings["margins"], run.settings["alpha"]),
    ]
    if run.settings["stopped"]:
        stopped, asked = run.settings["stopped"], run.settings["precision"]
        lines.append(results.terminal.stops(stopped, asked))
    if any(lines):
        terminal.section("ratios")
    for text in filter(None, lines):
        terminal.write_line(text)


def tell_canaries(settings: Mapping[str, Any], terminal: pytest.TerminalReporter) -> None:
    """Whether the run is to be believed: one line when all is well, loud when it is not."""
    told, wrong = trust.summary(settings), trust.failed(settings)
    if told:
        terminal.write_line(f"canaries: {told}", red=bool(wrong))
    for line in wrong:
        terminal.write_line(f"CANARY FAILED: {line}", red=True)
    if wrong:
        terminal.write_line(trust.DISTRUST, red=True)
