"""Show the head of a run: which run, on which machine, when, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from results.records import canary_status
from results.records.record import Run
from results.regression.document import PACKAGES
from results.terminal import run_summary
from results.terminal.tables import LINE, plain_text, shorten

if TYPE_CHECKING:
    from rich.text import Text

ALARM = "bold red"
LIBRARIES = [name for name in PACKAGES if name != "python"]


def head(run: Run) -> Iterator[Text]:
    """Yield the first lines of a run's page: machine, versions, date, ending, cells, canaries."""
    title = f"run {shorten(run.id)} on machine {shorten(run.machine['id'])}"
    yield plain_text(title, "bold", LINE)
    yield plain_text(_machine(run.machine), most=LINE)
    yield plain_text(_versions(run.machine), most=LINE)
    yield plain_text(_date_and_effort(run), most=LINE)
    if run.interrupted:
        yield plain_text("INTERRUPTED: what follows is what was measured until then", ALARM, LINE)
    elif run.finished is None:
        yield plain_text("NOT FINISHED: it is still measuring, or was killed", ALARM, LINE)
    yield plain_text(_outcomes(run), most=LINE)
    yield from _canaries(run.settings)


def _machine(machine: Mapping[str, Any]) -> str:
    """Return processor, cores, GPU and system of a run's machine, in one line."""
    parts = [shorten(machine.get("cpu") or "processor unknown")]
    parts += [f"{shorten(machine['cores'])} cores"] if machine.get("cores") is not None else []
    parts += [shorten(machine["gpu"])] if machine.get("gpu") else []
    parts += [shorten(machine["platform"])] if machine.get("platform") else []
    return ", ".join(parts)


def _versions(machine: Mapping[str, Any]) -> str:
    """Return the versions of the frameworks and of Python, in one line."""
    versions = [f"{name} {shorten(machine[name])}" for name in LIBRARIES if machine.get(name)]
    python = [f"Python {shorten(machine['python'])}"] if machine.get("python") else []
    return ", ".join(versions + python) or "versions unknown"


def _date_and_effort(run: Run) -> str:
    """Return start, duration, number of launches and commit of a run, in one line."""
    settings = run_summary.settings(run)
    seconds, launches = settings["wall_seconds"], settings["launches"]
    parts = [_date(run.started)]
    parts += [f"took {_duration(seconds)}"] if seconds is not None else []
    parts += ["launches unknown" if launches is None else f"{launches:g} launches"]
    commit = run.machine.get("commit")
    changed = " with changes" if run.machine.get("dirty") is True else ""
    parts += [f"commit {shorten(commit)[:12]}{changed}"] if commit else []
    return ", ".join(parts)


def _date(iso: str) -> str:
    """Return a time of ISO 8601 as ``2026-11-21 01:02 UTC``; another text as it is."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return shorten(iso)


def _duration(seconds: float) -> str:
    """Return a duration in words: ``1 h 12 min``, ``3 min 20 s`` or ``45 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return shorten(f"{minutes // 60} h {minutes % 60} min")
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _outcomes(run: Run) -> str:
    """Return how many cells have each outcome, in one line."""
    counts = run_summary.counts(run, "outcome")
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"cells: {words or 'none'}"


def _canaries(settings: Mapping[str, Any]) -> Iterator[Text]:
    """Yield lines on a run's canaries: a summary, each failure, and a warning where there is one.

    Args:
        settings: the ``settings`` of the run.
    """
    summary, failed = canary_status.summary(settings), canary_status.failed(settings)
    if summary is None:
        yield plain_text("canaries: none were taken", "yellow")
        return
    yield plain_text(f"canaries: {summary}", ALARM if failed else "", LINE)
    for line in failed:
        yield plain_text(f"CANARY FAILED: {line}", ALARM, LINE)
    if failed:
        yield plain_text(canary_status.DISTRUST, ALARM, LINE)
