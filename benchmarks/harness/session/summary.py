"""Print the summary of a session: ratios, failures, canaries, and where the run was saved."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from results.records import canary_status, failures, storage
from results.records.record import Record, RecordError, Run
from results.terminal import ratios


def rescue(run: Run) -> Path | None:
    """Save a run in a new temporary folder, and return its path; None if that fails too."""
    try:
        return storage.save_run(run, tempfile.mkdtemp(prefix="cascade-bench-rescued-"))
    except (OSError, RecordError, ValueError):
        return None


def not_saved(error: str, checkpoint: Path | None, rescued: Path | None) -> Iterator[str]:
    """Yield the lines to print about a run that could not be saved.

    Args:
        error: why the last save failed.
        checkpoint: where an earlier state of the run was saved, if anywhere.
        rescued: where the whole run was saved instead, if anywhere.
    """
    yield f"NOT SAVED: {error}"
    if checkpoint:
        yield f"what could be saved before that: {checkpoint}"
    if rescued:
        yield f"the whole run is here instead: {rescued}"
        yield report_command(rescued)
    else:
        yield "nor could it be saved in the temporary folder"


def report_command(path: Path) -> str:
    """Return a line with the command that makes the report of a run."""
    return f"its report: {shlex.join(['cascade-bench', 'report', str(path)])}"


def activation_hint() -> str | None:
    """Return how to make the commands that are printed here known to the shell.

    Returns:
        A line; None where the shell finds them. `make bench` uses a virtual environment that
        nobody has activated.
    """
    script = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("cascade-bench") or not script.is_file():
        return None
    return f"for these commands, once: . {shlex.quote(str(script))}"


def time_text(spent: Mapping[str, float], worker_seconds: float, wall: float) -> str:
    """Return a sentence about where a session's time went.

    Args:
        spent: activity → wall seconds.
        worker_seconds: of the session in which a worker was busy.
        wall: seconds of the whole session.
    """
    shown = {activity: f"{seconds:.0f} s" for activity, seconds in spent.items()}
    each = ", ".join(f"{activity} {text}" for activity, text in shown.items() if text != "0 s")
    busy = f"workers were busy for {worker_seconds:.0f} of {wall:.0f} s"
    return f"time went to: {each}; {busy}" if each else busy


def pause_lines(paused: Mapping[str, list[float]]) -> Iterator[str]:
    """Yield one line about the pauses of the machine, if there were any.

    Args:
        paused: name of a group → seconds of each pause for which a block was set aside.
    """
    pauses = [seconds for each in paused.values() for seconds in each]
    if pauses:
        blocks = f"{len(pauses)} block{'s' if len(pauses) > 1 else ''} of samples"
        yield (
            f"the machine stood still for {sum(pauses):.1f} s in all while cells were timed "
            f"(suspended, moved or stopped): {blocks} set aside, others taken instead"
        )


def print_ratios(run: Run, terminal: pytest.TerminalReporter) -> None:
    """Print the ratios of a run with their verdicts, and the number of verdicts of each kind.

    Lines are as wide as the terminal, but at least 80 columns; 100 if the output is no terminal.
    With ``--precision``, print also how many groups reached that precision, and how many stopped
    at the last launch or at the time limit.
    """
    width = max(80, terminal._tw.fullwidth) if terminal.isatty else 100
    lines = [
        ratios.ratios(run.records, width, colour=terminal.hasmarkup),
        ratios.verdict_counts(run.records, run.settings["margins"], run.settings["alpha"]),
    ]
    if run.settings["stopped"]:
        lines.append(ratios.stopping_summary(run.settings["stopped"], run.settings["precision"]))
    if any(lines):
        terminal.section("ratios")
    for text in filter(None, lines):
        terminal.write_line(text)


def print_failures(records: Iterable[Record], terminal: pytest.TerminalReporter) -> None:
    """Print the outcome, the reason and the command to measure again of each cell that failed."""
    failed = failures.failed(records)
    if failed:
        terminal.section("what failed")
    for line in failures.failures(failed):
        terminal.write_line(line)


def print_notes(records: Iterable[Record], terminal: pytest.TerminalReporter) -> None:
    """Print each note on the records once, such as what a user's own code has switched."""
    for note in dict.fromkeys(note for record in records for note in record.get("notes", ())):
        terminal.write_line(f"note: {note}", yellow=True)


def print_canaries(settings: Mapping[str, Any], terminal: pytest.TerminalReporter) -> None:
    """Print in one line whether the canaries passed, and in red each canary that failed."""
    text, wrong = canary_status.summary(settings), canary_status.failed(settings)
    if text:
        terminal.write_line(f"canaries: {text}", red=bool(wrong))
    for line in wrong:
        terminal.write_line(f"CANARY FAILED: {line}", red=True)
    if wrong:
        terminal.write_line(canary_status.DISTRUST, red=True)
