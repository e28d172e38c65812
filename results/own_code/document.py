"""Make the rows of a comparison on a user's own code, write its document, and read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from results.estimates.run_estimates import estimate_run
from results.own_code.schema import Document, Row
from results.records.record import RecordError, new_record, plain, sample_key
from results.records.schema import Record
from results.records.storage import write_whole
from results.statistics.verdict import INCONCLUSIVE

SCHEMA, KIND = 1, "own_code"
RIGHT, WRONG, ERROR, STOPPED = 0, 1, 2, 130  # exit codes
NOT_TOLD = "not told"
KEYS = (
    "schema", "kind", "case", "date", "machine", "seconds", "answer", "exit_code", "error",
    "frameworks",
)  # fmt: skip


def rows(
    groups: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], code: Mapping[str, str]
) -> list[Row]:
    """Return a row for each way of each group, with times, ratios and verdicts.

    Args:
        groups: the cell's fields and the baseline of each group, and way → its outcome, as
            `benchmarks.harness.measurement.job.CellOutcome`.
        code: way → what to write.
    """
    records, samples = cells(groups)
    flops = {(r["kind"], r["phase"], r["strategy"]): r["flops"] for r in records}
    estimated = estimate_run(_paired(records, samples), samples)
    return [_row(record, flops, code) for record in estimated]


def cells(
    groups: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> tuple[list[Record], dict[str, Any]]:
    """Return the record of each way, not yet estimated, and the samples of those that were timed.

    Args:
        groups: as in `rows`.
    """
    records: list[Record] = []
    samples: dict[str, Any] = {}
    for fields, outcomes in groups:
        for way, outcome in outcomes.items():
            record = _record(fields, way, outcome)
            records.append(record)
            if outcome["samples"]:
                samples[sample_key(record)] = outcome["samples"]
            elif record["outcome"] == "ok":
                record["outcome"] = "interrupted"
    return records, samples


def _paired(records: list[Record], samples: dict[str, Any]) -> list[Record]:
    """Cut the samples of a group that was stopped to the launches that every way has."""
    by_group: dict[tuple[str, str], list[str]] = {}
    for record in records:
        key = sample_key(record)
        if key in samples:
            by_group.setdefault((record["kind"], record["phase"]), []).append(key)
    for keys in by_group.values():
        fewest = min(len(samples[key]) for key in keys)
        for key in keys:
            samples[key] = samples[key][:fewest]
    return records


def _record(fields: Mapping[str, Any], way: str, outcome: Mapping[str, Any]) -> Record:
    """Return the record of one cell, not yet estimated."""
    figures = outcome["figures"]
    cell = {name: value for name, value in fields.items() if name != "baseline"}
    return new_record(
        {**cell, "strategy": way},
        family="own",
        baseline=fields["baseline"],
        rerun="",
        outcome=outcome["outcome"],
        flops=figures.get("flops"),
        residual_bytes=figures.get("residual_bytes"),
        gradient_error=figures.get("gradient_error"),
        equivalence=figures.get("equivalence") or outcome["why"],
    )


def _row(
    record: Record, flops: Mapping[tuple[str, str, str], float | None], code: Mapping[str, str]
) -> Row:
    """Return the row of an estimated record."""
    error, baseline = record["gradient_error"], cast("str", record["baseline"])
    own, base = record["flops"], flops.get((record["kind"], record["phase"], baseline))
    verdict = record["verdict"]
    is_baseline = record["strategy"] == baseline
    return {
        "kind": record["kind"],
        "way": record["strategy"],
        "baseline": baseline,
        "phase": record["phase"],
        "outcome": record["outcome"],
        "equivalence": record["equivalence"],
        "gradient_error": error["relative"] if error else None,
        "seconds": record["seconds"],
        "ratio": record["ratio"],
        "verdict": NOT_TOLD if verdict in (None, INCONCLUSIVE) and not is_baseline else verdict,
        "predicted_ratio": own / base if own and base else None,
        "flops": own,
        "residual_bytes": record["residual_bytes"],
        "code": code.get(record["strategy"], ""),
    }


def unsupported_row(kind: str, way: str, baseline: str, phase: str, why: str, code: str) -> Row:
    """Return the row of a way that does not exist for this case."""
    return {
        "kind": kind,
        "way": way,
        "baseline": baseline,
        "phase": phase,
        "outcome": "unsupported",
        "equivalence": why,
        "gradient_error": None,
        "seconds": None,
        "ratio": None,
        "verdict": None,
        "predicted_ratio": None,
        "flops": None,
        "residual_bytes": None,
        "code": code,
    }


def write(document: Document, paths: Sequence[Path]) -> None:
    """Write the document to each of these files, whole or not at all.

    Raises:
        RecordError: a folder cannot be written.
    """
    text = json.dumps(plain(document), indent=1, ensure_ascii=False) + "\n"
    write_whole({path: text.encode() for path in paths})


def read(path: Path) -> Document:
    """Return the document in a file.

    Raises:
        RecordError: it is no such document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    if problem := problem_of(document):
        raise RecordError(f"{path} is no comparison of own code: {problem}")
    return cast("Document", document)


def problem_of(document: Any) -> str | None:
    """Return what is wrong with a document; None if it is one."""
    if not isinstance(document, dict):
        return f"it is {type(document).__name__}, not an object"
    missing = [key for key in KEYS if key not in document]
    if missing:
        return f"it lacks {', '.join(missing)}"
    if (document["schema"], document["kind"]) != (SCHEMA, KIND):
        return f"schema {document['schema']!r}, kind {document['kind']!r}"
    if not isinstance(document["frameworks"], list):
        return "frameworks is no list"
    return next(filter(None, map(_framework_problem, document["frameworks"])), None)


def _framework_problem(framework: Any) -> str | None:
    """Return what is wrong with a framework's part of a document."""
    if not isinstance(framework, dict) or not isinstance(framework.get("rows"), list):
        return "a framework has no rows"
    names = set(Row.__required_keys__)
    for row in framework["rows"]:
        if not isinstance(row, dict) or names - set(row):
            return "a row lacks " + ", ".join(sorted(names - set(row)))
    return None
