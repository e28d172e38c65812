"""Print the end of a session: ratios, failures, canaries, and where the run was saved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from results.records import canary_status, failures, storage
from results.records.record import Record, RecordError, Run
from results.terminal import ratios


def rescue(run: Run) -> Path | None:
    """Save a run in a new temporary folder, as its own cannot be written; None if that fails."""
    try:
        return storage.save_run(run, tempfile.mkdtemp(prefix="cascade-bench-rescued-"))
    except (OSError, RecordError, ValueError):
        return None


def not_saved(trouble: str, checkpoint: Path | None, rescued: Path | None) -> Iterator[str]:
    """Yield lines that say why a run could not be saved, and what was saved of it elsewhere."""
    yield f"NOT SAVED: {trouble}"
    if checkpoint:
        yield f"what could be saved before that: {checkpoint}"
    if rescued:
        yield f"the whole run is here instead: {rescued}"
        yield f"its report: cascade-bench report {rescued}"
    else:
        yield "nor could it be saved in the temporary folder"


def time_text(spent: Mapping[str, float], worked: float, wall: float) -> str:
    """Say what a session's seconds went to, and for how many of them workers were busy."""
    each = ", ".join(f"{activity} {seconds:.0f} s" for activity, seconds in spent.items())
    return (
        f"time went to: {each}; workers measured, warmed up, traced or compiled "
        f"for {worked:.0f} of {wall:.0f} s"
    )


def print_ratios(run: Run, terminal: pytest.TerminalReporter) -> None:
    """Print the run's ratios with their verdicts, and why measuring stopped with ``--precision``.

    At the width of the terminal, 100 columns where there is none.
    """
    width = max(80, terminal._tw.fullwidth) if terminal.isatty else 100
    lines = [
        ratios.ratios(run.records, width, colour=terminal.hasmarkup),
        ratios.counted(run.records, run.settings["margins"], run.settings["alpha"]),
    ]
    if run.settings["stopped"]:
        stopped, asked = run.settings["stopped"], run.settings["precision"]
        lines.append(ratios.stops(stopped, asked))
    if any(lines):
        terminal.section("ratios")
    for text in filter(None, lines):
        terminal.write_line(text)


def print_failures(records: Iterable[Record], terminal: pytest.TerminalReporter) -> None:
    """Print each cell without a time: its outcome, the reason, the command to measure it again."""
    failed = failures.failed(records)
    if failed:
        terminal.section("what failed")
    for line in failures.failures(failed):
        terminal.write_line(line)


def print_canaries(settings: Mapping[str, Any], terminal: pytest.TerminalReporter) -> None:
    """Print whether the run can be trusted: one line where it can, in red where it cannot."""
    text, wrong = canary_status.summary(settings), canary_status.failed(settings)
    if text:
        terminal.write_line(f"canaries: {text}", red=bool(wrong))
    for line in wrong:
        terminal.write_line(f"CANARY FAILED: {line}", red=True)
    if wrong:
        terminal.write_line(canary_status.DISTRUST, red=True)
