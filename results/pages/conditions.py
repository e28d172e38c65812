"""Section 8: how it was measured, what disturbed, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results import trust
from results.collection import Machine
from results.failures import outcome_reason
from results.formatting import NOTHING, significant
from results.pages.layout import Cell, Paragraph, Points, Row, Section, Strong, Table, missing
from results.records import CELL_FIELDS, Record, Run
from results.verdict import ALPHA

FACTS = {
    "cpu": "processor", "cores": "cores", "usable": "cores that may be used",
    "instructions": "vector instructions", "gpu": "GPU", "driver": "GPU driver", "cuda": "CUDA",
    "memory_bytes": "memory", "platform": "system", "kernel": "kernel",
    "virtual": "virtual machine", "container": "container", "governor": "clock governor",
    "turbo": "turbo", "smt": "threads a core", "load": "load before", "python": "Python",
    "torch": "torch", "jax": "jax", "jaxlib": "jaxlib",
    "flax": "flax", "optax": "optax", "numpy": "numpy", "commit": "commit",
    "dirty": "with uncommitted changes", "threads": "thread settings",
    "precision": "precision settings",
}  # fmt: skip
SHOWN_REASONS = 30
NO_REASON = "no reason given"


def section(machine: Machine) -> Section:
    """The machine, each run's settings and trust, the noise, the failures with their commands."""
    blocks: list[Any] = [
        Points([*_words(machine), *(_run(run) for run in machine.runs[-5:])]),
        _machine(machine.newest),
        _noise(machine.records),
        *_failures(machine.records),
        *_unsupported(machine.records),
    ]
    return Section("conditions", "How it was measured", [block for block in blocks if block])


def _words(machine: Machine) -> list[Paragraph]:
    settings = machine.newest.settings
    margins = settings.get("margins")
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
            + (f", with margins of {_margins(margins)}." if isinstance(margins, Mapping) else "."),
        ],
    ]
    if len(machine.runs) > 1:
        many = f"{len(machine.runs)} runs; of each cell its newest record is shown"
        said.append([f"{many}, the last five runs are named here."])
    return said


def _margins(margins: Mapping[str, Any]) -> str:
    told = [f"{100 * m:g} % ({f})" for f, m in margins.items() if isinstance(m, int | float)]
    return ", ".join(told) or "none told"


def _run(run: Run) -> Paragraph:
    settings = run.settings
    said: list[str] = [f"Run {run.id}, started {run.started}"]
    said.append(f", {settings['launches']} launches" if "launches" in settings else "")
    wall, worked = settings.get("wall_seconds"), settings.get("worker_seconds")
    if isinstance(wall, int | float):
        said.append(f", {wall / 60:.1f} min")
    if isinstance(wall, int | float) and isinstance(worked, int | float) and wall > 0:
        said.append(f", of which {100 * worked / wall:.0f} % in workers at work")
    said.append(_precision(settings))
    if run.interrupted:
        said += ["; ", Strong("interrupted: it holds what was measured until then")]
    elif run.finished is None:
        said += ["; ", Strong("not finished")]
    told = trust.summary(settings)
    said.append(f"; canaries: {told}." if told else "; it has no canaries.")
    if trust.failed(settings):
        said += [" ", Strong(trust.DISTRUST)]
    return [piece for piece in said if piece]


def _precision(settings: Mapping[str, Any]) -> str:
    asked, stopped = settings.get("precision"), settings.get("stopped")
    if not isinstance(asked, int | float) or not isinstance(stopped, Mapping):
        return ""
    reached = sum(why == "precision" for why in stopped.values())
    return f", precision {100 * asked:g} % reached in {reached} of {len(stopped)} groups"


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
