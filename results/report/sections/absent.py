"""Build the section on what was not measured: cells without a time, and what no cell looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from results.formatting import NOTHING
from results.grouping import group_by
from results.records.failures import outcome_reason
from results.records.record import AnyRecord, named_fields
from results.records.texts import first_names
from results.report.collection import Machine
from results.report.model import Cell, Code, Paragraph, Row, Section, Table, missing
from results.report.record_cells import filter_values, network_name
from results.report.vocabulary import MODES, PHASES, SIZES
from results.ways import way_title

OPEN_ROWS = 12  # of the table of failures: with more the reader has to open it
REASONS = 30  # of unsupported cells, at most
NO_REASON = "no reason given"
FAILED, UNSUPPORTED = "failed", "unsupported"


def section(machine: Machine, catalogue: Sequence[str] = ()) -> Section:
    """Return the section on what was not measured.

    It holds the gaps of these runs, then the cells that failed and those that cannot exist.

    Args:
        machine: its runs.
        catalogue: names of the suite's scenarios; empty where they are not known.
    """
    records = machine.records
    missing_names = missing_scenarios(records, catalogue)
    blocks: list[Any] = [
        _gaps(machine, catalogue),
        *_command_for(missing_names),
        *_failures(records),
        *_unsupported(records),
    ]
    return Section("absent", title(records, len(missing_names)), blocks, "Not measured")


def missing_scenarios(records: Iterable[AnyRecord], catalogue: Sequence[str]) -> list[str]:
    """Return the scenarios of the suite that no record is of, in the order of the catalogue."""
    measured = {record["scenario"] for record in records}
    return [name for name in catalogue if name not in measured]


def _command_for(names: Sequence[str]) -> list[Paragraph]:
    """Return how to measure these scenarios and to show them beside the rest; empty for none."""
    if not names:
        return []
    command = f"pytest benchmarks --benchmark-only --scenario {','.join(names)}"
    return [
        [
            "Scenarios of the suite that these runs do not hold, such as those added since, are "
            "measured alone, ",
            Code(command),
            ", and shown beside the others by a report of all these runs: ",
            Code("cascade-bench report RUN RUN"),
            ".",
        ]
    ]


def title(records: Sequence[AnyRecord], lacking: int = 0) -> str:
    """Return the finding: how many cells have a time, failed, or cannot exist.

    Args:
        records: of all cells.
        lacking: how many scenarios of the suite have no record.
    """
    failed, unsupported = len(_failed(records)), len(_without_time(records))
    timed = sum(record["outcome"] == "ok" for record in records)
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{unsupported} cannot exist"] if unsupported else []
    scenarios = f"; {lacking} of the suite's scenarios are not in these runs" if lacking else ""
    return f"{timed} cells have a time; {' and '.join(parts) or 'none failed'}{scenarios}"


def _failed(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Return the records of cells that should have a time and have none."""
    return [r for r in records if r["outcome"] not in ("ok", UNSUPPORTED)]


