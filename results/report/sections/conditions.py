"""Section 8: how it was measured, what disturbed, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results.formatting import NOTHING, significant
from results.records import canary_status
from results.records.failures import outcome_reason
from results.records.record import CELL_FIELDS, Record, Run, sample_key
from results.report.collection import Machine
from results.report.model import Cell, Paragraph, Points, Row, Section, Strong, Table, missing
from results.statistics.verdict import ALPHA

FACTS = {
    "cpu": "processor", "cores": "cores", "usable": "cores that may be used",
    "instructions": "vector instructions", "gpu": "GPU", "driver": "GPU driver", "cuda": "CUDA",
    "memory_bytes": "memory", "platform": "system", "kernel": "kernel",
    "virtual": "virtual machine", "container": "container", "governor": "clock governor",
    "turbo": "turbo", "smt": "threads a core", "load": "load before", "python": "Python",
    "torch": "torch", "jax": "jax", "jaxlib": "jaxlib",
    "flax": "flax", "optax": "optax", "numpy": "numpy", "threads": "thread settings",
    "precision": "precision settings",
}  # fmt: skip
SHOWN_REASONS = 30
RUNS_OPEN = 12  # of more the table is folded
NO_REASON = "no reason given"


def section(machine: Machine) -> Section:
    """The machine, each run's settings and trust, the noise, the failures with their commands."""
    blocks: list[Any] = [
        Points([*_words(machine), *_distrusted(machine.runs)]),
        _runs(machine),
        _machine(machine.newest),
        _noise(machine.records),
        *_failures(machine.records),
        *_unsupported(machine.records),
    ]
    return Section("conditions", "How it was measured", [block for block in blocks if block])


def _words(machine: Machine) -> list[Paragraph]:
    settings = machine.newest.settings
    margins = _margins(machine.runs)
    said: list[Paragraph] = [
        [
            "Each launch is a fresh process of one framework; the strategies of a group are "
            "measured in it side by side, in random order inside each block, each call waited for "
            "on all of its outputs. A time is the median over launches of each launch's lower "
            "quartile; a ratio is made within each launch, and its interval is over launches. So a "
            "ratio is not the quotient of the two times shown: where launches scatter, the "
            "two may even lie on different sides of 1, and the ratio is the one to go by.",
        ],
        [
            "Verdicts are taken at α = "
            f"{settings.get('alpha', ALPHA):g} over the strategies of a group"
            + (f", with margins of {margins}." if margins else "."),
        ],
    ]
    if len(machine.runs) > 1:
        said.append([f"{len(machine.runs)} runs; of each cell its newest record is shown."])
    return said


def _margins(runs: Iterable[Run]) -> str:
    """Of every framework, as the newest run has it that measured it."""
    found: dict[str, float] = {}
    for run in runs:
        told = run.settings.get("margins")
        margins = told.items() if isinstance(told, Mapping) else ()
        found |= {f: m for f, m in margins if isinstance(m, int | float)}
    return ", ".join(f"{100 * m:g} % ({f})" for f, m in found.items())


def _distrusted(runs: Iterable[Run]) -> list[Paragraph]:
    wrong = [run.id for run in runs if canary_status.failed(run.settings)]
    return [[f"{', '.join(wrong)}: ", Strong(canary_status.DISTRUST)]] if wrong else []


def _runs(machine: Machine) -> Table:
    """Each run: which code, how long, what of it is shown here, what its canaries said."""
    shown = Counter(machine.run_of[sample_key(r)].id for r in machine.records)
    columns = ["run", "commit", "launches", "min", "workers at work", "cells shown", "", "canaries"]
    rows = [Row(_run(run, shown[run.id])) for run in machine.runs]
    return Table("The runs", columns, rows, (2, 3, 4, 5), folded=len(rows) > RUNS_OPEN)


def _run(run: Run, shown: int) -> list[Cell]:
    settings = run.settings
    wall, worked = (_number(settings.get(f"{name}_seconds")) for name in ("wall", "worker"))
    told = canary_status.summary(settings)
    return [
        Cell(run.id, f"started {run.started}"),
        _commit(run.machine),
        Cell(str(settings.get("launches", NOTHING))),
        Cell(f"{wall / 60:.1f}") if wall else missing("not told"),
        Cell(f"{100 * worked / wall:.0f} %") if wall and worked else missing("not told"),
        Cell(str(shown)),
        Cell(_ending(run)),
        Cell(told, kind="failed" if canary_status.failed(settings) else "")
        if told
        else missing("none"),
    ]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _commit(machine: Mapping[str, Any]) -> Cell:
    commit = machine.get("commit")
    if not commit:
        return missing("not from a repository")
    changed = machine.get("dirty") is True
    return Cell(f"{str(commit)[:9]}{' with changes' if changed else ''}", str(commit))


