"""A run as plain Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results import frameworks, trust
from results.failures import outcome_reason
from results.formatting import (
    NOTHING,
    bytes_text,
    code,
    escape,
    flops_text,
    gradient_error_text,
    number_text,
    ratio_text,
    seconds_text,
    share_text,
)
from results.payback import payback_lines
from results.records import Record, Run, cell_id

# What one table has in common; every other field of a cell is in its rows.
_TABLE_FIELDS = ("scenario", "size", "kind", "device", "dtype")
_VERSIONS = ("torch", "jax", "jaxlib", "flax", "optax")


def markdown(run: Run) -> str:
    """The run as Markdown: machine and settings, a section a scenario, a table a size, then
    when compiling pays, what did not go well and what does not apply.

    A row of a table is a cell. Cells which differ in kind, device or dtype stand in tables
    of their own. Everything that may come from a file is escaped.
    """
    lines = _head(run)
    scenario = None
    for records in _groups(run.records, _TABLE_FIELDS):
        if records[0]["scenario"] != scenario:
            scenario = records[0]["scenario"]
            lines += [f"## {escape(scenario)}", ""]
        lines += [*_table(records), ""]
    lines += frameworks.section(run) + payback_lines(run.records)
    lines += _failures(run.records) + _not_applicable(run.records)
    return "\n".join(lines).rstrip() + "\n"


def _groups(records: Iterable[Record], fields: Sequence[str]) -> list[list[Record]]:
    """The records by these fields, groups of the first field together, in first-seen order."""
    groups: dict[str, dict[tuple[str, ...], list[Record]]] = {}
    for record in records:
        key = tuple(record[name] for name in fields)
        groups.setdefault(key[0], {}).setdefault(key, []).append(record)
    return [members for inner in groups.values() for members in inner.values()]


def _head(run: Run) -> list[str]:
    machine = run.machine
    parts = [machine.get("cpu") or machine["id"]]
    parts += [f"{machine['cores']} cores"] if machine.get("cores") is not None else []
    parts += [machine["gpu"]] if machine.get("gpu") else []
    parts += [f"{name} {machine[name]}" for name in _VERSIONS if machine.get(name)]
    launches = run.settings.get("launches", NOTHING)
    about = f"Run {run.id}, started {run.started}, {launches} launches."
    state = ""
    if run.interrupted:
        state = " **Interrupted: what follows is what was measured until then.**"
    elif run.finished is None:
        state = " **Not finished.**"
    title = f"# {escape(', '.join(map(str, parts)))}"
    return [title, "", escape(about) + state, "", *_canaries(run)]


def _canaries(run: Run) -> list[str]:
    """One line where all is well; loudly, what the harness misread, where it is not."""
    told, failed = trust.summary(run.settings), trust.failed(run.settings)
    if told is None:
        return []
    loud = [f"**{trust.DISTRUST}**", "", *(f"- {escape(line)}" for line in failed), ""]
    return [f"Canaries: {escape(told)}.", "", *(loud if failed else [])]


def _table(records: Sequence[Record]) -> list[str]:
    first = records[0]
    about = escape(f"{first['size']} ({first['kind']}, {first['device']}, {first['dtype']})")
    freeze = first["kind"] == "freeze"
    titles = [
        "variant", "phase", "framework", "recipe" if freeze else "strategy", "time",
        _ratio_title(records), "verdict", "predicted", "gradient error", "peak share",
    ]  # fmt: skip
    rules = ["---"] * 4 + ["---:"] * 2 + ["---", "---:", "---", "---:"]
    rows = [_row(record) for record in records]
    if freeze:
        titles += ["FLOPs", "saved for backward", "optimizer state"]
        rows = [row + _counted(record) for row, record in zip(rows, records, strict=True)]
    if any(record["peak_bytes"] is not None for record in records):
        titles += ["peak memory"]
        rows = [
            [*row, bytes_text(record["peak_bytes"])]
            for row, record in zip(rows, records, strict=True)
        ]
    rules += ["---:"] * (len(titles) - len(rules))
    return [f"### {about}", "", *(f"| {' | '.join(row)} |" for row in [titles, rules, *rows])]


def _counted(record: Record) -> list[str]:
    """What a recipe saves, counted: arithmetic, residuals, optimizer state."""
    return [
        flops_text(record["flops"]),
        bytes_text(record["residual_bytes"]),
        bytes_text(record["optimizer_state_bytes"]),
    ]


def _ratio_title(records: Sequence[Record]) -> str:
    names = {record["baseline"] for record in records} - {None}
    levels = {record["ratio"]["confidence"] for record in records if record["ratio"]}
    name = escape(names.pop()) if len(names) == 1 else "baseline"
    level = f"{100 * levels.pop():g} % " if len(levels) == 1 else ""
    return f"vs {name} [{level}interval]"


def _row(record: Record) -> list[str]:
    names = (record["variant"], record["phase"], f"{record['framework']} {record['mode']}")
    is_baseline = record["strategy"] == record["baseline"] and record["outcome"] == "ok"
    return [
        *(escape(name) for name in (*names, record["strategy"])),
        _time(record),
        "1" if is_baseline else ratio_text(record["ratio"]),
        NOTHING if record["verdict"] is None else escape(record["verdict"]),
        number_text(record["predicted_ratio"]),
        gradient_error_text(record["gradient_error"]),
        share_text(record["peak_share"]),
    ]


def _time(record: Record) -> str:
    if record["outcome"] != "ok":
        return escape(_outcome(record))
    seconds = record["seconds"]
    text = seconds_text(seconds["estimate"] if seconds else None)
    return text if record["steady"] is not False else f"{text} (not steady)"


def _outcome(record: Record) -> str:
    reason = outcome_reason(record)
    return f"{record['outcome']}: {reason}" if reason else str(record["outcome"])


def _failures(records: Iterable[Record]) -> list[str]:
    failed = [record for record in records if record["outcome"] not in ("ok", "unsupported")]
    if not failed:
        return []
    lines = [
        f"- {escape(record['kind'])} {escape(cell_id(record))}: {escape(_outcome(record))}. "
        f"Again: {code(record['rerun'])}"
        for record in failed
    ]
    return ["## What did not go well", "", *lines, ""]


def _not_applicable(records: Iterable[Record]) -> list[str]:
    cells: dict[str, list[Record]] = {}
    for record in records:
        if record["outcome"] == "unsupported":
            cells.setdefault(outcome_reason(record) or "no reason given", []).append(record)
    if not cells:
        return []
    lines = [f"- {escape(reason)}: {_brief(members)}" for reason, members in cells.items()]
    return ["## Not applicable", "", *lines, ""]


def _brief(records: Sequence[Record]) -> str:
    """How many cells, and of what, without naming every one."""
    names = dict.fromkeys(f"{record['framework']} {record['strategy']}" for record in records)
    count = f"{len(records)} cell{'s' if len(records) > 1 else ''}"
    return f"{count} ({escape(', '.join(names))})"
