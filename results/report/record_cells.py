"""Turn the fields of a record into texts and cells of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from results.formatting import ratio_text, rounded_ratio, seconds_text, significant
from results.records.limits import predicted_ratio
from results.records.record import AnyRecord
from results.report.model import FILTERS, Cell, missing
from results.report.vocabulary import VERDICT_COLOURS
from results.terminal.verdict_marks import VERDICT_MARKS

MOVED = " is frozen and moved"


def filter_values(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of `FILTERS` that the row or mark of this record has."""
    return {name: str(record[name]) for name in FILTERS}


def network_name(record: Mapping[str, Any]) -> str:
    """Return the scenario, followed by its variant where it has several: ``stacked_cascade n4``."""
    return " ".join(str(record[name]) for name in ("scenario", "variant") if record[name] != "-")


def framework_and_mode(record: Mapping[str, Any]) -> str:
    """Return the framework and how it runs: ``torch eager``."""
    return f"{record['framework']} {record['mode']}"


def is_baseline(record: Mapping[str, Any]) -> bool:
    """Return whether the ratios of the record's group refer to this record."""
    return bool(record["strategy"] == record["baseline"])


def frozen_part_moved(record: Mapping[str, Any]) -> bool:
    """Return whether the check of the record's cell found that a frozen parameter had changed.

    The check says so in these words (`benchmarks.harness.worker.gate`). Any other failure, such as
    a wrong gradient, says nothing about what is frozen.
    """
    return str(record["equivalence"]).endswith(MOVED)


def figure_cell(record: AnyRecord, key: str, text: str) -> Cell:
    """Return the cell of one figure of a record: its text, or a dash with the reason of the null.

    Args:
        key: the name of the figure in the record.
        text: the figure as text; not used where the figure is null.
    """
    if record[key] is None:
        return missing(str(record["missing"].get(key, "not measured")))
    return Cell(text)


def time_cell(record: AnyRecord) -> Cell:
    """Return the cell of the record's time, marked where the times still had a trend."""
    seconds = record["seconds"]
    text = seconds_text(seconds["estimate"] if seconds else None)
    if record["steady"] is False:
        note = "times still had a trend when they were taken"
        return Cell(f"{text} (not steady)", note, "unsteady")
    return figure_cell(record, "seconds", text)


def ratio_cells(record: AnyRecord) -> list[Cell]:
    """Return three cells: the ratio to the baseline, its verdict, and the predicted ratio."""
    by_limits = record["limit_ratio"] and not record["predicted_ratio"]
    key = "limit_ratio" if by_limits else "predicted_ratio"
    predicted = significant(record[key] or 0)
    verdict = record["verdict"]
    ratio = figure_cell(record, "ratio", rounded_ratio(record["ratio"]))
    if record["ratio"]:
        ratio = ratio._replace(note=f"interval {ratio_text(record['ratio'])}")
    return [
        Cell("1") if is_baseline(record) else ratio,
        Cell("")
        if is_baseline(record)
        else figure_cell(record, "verdict", str(verdict))._replace(kind=verdict or ""),
        figure_cell(record, key, predicted),
    ]


def ratio_cell(record: AnyRecord) -> Cell:
    """Return the cell of a record's ratio with the mark of its verdict: ``1.46 ± 0.02 ▲``.

    The note holds the interval and the predicted ratio, or why there is no verdict.
    """
    verdict, predicted = record["verdict"], predicted_ratio(record)
    notes = [verdict or str(record["missing"].get("verdict", "no verdict"))]
    notes += [f"interval {ratio_text(record['ratio'])}"]
    by = "counted" if record["predicted_ratio"] else "predicted"
    notes += [f"{by} {significant(predicted)}"] if predicted else []
    text = " ".join(filter(None, [rounded_ratio(record["ratio"]), VERDICT_MARKS.get(verdict)]))
    return Cell(text, "; ".join(notes), verdict or "")


def verdict_bar(verdicts: Iterable[str]) -> Cell:
    """Return the cell of how often each verdict was given, as a bar of coloured segments."""
    counts = Counter(verdicts)
    named = [(name, counts[name]) for name in VERDICT_COLOURS if counts[name]]
    if not named:
        return missing("no verdicts: too few launches")
    return Cell(", ".join(f"{count} {name}" for name, count in named), bar=named)