def _ending(run: Run) -> str:
    """How it ended, where that is not as usual, and whether it came to its precision."""
    said = []
    if run.interrupted:
        said.append("interrupted: it holds what was measured until then")
    elif run.finished is None:
        said.append("not finished")
    asked, stopped = run.settings.get("precision"), run.settings.get("stopped")
    if isinstance(asked, int | float) and isinstance(stopped, Mapping):
        reached = sum(why == "precision" for why in stopped.values())
        said.append(f"precision {100 * asked:g} % reached in {reached} of {len(stopped)} groups")
    return "; ".join(said)


def _machine(run: Run) -> Table:
    machine = run.machine
    reasons = machine.get("missing") if isinstance(machine.get("missing"), Mapping) else {}
    rows = [
        Row([Cell(title), _fact(key, machine[key], str((reasons or {}).get(key, "not told")))])
        for key, title in FACTS.items()
        if key in machine
    ]
    rows.insert(0, Row([Cell("identity"), Cell(str(machine["id"]))]))
    return Table("The machine of the newest run", ["", ""], rows, folded=True)


def _fact(key: str, value: Any, reason: str) -> Cell:
    if key == "memory_bytes" and isinstance(value, int):
        return Cell(f"{value / 2**30:.1f} GiB")
    if isinstance(value, Mapping):
        set_ones = [f"{name}={setting}" for name, setting in value.items() if setting is not None]
        return Cell(", ".join(set_ones) or "none set")
    if isinstance(value, list):
        return Cell(", ".join(map(str, value)))
    return missing(reason) if value is None else Cell(str(value))


def _noise(records: Iterable[Record]) -> Table | None:
    """Half the interval of every ratio: what a difference must exceed to be seen."""
    widths: dict[tuple[str, ...], list[float]] = {}
    for record in records:
        ratio = record["ratio"]
        if ratio and ratio["low"] and ratio["high"]:
            half = np.log(ratio["high"] / ratio["low"]) / 2
            key = record["framework"], record["mode"], record["size"]
            widths.setdefault(key, []).append(float(half))
    rows = []
    for names, halves in widths.items():
        middle, most = np.expm1(np.quantile(halves, [0.5, 0.9]))
        cells = [*map(Cell, names), Cell(str(len(halves)))]
        cells += [Cell(f"±{significant(100 * float(half), 2)} %") for half in (middle, most)]
        rows.append(Row(cells, {"framework": names[0], "size": names[2]}))
    if not rows:
        return None
    columns = ["framework", "mode", "size", "ratios", "half the interval: median", "worst tenth"]
    return Table("How noisy it was", columns, rows, (3, 4, 5))


def _failures(records: Iterable[Record]) -> list[Any]:
    failed = [r for r in records if r["outcome"] not in ("ok", "unsupported")]
    if not failed:
        return [["Nothing failed."]]
    rows = [
        Row(
            [
                Cell(" ".join(r[name] for name in CELL_FIELDS if r[name] != "-")),
                Cell(r["outcome"], kind="failed"),
                Cell(outcome_reason(r) or NO_REASON),
                Cell(r["rerun"], kind="code"),
            ],
            {name: r[name] for name in ("scenario", "size", "framework")},
        )
        for r in failed
    ]
    return [Table("What failed", ["cell", "outcome", "why", "again"], rows)]


def _unsupported(records: Iterable[Record]) -> list[Any]:
    reasons: dict[str, list[Record]] = {}
    for record in records:
        if record["outcome"] == "unsupported":
            reasons.setdefault(outcome_reason(record) or NO_REASON, []).append(record)
    if not reasons:
        return []
    rows = [
        Row([Cell(str(len(found))), Cell(_of_what(found)), Cell(why)])
        for why, found in list(reasons.items())[:SHOWN_REASONS]
    ]
    return [Table("What cannot exist", ["cells", "of", "why"], rows, (0,), folded=True)]


def _of_what(records: Sequence[Record]) -> str:
    names = Counter(f"{record['framework']} {record['strategy']}" for record in records)
    return ", ".join(names) or NOTHING
