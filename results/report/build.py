"""Build a report from runs: all sections of each machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from results.records import canary_status
from results.records.record import IEEE, Run
from results.report.collection import Machine, collect
from results.report.model import (
    Answer,
    Block,
    Chart,
    Fold,
    Paragraph,
    Part,
    Report,
    Section,
    Strong,
)
from results.report.sections import (
    absent,
    answer,
    backward_passes,
    cases,
    conditions,
    credibility,
    every_cell,
    flows,
    framework_comparison,
    freezing,
    glossary,
    gradients,
    headlines,
    limits,
    over_time,
    recommendations,
    scaling,
    several_ranks,
)
from results.report.vocabulary import STACKED

TITLE = "Cascades and partial freezing: PyTorch and JAX"
_VERSIONS = ("torch", "jax", "flax", "optax")


def build(runs: Iterable[Run], catalogue: Sequence[str] = ()) -> Report:
    """Build the report of these runs: one part for each machine and precision, and none across.

    Args:
        runs: to report on.
        catalogue: names of the suite's scenarios, of which those are named that no run holds.

    Raises:
        ValueError: there is no run.
    """
    machines = collect(runs)
    if not machines:
        raise ValueError("a report needs a run")
    warnings = [
        *_warning_of_several_machines(machines),
        *_warning_of_several_precisions(machines),
        *(warning for machine in machines for warning in _warnings_of_runs(machine)),
    ]
    parts = [_part(machine, i, catalogue) for i, machine in enumerate(machines)]
    return Report(TITLE, warnings, parts)


def _warning_of_several_machines(machines: Sequence[Machine]) -> list[Paragraph]:
    """Return the warning that the runs are of several machines; empty where there is one."""
    each = {machine.id: machine for machine in machines}
    if len(each) == 1:
        return []
    names = "; ".join(f"{name} ({_of_machine(machine)})" for name, machine in each.items())
    return [
        [
            Strong(f"These runs are of {len(each)} machines: {names}. "),
            "Versions of the frameworks are part of what a machine is. Times of different machines "
            "are not compared: each has a part of its own, and no ratio here is across them.",
        ]
    ]


def _warning_of_several_precisions(machines: Sequence[Machine]) -> list[Paragraph]:
    """Return the warning that the runs are in several precisions; empty where it is one."""
    modes = list(dict.fromkeys(machine.precision_mode for machine in machines))
    if len(modes) == 1:
        return []
    return [
        [
            Strong(f"These runs are in {len(modes)} precisions: {', '.join(modes)}. "),
            "Each has a part of its own, and no ratio here is across them.",
        ]
    ]


def _warnings_of_runs(machine: Machine) -> list[Paragraph]:
    """Return a warning for each run with failed canaries, and for each that is not complete."""
    warnings: list[Paragraph] = []
    for run in machine.runs:
        failed = canary_status.failed(run.settings)
        if failed:
            distrust = Strong(f"Run {run.id}: {canary_status.DISTRUST} ")
            warnings.append([distrust, "; ".join(failed)])
        if run.interrupted:
            interrupted = Strong(f"Run {run.id} was interrupted")
            warnings.append([interrupted, ": some cells have no time."])
        elif run.finished is None:
            unfinished = Strong(f"Run {run.id} is not finished")
            warnings.append([unfinished, ": it goes on, or was killed."])
    return warnings


def _description(machine: Machine) -> str:
    """Return what a part is of: the machine, and the precision where it is not full float32."""
    mode = machine.precision_mode
    return _of_machine(machine) + ("" if mode == IEEE else f", precision {mode}")


def _of_machine(machine: Machine) -> str:
    """Return processor, cores, GPU and versions of a machine, in one line."""
    about = machine.newest.machine
    parts = [str(about.get("cpu") or "processor not told")]
    parts += [f"{about['cores']} cores"] if about.get("cores") is not None else []
    parts += [str(about["gpu"])] if about.get("gpu") else []
    parts += [f"{name} {about[name]}" for name in _VERSIONS if about.get(name)]
    return ", ".join(parts)


def _part(machine: Machine, place: int, catalogue: Sequence[str]) -> Part:
    """Return the part of the report on one machine, with all sections that have something to show.

    Args:
        place: the index of the machine in the report.
        catalogue: names of the suite's scenarios.
    """
    newest = machine.newest
    count = f"{len(machine.runs)} runs, the newest" if len(machine.runs) > 1 else "run"
    about = [f"{count} {newest.id} of {newest.started}, machine {machine.id}"]
    scenarios = scenario_descriptions(machine)
    sections = [
        backward_passes.section(machine, scenarios.get(STACKED, {}).get("sizes", {})),
        freezing.section(machine),
        framework_comparison.section(machine),
        flows.section(machine),
        limits.section(machine),
        scaling.section(machine),
        several_ranks.section(machine),
        _what_to_write(machine, scenarios),
        credibility.section(machine),
        gradients.section(machine),
        absent.section(machine, catalogue),
        every_cell.side_by_side(machine),
        over_time.section(machine),
        conditions.section(machine),
        every_cell.section(machine),
        glossary.section(machine.records, scenarios),
    ]
    unique = [_with_unique_names(section, place) for section in sections if section]
    screen = _with_unique_panels(answer.answer(machine), place)
    own = cases.cases(machine)
    own = own and replace(own, name=_unique(own.name, place))
    return Part(_description(machine), about, unique, screen, own)


def _unique(name: str, place: int) -> str:
    """Return a name that no other machine's part has; those of the first machine stay as they are.

    A number alone would not do: parts of one long chart are told apart by it.

    Args:
        place: the index of the machine in the report.
    """
    return f"{name}-m{place + 1}" if place and name else name


def _what_to_write(machine: Machine, scenarios: Mapping[str, Mapping[str, Any]]) -> Section:
    """Return the section of recommendations in words, with the tables that they follow from.

    Args:
        scenarios: as `scenario_descriptions` returns them.
    """
    summaries = {name: about.get("summary", "") for name, about in scenarios.items()}
    records = machine.records
    blocks: list[Any] = [
        *headlines.verdict_chart(records),
        headlines.table(records),
        *headlines.faster_table(records),
        *recommendations.blocks(records, summaries),
    ]
    return Section("write", headlines.title(records), blocks, "What to write")


def _with_unique_panels(screen: Answer, place: int) -> Answer:
    """Return the first screen with the machine's number appended to all names in it.

    These are the names of its charts, and of the sections that its facts lead to.
    """
    if place == 0:
        return screen
    questions = [
        replace(
            question,
            panels=[
                replace(one, chart=replace(one.chart, name=_unique(one.chart.name, place)))
                for one in question.panels
            ],
        )
        for question in screen.questions
    ]
    picture = screen.picture and replace(screen.picture, name=_unique(screen.picture.name, place))
    facts = [replace(fact, section=_unique(fact.section, place)) for fact in screen.facts]
    return replace(screen, questions=questions, picture=picture, facts=facts)


def _with_unique_names(section: Section, place: int) -> Section:
    """Return the section with the machine's number appended to the names of sections and charts.

    Names are anchors of the page and names of files, so they must differ between machines. Those of
    the first machine stay as they are.

    Args:
        place: the index of the machine in the report.
    """
    if place == 0:
        return section
    return replace(
        section,
        name=_unique(section.name, place),
        blocks=[_with_unique_name(block, place) for block in section.blocks],
    )


def _with_unique_name(block: Block, place: int) -> Block:
    """Return a block of a section with the machine's number appended to all names in it.

    Args:
        place: the index of the machine in the report.
    """
    if isinstance(block, Section):
        return _with_unique_names(block, place)
    if isinstance(block, Fold):
        return replace(block, blocks=[_with_unique_name(one, place) for one in block.blocks])
    if isinstance(block, Chart):
        return replace(block, name=_unique(block.name, place))
    return block


def scenario_descriptions(machine: Machine) -> dict[str, dict[str, Any]]:
    """Return how the newest runs describe their scenarios.

    Returns:
        The name of a scenario → ``summary``, a line of text, and ``sizes``, a mapping from each
        size to its dimensions.
    """
    descriptions: dict[str, dict[str, Any]] = {}
    for run in machine.runs:
        for name, about in (run.settings.get("scenarios") or {}).items():
            for key in ("summary", "sizes"):
                if key in about:
                    descriptions.setdefault(name, {})[key] = about[key]
    return descriptions
