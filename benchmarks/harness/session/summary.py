"""What a session tells at its end: the ratios, the canaries, and what was saved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from results.records import canary_status, storage
from results.records.record import RecordError, Run
from results.terminal import ratios


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


def tell_canaries(settings: Mapping[str, Any], terminal: pytest.TerminalReporter) -> None:
    """Whether the run is to be believed: one line when all is well, loud when it is not."""
    told, wrong = canary_status.summary(settings), canary_status.failed(settings)
    if told:
        terminal.write_line(f"canaries: {told}", red=bool(wrong))
    for line in wrong:
        terminal.write_line(f"CANARY FAILED: {line}", red=True)
    if wrong:
        terminal.write_line(canary_status.DISTRUST, red=True)
