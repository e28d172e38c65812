"""What came to something else than a time: why, and the command that measures it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from results.records.record import CELL_FIELDS, Record

# many cells fail of one cause, and the first few tell it
REASONS, GROUPS = 10, 3  # shown of all, and under one reason
COMMAND = "    "  # what a line with a command begins with


def failed(records: Iterable[Record]) -> list[Record]:
    """Those that came to something else than a time, and might have had one."""
    return [r for r in records if r["outcome"] not in ("ok", "unsupported", "interrupted")]


def outcome_reason(record: Record) -> str:
    """Why a cell that is not ok has no time, or an empty string where nothing says so."""
    if record["outcome"] == "ok":
        return ""
    if record["equivalence"] not in (None, "pass"):
        return str(record["equivalence"])
    missing = record["missing"]
    return str(missing.get("seconds") or next(iter(missing.values()), ""))


def failures(records: Sequence[Record]) -> Iterator[str]:
    """A line a reason, under it the groups with their commands; of many, the first few.

    Every cell's own command stands in its record, in the report and in pytest's list of failures.
    """
    reasons: dict[tuple[str, str], dict[tuple[str, ...], list[Record]]] = {}
    for record in records:
        reason = record["outcome"], outcome_reason(record) or "no reason given"
        reasons.setdefault(reason, {}).setdefault(_group(record), []).append(record)
    for (outcome, why), found in list(reasons.items())[:REASONS]:
        yield f"{outcome}, {_count(found.values())}: {why}"
        for group, members in list(found.items())[:GROUPS]:
            strategies = ", ".join(record["strategy"] for record in members)
            yield f"  {' '.join(part for part in group if part != '-')}: {strategies}"
            yield f"{COMMAND}{_command(members)}"
        if len(found) > GROUPS:
            yield f"  and {_count(list(found.values())[GROUPS:])} more"
    others = [members for found in list(reasons.values())[REASONS:] for members in found.values()]
    if others:
        yield f"and {_count(others)} more, for {len(reasons) - REASONS} other reasons"


def _group(record: Record) -> tuple[str, ...]:
    return tuple(record[name] for name in CELL_FIELDS if name != "strategy")


def _count(groups: Iterable[Sequence[Record]]) -> str:
    cells = sum(len(members) for members in groups)
    return f"{cells} cell{'s' if cells > 1 else ''}"


def _command(members: Sequence[Record]) -> str:
    """One command for the cells of a group: they differ in nothing but the strategy."""
    first: str = members[0]["rerun"]
    one, every = members[0]["strategy"], ",".join(record["strategy"] for record in members)
    return first.replace(f" --strategy={one} ", f" --strategy={every} ")