def _without_time(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Return the records of cells that cannot exist."""
    return [record for record in records if record["outcome"] == UNSUPPORTED]


def _gaps(machine: Machine, catalogue: Sequence[str]) -> Table:
    """Return the table of what these runs have not looked at, or only in part."""
    records = machine.records
    outcomes = {name: len(ones) for name, ones in group_by(records, _outcome).items()}
    bar = [
        (kind, outcomes.get(name, 0))
        for name, kind in (("ok", "good"), (FAILED, "bad"), (UNSUPPORTED, "inconclusive"))
    ]
    words = ", ".join(f"{count} {name}" for name, count in outcomes.items()) or "none"
    rows = [
        Row(
            [
                Cell("cells"),
                Cell(words, bar=bar),
                Cell("green: timed, red: failed, grey: cannot exist"),
            ]
        )
    ]
    rows += [Row([*map(Cell, line)]) for line in _gap_lines(machine, catalogue)]
    return Table(
        "What these runs hold, and what they do not", ["", "measured", "not measured"], rows
    )


def _outcome(record: AnyRecord) -> str:
    """Return the outcome of a cell in one of three words: ok, failed, unsupported."""
    return str(record["outcome"]) if record["outcome"] in ("ok", UNSUPPORTED) else FAILED


def _gap_lines(machine: Machine, catalogue: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return what was looked at and what was not, for each thing that a cell may vary in."""
    timed = [record for record in machine.records if record["outcome"] == "ok"]
    networks = {network_name(record) for record in timed}
    lines = [_device_line(machine, timed), *_scenario_lines(machine.records, catalogue)]
    lines.append(_line("sizes", [str(r["size"]) for r in timed], SIZES))
    lines.append(_line("phases", [str(r["phase"]) for r in timed], list(PHASES)))
    lines.append(_line("modes", [str(r["mode"]) for r in timed], list(MODES)))
    lines += [
        (
            f"{framework} {mode}",
            f"{len(timed_networks)} of {len(networks)} networks",
            first_names(sorted(networks - timed_networks), 4),
        )
        for (framework, mode), members in group_by(
            timed, lambda r: (str(r["framework"]), str(r["mode"]))
        ).items()
        for timed_networks in [{network_name(record) for record in members}]
        if timed_networks < networks
    ]
    peak = sum(record["peak_bytes"] is not None for record in timed)
    how = "" if peak else "all: --memory measures it"
    lines.append(("peak memory", f"{peak} of {len(timed)} cells", how))
    return lines


def _scenario_lines(
    records: Sequence[AnyRecord], catalogue: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return the line on the suite's scenarios; none where they are not known."""
    if not catalogue:
        return []
    lacking = missing_scenarios(records, catalogue)
    there = len(catalogue) - len(lacking)
    return [("scenarios", f"{there} of {len(catalogue)} of the suite", ", ".join(lacking))]


def _device_line(machine: Machine, timed: Sequence[AnyRecord]) -> tuple[str, str, str]:
    """Return the line on devices: those of the cells, and that there was no GPU."""
    devices = ", ".join(sorted({str(record["device"]) for record in timed})) or NOTHING
    gpu = machine.newest.machine.get("gpu")
    return "devices", devices, "" if gpu else "GPU: this machine has none that was found"


def _line(heading: str, values: Sequence[str], known: Sequence[str]) -> tuple[str, str, str]:
    """Return the line on one thing that cells vary in: values found, and those that were not."""
    present = [name for name in known if name in values] + sorted(set(values) - set(known))
    return (
        heading,
        ", ".join(present) or NOTHING,
        ", ".join(name for name in known if name not in values),
    )


def _failures(records: Iterable[AnyRecord]) -> list[Any]:
    """Return the table of failed cells, each with its reason and the command to measure it again.

    Returns:
        A list of the table, or of a sentence where nothing failed.
    """
    failed = _failed(records)
    if not failed:
        return [["Nothing failed."]]
    rows = [
        Row(
            [
                Cell(" ".join(named_fields(r))),
                Cell(r["outcome"], kind="failed"),
                Cell(outcome_reason(r) or NO_REASON),
                Cell(r["rerun"], kind="code"),
            ],
            filter_values(r),
        )
        for r in failed
    ]
    return [
        Table(
            "What failed", ["cell", "outcome", "why", "again"], rows, folded=len(rows) > OPEN_ROWS
        )
    ]


def _unsupported(records: Iterable[AnyRecord]) -> list[Any]:
    """Return the table of cells that cannot exist: how many, of which strategies, for each reason.

    Returns:
        A list of the table; empty where there is no such cell.
    """
    unsupported = _without_time(records)
    if not unsupported:
        return []
    reasons = group_by(unsupported, lambda record: outcome_reason(record) or NO_REASON)
    rows = [
        Row(
            [Cell(str(len(members))), Cell(_ways(members)), Cell(reason) if reason else missing("")]
        )
        for reason, members in list(reasons.items())[:REASONS]
    ]
    return [Table("What cannot exist", ["cells", "of", "why"], rows, (0,), folded=True)]


def _ways(records: Sequence[AnyRecord]) -> str:
    """Return the frameworks and ways of these records, each way with its words."""
    names = dict.fromkeys(f"{r['framework']} {way_title(r['strategy'])}" for r in records)
    return ", ".join(names) or NOTHING
