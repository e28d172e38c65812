"""From runs to a report: every section, machine by machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from results.records import canary_status
from results.records.record import Run
from results.report.collection import Machine, collect
from results.report.model import Chart, Paragraph, Part, Report, Section, Strong
from results.report.sections import (
    backward_passes,
    conditions,
    every_cell,
    flows,
    framework_comparison,
    freezing,
    gradients,
    over_time,
    recommendations,
    scaling,
)

TITLE = "Cascades and partial freezing: PyTorch and JAX"
_VERSIONS = ("torch", "jax", "flax", "optax")


def build(runs: Iterable[Run]) -> Report:
    """The report of these runs: a part a machine, no ratio across machines.

    Raises:
        ValueError: there is no run.
    """
    machines = collect(runs)
    if not machines:
        raise ValueError("a report needs a run")
    warnings = [*_machines(machines), *(w for machine in machines for w in _distrust(machine))]
    return Report(TITLE, warnings, [_part(machine, i) for i, machine in enumerate(machines)])


def _machines(machines: Sequence[Machine]) -> list[Paragraph]:
    if len(machines) == 1:
        return []
    names = "; ".join(f"{machine.id} ({_name(machine)})" for machine in machines)
    return [
        [
            Strong(f"These runs are of {len(machines)} machines: {names}. "),
            "Versions of the frameworks are part of what a machine is. Times of different machines "
            "are not compared: each has a part of its own, and no ratio here is across them.",
        ]
    ]


def _distrust(machine: Machine) -> list[Paragraph]:
    found: list[Paragraph] = []
    for run in machine.runs:
        failed = canary_status.failed(run.settings)
        if failed:
            found.append([Strong(f"Run {run.id}: {canary_status.DISTRUST} "), "; ".join(failed)])
        if run.interrupted:
            found.append([Strong(f"Run {run.id} was interrupted"), ": some cells have no time."])
        elif run.finished is None:
            found.append([Strong(f"Run {run.id} is not finished"), ": it goes on, or was killed."])
    return found


def _name(machine: Machine) -> str:
    about = machine.newest.machine
    parts = [str(about.get("cpu") or "processor not told")]
    parts += [f"{about['cores']} cores"] if about.get("cores") is not None else []
    parts += [str(about["gpu"])] if about.get("gpu") else []
    parts += [f"{name} {about[name]}" for name in _VERSIONS if about.get(name)]
    return ", ".join(parts)


def _part(machine: Machine, place: int) -> Part:
    newest = machine.newest
    count = f"{len(machine.runs)} runs, the newest" if len(machine.runs) > 1 else "run"
    about = [f"{count} {newest.id} of {newest.started}, machine {machine.id}"]
    sections = [
        recommendations.section(machine, scenarios(machine)),
        framework_comparison.section(machine),
        backward_passes.section(machine, _stacked(machine)),
        freezing.section(machine),
        flows.section(machine),
        gradients.section(machine),
        scaling.section(machine),
        every_cell.side_by_side(machine),
        over_time.section(machine),
        conditions.section(machine),
        every_cell.section(machine),
    ]
    kept = [section for section in sections if section]
    return Part(_name(machine), about, [_named(section, place) for section in kept])


def _named(section: Section, place: int) -> Section:
    """Sections and charts of further machines must not have the first one's names."""
    if place == 0:
        return section
    blocks = [
        _named(block, place)
        if isinstance(block, Section)
        else replace(block, name=f"{block.name}-{place + 1}")
        if isinstance(block, Chart)
        else block
        for block in section.blocks
    ]
    return Section(f"{section.name}-{place + 1}", section.title, blocks)


def scenarios(machine: Machine) -> dict[str, dict[str, Any]]:
    """What the runs say of their scenarios: name → ``summary``, a line, and ``sizes``, a mapping.

    Only what is of that type; the newest run that says it.
    """
    found: dict[str, dict[str, Any]] = {}
    for run in machine.runs:
        told = run.settings.get("scenarios")
        for name, about in (told if isinstance(told, Mapping) else {}).items():
            for key, kind in (("summary", str), ("sizes", Mapping)):
                if isinstance(about, Mapping) and isinstance(about.get(key), kind):
                    found.setdefault(name, {})[key] = about[key]
    return found


def _stacked(machine: Machine) -> Mapping[str, Mapping[str, Any]]:
    sizes: Mapping[str, Mapping[str, Any]] = scenarios(machine).get(backward_passes.STACKED, {})
    return sizes.get("sizes", {})
