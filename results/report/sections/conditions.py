"""Build the section on how the runs were measured: runs, machine and settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from results.formatting import NOTHING
from results.records import canary_status
from results.records.record import Run, sample_key
from results.report.collection import Machine
from results.report.model import Cell, Fold, Paragraph, Points, Row, Section, Strong, Table, missing
from results.statistics.verdict import ALPHA

# key of a run's machine → its title
MACHINE_TITLES = {
    "cpu": "processor",
    "cores": "cores",
    "usable": "cores that may be used",
    "instructions": "vector instructions",
    "gpu": "GPU",
    "driver": "GPU driver",
    "cuda": "CUDA",
    "memory_bytes": "memory",
    "platform": "system",
    "kernel": "kernel",
    "virtual": "virtual machine",
    "container": "container",
    "governor": "clock governor",
    "turbo": "turbo",
    "smt": "threads a core",
    "load": "load before",
    "python": "Python",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax": "flax",
    "optax": "optax",
    "numpy": "numpy",
    "threads": "thread settings",
    "precision": "precision settings",
}
OPEN_RUNS = 12  # with more runs their table is folded


def section(machine: Machine) -> Section:
    """Return the section on how the runs were measured.

    It holds tables of the runs and the machine, and how figures come about.
    """
    blocks: list[Any] = [
        *([Points(distrusted)] if (distrusted := _distrusted_runs(machine.runs)) else []),
        _runs_table(machine),
        _machine_table(machine.newest),
        Fold("How a time, a ratio and a verdict come about", [Points(_settings(machine))]),
    ]
    return Section("conditions", title(machine), blocks, "How it was measured")


def title(machine: Machine) -> str:
    """Return how much was measured: runs, their minutes in all, and launches of a cell."""
    seconds = [float(run.settings.get("wall_seconds") or 0) for run in machine.runs]
    launches = machine.newest.settings.get("launches")
    runs = f"{len(machine.runs)} run{'s' * (len(machine.runs) > 1)}"
    took = f" in {sum(seconds) / 60:.0f} minutes" if all(seconds) else ""
    each = f", {launches} fresh processes for each cell" if launches else ""
    return f"{runs}{took}{each}"


def _settings(machine: Machine) -> list[Paragraph]:
    """Return paragraphs on how times and ratios are measured, and on how verdicts are reached."""
    alpha = machine.newest.settings.get("alpha") or ALPHA
    margins = _margins(machine.runs)
    paragraphs: list[Paragraph] = [
        [
            "Each launch is a fresh process of one framework. The ways of a group are measured in "
            "it side by side, in random order inside each block, each call waited for on all of "
            "its outputs.",
        ],
        [
            "A time is the median over launches of each launch's lower quartile; a ratio is made "
            "within each launch, and its interval is over launches.",
        ],
        [
            "So a ratio is not the quotient of the two times shown: where launches scatter, those "
            "may even lie on different sides of 1, and the ratio is the one to go by.",
        ],
        [f"Verdicts are taken at α = {alpha:g} over the strategies of a group."],
    ]
    if margins:
        paragraphs.append([f"What differs by less counts as equal: {margins}."])
    if len(machine.runs) > 1:
        paragraphs.append([f"{len(machine.runs)} runs; of each cell its newest record is shown."])
    return paragraphs


def _margins(runs: Iterable[Run]) -> str:
    """Return the largest difference that counts as equal, by framework: ``1 % (torch), 2 % (jax)``.

    Each is from the newest run that has one; the text is empty where none has.
    """
    margins: dict[str, float] = {}
    for run in runs:
        margins |= run.settings.get("margins") or {}
    return ", ".join(f"{100 * margin:g} % ({name})" for name, margin in margins.items())


def _distrusted_runs(runs: Iterable[Run]) -> list[Paragraph]:
    """Return a warning that names the runs in which a canary failed; empty where none did."""
    failed = [run.id for run in runs if canary_status.failed(run.settings)]
    return [[f"{', '.join(failed)}: ", Strong(canary_status.DISTRUST)]] if failed else []


def _runs_table(machine: Machine) -> Table:
    """Return the table of runs: commit, duration, cells shown here, ending and canaries."""
    shown = Counter(machine.run_of[sample_key(r)].id for r in machine.records)
    columns = ["run", "commit", "launches", "min", "workers at work", "cells shown", "", "canaries"]
    rows = [Row(_run_cells(run, shown[run.id])) for run in machine.runs]
    return Table("The runs", columns, rows, (2, 3, 4, 5), folded=len(rows) > OPEN_RUNS)


def _run_cells(run: Run, shown: int) -> list[Cell]:
    """Return the cells of a run's row in `_runs_table`.

    Args:
        shown: how many cells of the report are from this run.
    """
    settings = run.settings
    wall, worker = settings.get("wall_seconds"), settings.get("worker_seconds")
    return [
        Cell(run.id, f"started {run.started}"),
        _commit_cell(run.machine),
        Cell(str(settings.get("launches") or NOTHING)),
        Cell(f"{wall / 60:.1f}") if wall else missing("not told"),
        Cell(f"{100 * worker / wall:.0f} %") if wall and worker else missing("not told"),
        Cell(str(shown)),
        Cell(_ending(run)),
        _canaries_cell(settings),
    ]


def _commit_cell(machine: Mapping[str, Any]) -> Cell:
    """Return the cell with the commit that a run measured, and whether files differed from it.

    Args:
        machine: the ``machine`` of a run.
    """
    commit = machine.get("commit")
    if not commit:
        return missing("not from a repository")
    changed = machine.get("dirty") is True
    return Cell(f"{str(commit)[:9]}{' with changes' if changed else ''}", str(commit))


def _canaries_cell(settings: Mapping[str, Any]) -> Cell:
    """Return the cell with the summary of a run's canaries, marked where one failed.

    Args:
        settings: the ``settings`` of a run.
    """
    summary = canary_status.summary(settings)
    if not summary:
        return missing("none")
    return Cell(summary, kind="failed" if canary_status.failed(settings) else "")


def _ending(run: Run) -> str:
    """Return in words how a run ended.

    Returns:
        Whether it was interrupted or is not finished, and in how many groups the required precision
        was reached; empty where nothing of this applies.
    """
    parts = []
    if run.interrupted:
        parts.append("interrupted: it holds what was measured until then")
    elif run.finished is None:
        parts.append("not finished")
    precision, stopped = run.settings.get("precision"), run.settings.get("stopped")
    if precision is not None and stopped is not None:
        reached = sum(reason == "precision" for reason in stopped.values())
        groups = f"{reached} of {len(stopped)} groups"
        parts.append(f"precision {100 * precision:g} % reached in {groups}")
    return "; ".join(parts)


def _machine_table(run: Run) -> Table:
    """Return the folded table of a run's machine: processor, GPU, versions and settings."""
    machine = run.machine
    reasons = machine.get("missing") or {}
    rows = [
        Row([Cell(title), _machine_cell(key, machine[key], str(reasons.get(key, "not told")))])
        for key, title in MACHINE_TITLES.items()
        if key in machine
    ]
    rows.insert(0, Row([Cell("identity"), Cell(str(machine["id"]))]))
    return Table("The machine of the newest run", ["", ""], rows, folded=True)


def _machine_cell(key: str, value: Any, reason: str) -> Cell:
    """Return the cell of one property of the machine.

    Args:
        key: the property, a key of `MACHINE_TITLES`.
        value: its value, of any JSON type.
        reason: why the value is null; shown only then.
    """
    if key == "memory_bytes" and value is not None:
        return Cell(f"{value / 2**30:.1f} GiB")
    if isinstance(value, Mapping):
        pairs = [f"{name}={setting}" for name, setting in value.items() if setting is not None]
        return Cell(", ".join(pairs) or "none set")
    if isinstance(value, list):
        return Cell(", ".join(map(str, value)))
    return missing(reason) if value is None else Cell(str(value))
