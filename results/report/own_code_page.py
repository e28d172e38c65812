"""Build the page about a user's own case, from the document that a comparison leaves.

The document is read as plain data and may be of a later version: what is missing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from results.formatting import (
    NOTHING,
    bytes_text,
    flops_text,
    ratio_text,
    rounded_ratio,
    significant,
    time_text,
)
from results.records.texts import first_names
from results.report import own_code_pair
from results.report.model import (
    Cell,
    Chart,
    Code,
    Paragraph,
    Part,
    Points,
    Report,
    Row,
    Section,
    Strong,
    Table,
    missing,
)
from results.report.own_code_answer import about, answer, command, version
from results.report.own_code_chart import ways_chart
from results.ways import way_title

MOST_NAMES = 6  # in a row, of parameters
Data = Mapping[str, Any]
FLOWS = {
    "value": Cell("✓", "its gradient has a value", "reached"),
    "zero": Cell("0", "its gradient is there, and exactly 0 in every element", "zero"),
    "absent": Cell(NOTHING, "it has no gradient", "absent"),
}
COLUMNS = (
    "framework", "way", "phase", "time", "÷ baseline", "counted", "verdict", "gradient error",
    "FLOPs", "saved for backward",
)  # fmt: skip


def build(document: Data) -> Report:
    """Return the page about a case: the answer and a chart first, then what to write, and proofs.

    Args:
        document: see `results.own_code`.
    """
    frameworks: Sequence[Data] = document.get("frameworks") or ()
    sections = [
        _every_phase(document),
        own_code_pair.section(document),
        _what_to_write(frameworks),
        _flow(frameworks),
        _proven(document, frameworks),
        _every_row(frameworks),
        _how_to_reproduce(document),
    ]
    versions = ", ".join(version(part) for part in frameworks)
    part = Part(versions, [], [section for section in sections if section], answer(document))
    return Report(f"Backward passes of {_name(document)}", _warnings(document), [part])


def chart(document: Data) -> Chart | None:
    """Return the chart of all ways that have a ratio; None where there is none."""
    return ways_chart(list(_pairs(document.get("frameworks") or ())))


def _warnings(document: Data) -> list[Paragraph]:
    """Return the warnings: an error, what is not as expected, or that it was stopped."""
    error = document.get("error")
    wrong: list[Paragraph] = [
        [Strong(f"{part['framework']}: "), str(part["flow_problem"])]
        for part in document.get("frameworks") or ()
        if part.get("flow_problem")
    ]
    wrong += own_code_pair.warnings(document)
    if error:
        return [[Strong("The case could not be run: "), str(error.get("message"))]]
    if document.get("exit_code") == 130:
        return [[Strong("Stopped before its end"), ": some ways have no time."], *wrong]
    return wrong


def _every_phase(document: Data) -> Section | None:
    """Return the section with the chart of every way and phase; None where nothing has a ratio."""
    drawn = chart(document)
    return Section("ways", "Every way and phase", [drawn], "What came out") if drawn else None


def _what_to_write(frameworks: Sequence[Data]) -> Section | None:
    """Return the table of ways with the code to write, those with right gradients alone."""
    codes: dict[tuple[str, str], tuple[Data, Data]] = {}
    for part, row in _pairs(frameworks):
        if row.get("code") and row.get("outcome") == "ok":
            codes.setdefault((part["framework"], row["way"]), (part, row))
    if not codes:
        return None
    rows = [
        _row(part, [Cell(str(part["framework"])), Cell(way_title(str(row["way"]))),
                    Cell(str(row["code"]), kind="code")])
        for part, row in codes.values()
    ]  # fmt: skip
    return Section("write", "What to write", [Table("code", ("framework", "way", "code"), rows)])


def _flow(frameworks: Sequence[Data]) -> Section | None:
    """Return the table of gradient flow: a row for each loss, a column for each network."""
    networks = list(dict.fromkeys(
        network for part in frameworks for reached in (part.get("flow") or {}).values()
        for network in reached
    ))  # fmt: skip
    rows = [
        _row(
            part,
            [
                Cell(str(part["framework"])),
                Cell(str(loss)),
                *(FLOWS.get(reached.get(one), missing("not found out")) for one in networks),
            ],
        )
        for part in frameworks
        for loss, reached in (part.get("flow") or {}).items()
    ]
    if not rows:
        return None
    about = (
        "The float64 gradient of each loss by each network. ✓: it has a value. 0: it is there, and "
        f"exactly 0 in every element. {NOTHING}: there is none."
    )
    table = Table("loss → network", ("framework", "loss", *networks), rows, about=about)
    return Section("flow", "Who may change whom", [table])


def _proven(document: Data, frameworks: Sequence[Data]) -> Section | None:
    """Return what was proven about each framework: the reference, errors, networks, notes."""
    points = [point for part in frameworks for point in _proofs(part)]
    return Section("proven", "What was proven", [Points(points)]) if points else None


def _proofs(part: Data) -> Iterator[Paragraph]:
    """Yield what was proven in one framework, a short paragraph each."""
    framework, reference = Strong(f"{part['framework']}: "), part.get("reference") or {}
    error = reference.get("central_difference_error")
    if reference.get("dtype"):
        confirmed = (
            f", confirmed by central differences to {error:.1e}"
            if isinstance(error, int | float)
            else ""
        )
        yield [framework, f"the reference is the summed loss in {reference['dtype']}{confirmed}."]
    if reference.get("note"):
        yield [framework, str(reference["note"])]
    errors = [
        row["gradient_error"]
        for row in part.get("rows") or ()
        if row.get("outcome") == "ok" and isinstance(row.get("gradient_error"), int | float)
    ]
    if errors:
        worst = f"{max(errors):.1e}"
        yield [framework, f"every way that was timed is within {worst} of it, element by element."]
    for name, network in (part.get("networks") or {}).items():
        yield [framework, Code(name), f": {_network(network)}."]
    for note in part.get("notes") or ():
        yield [framework, str(note)]


def _network(network: Data) -> str:
    """Return what a network holds, in words."""
    words = [f"{network.get('parameters', 0):,} parameters in {network.get('tensors', 0)} tensors"]
    frozen, tied = network.get("frozen") or (), network.get("tied") or ()
    if frozen:
        words.append(f"frozen: {first_names(frozen, MOST_NAMES)}")
    words += [f"one tensor under several names: {first_names(names, MOST_NAMES)}" for names in tied]
    return "; ".join(words)


def _every_row(frameworks: Sequence[Data]) -> Section | None:
    """Return the table of every way and phase, also of those without a time."""
    rows = [_row(part, _figures(part, row)) for part, row in _pairs(frameworks)]
    if not rows:
        return None
    numbers = (3, 4, 5, 7, 8, 9)
    table = Table("every way and phase", COLUMNS, rows, numbers=numbers, folded=True)
    return Section("rows", "Every figure", [table])


def _figures(part: Data, row: Data) -> list[Cell]:
    """Return the cells of a row under `COLUMNS`."""
    outcome, why = str(row.get("outcome") or ""), _reason(row)
    timed = row.get("seconds") is not None
    error, predicted = row.get("gradient_error"), row.get("predicted_ratio")
    return [
        Cell(str(part["framework"])),
        Cell(way_title(str(row["way"]))),
        Cell(str(row["phase"])),
        Cell(time_text(row["seconds"])) if timed else Cell(outcome, why, "failed"),
        Cell(rounded_ratio(row.get("ratio")), f"interval {ratio_text(row.get('ratio'))}"),
        Cell(significant(predicted)) if predicted else missing("not counted"),
        Cell(str(row.get("verdict") or NOTHING), kind=str(row.get("verdict") or "")),
        Cell(f"{error:.1e}") if isinstance(error, int | float) else missing(why),
        Cell(flops_text(row.get("flops"))),
        Cell(bytes_text(row.get("residual_bytes"))),
    ]


def _reason(row: Data) -> str:
    """Return why a row has no time."""
    equivalence = row.get("equivalence")
    return str(row.get("why") or (equivalence if equivalence != "pass" else "") or "")


def _how_to_reproduce(document: Data) -> Section:
    """Return the command, the machine and the versions."""
    again = command(document)
    points: list[Paragraph] = [
        [Code(again)]
        if again
        else [Code("cascade_bench.compare(make)"), " where make is defined."],
        [about(document)],
    ]
    return Section("again", "How to measure it again", [Points(points)])


def _name(document: Data) -> str:
    """Return the name of the case."""
    return str((document.get("case") or {}).get("name") or "a case")


def _pairs(frameworks: Sequence[Data]) -> Iterator[tuple[Data, Data]]:
    """Yield every row with the framework's part of the document that it stands in."""
    return ((part, row) for part in frameworks for row in part.get("rows") or ())


def _row(part: Data, cells: Sequence[Cell]) -> Row:
    """Return a row of a table that the page's filter of frameworks obeys."""
    return Row(cells, {"framework": str(part["framework"])})
