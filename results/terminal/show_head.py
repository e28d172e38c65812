"""The head of what ``cascade-bench show`` says: which run, of what, how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from results.records import canary_status
from results.records.record import Run
from results.terminal import run_summary
from results.terminal.tables import LINE, cut, plain

if TYPE_CHECKING:
    from rich.text import Text

PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax", "numpy")
LOUD = "bold red"


def head(run: Run) -> Iterator[Text]:
    """Run, machine, versions, when, how it ended, outcomes and canaries, a line or two each."""
    yield plain(f"run {cut(run.id)} on machine {cut(run.machine['id'])}", "bold", LINE)
    yield plain(_machine(run.machine), most=LINE)
    yield plain(_versions(run.machine), most=LINE)
    yield plain(_when(run), most=LINE)
    if run.interrupted:
        yield plain("INTERRUPTED: what follows is what was measured until then", LOUD, LINE)
    elif run.finished is None:
        yield plain("NOT FINISHED: it is still measuring, or was killed", LOUD, LINE)
    yield plain(_outcomes(run), most=LINE)
    yield from _canaries(run.settings)


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [cut(machine.get("cpu") or "processor unknown")]
    parts += [f"{cut(machine['cores'])} cores"] if machine.get("cores") is not None else []
    parts += [cut(machine["gpu"])] if machine.get("gpu") else []
    parts += [cut(machine["platform"])] if machine.get("platform") else []
    return ", ".join(parts)


def _versions(machine: Mapping[str, Any]) -> str:
    found = [f"{name} {cut(machine[name])}" for name in PACKAGES if machine.get(name)]
    python = [f"Python {cut(machine['python'])}"] if machine.get("python") else []
    return ", ".join(found + python) or "versions unknown"


def _when(run: Run) -> str:
    asked = run_summary.settings(run)
    wall, launches = asked["wall_seconds"], asked["launches"]
    parts = [_clock(run.started)]
    parts += [f"took {_duration(wall)}"] if wall is not None else []
    parts += ["launches unknown" if launches is None else f"{launches:g} launches"]
    commit = run.machine.get("commit")
    changed = " with changes" if run.machine.get("dirty") is True else ""
    return ", ".join([*parts, *([f"commit {cut(commit)[:12]}{changed}"] if commit else [])])


def _clock(iso: str) -> str:
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return cut(iso)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return cut(f"{minutes // 60} h {minutes % 60} min")
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _outcomes(run: Run) -> str:
    found = run_summary.counts(run, "outcome")
    words = ", ".join(f"{count} {word}" for word, count in found.items() if count)
    return f"cells: {words or 'none'}"


def _canaries(settings: Mapping[str, Any]) -> Iterator[Text]:
    told, wrong = canary_status.summary(settings), canary_status.failed(settings)
    if told is None:
        yield plain("canaries: none were taken", "yellow")
        return
    yield plain(f"canaries: {told}", LOUD if wrong else "", LINE)
    for line in wrong:
        yield plain(f"CANARY FAILED: {line}", LOUD, LINE)
    if wrong:
        yield plain(canary_status.DISTRUST, LOUD, LINE)
