"""List the cells of a run that have no time: why, and the command that measures them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from results.records.record import AnyRecord, cell_fields, named_fields

# Many cells fail for one reason, and the first few of them show it.
REASONS, GROUPS = 10, 3  # how many are shown: reasons in all, groups under one reason
COMMAND = "    "  # what a line with a command begins with

R = TypeVar("R", bound=AnyRecord)


def failed(records: Iterable[R]) -> list[R]:
    """Return the records of cells that failed: no time, and neither unsupported nor interrupted."""
    return [r for r in records if r["outcome"] not in ("ok", "unsupported", "interrupted")]


def outcome_reason(record: AnyRecord) -> str:
    """Return why a cell has no time; an empty string if it has one or no reason is recorded."""
    if record["outcome"] == "ok":
        return ""
    if record["equivalence"] not in (None, "pass"):
        return str(record["equivalence"])
    missing = record["missing"]
    return str(missing.get("seconds") or next(iter(missing.values()), ""))


def failures(records: Sequence[AnyRecord]) -> Iterator[str]:
    """Yield lines that list failed cells by reason, each group with the command to repeat it.

    Only the first few reasons and groups are listed. Every cell's own command is in its record, in
    the report and in pytest's list of failures.

    Args:
        records: those of the cells that failed.
    """
    reasons: dict[tuple[str, str], dict[tuple[str, ...], list[AnyRecord]]] = {}
    for record in records:
        reason = record["outcome"], outcome_reason(record) or "no reason given"
        group = cell_fields(record, without=("strategy",))
        reasons.setdefault(reason, {}).setdefault(group, []).append(record)
    for (outcome, why), groups in list(reasons.items())[:REASONS]:
        yield f"{outcome}, {_count(groups.values())}: {why}"
        yield from _groups(groups)
    others = [members for groups in list(reasons.values())[REASONS:] for members in groups.values()]
    if others:
        yield f"and {_count(others)} more, for {len(reasons) - REASONS} other reasons"


def _groups(groups: dict[tuple[str, ...], list[AnyRecord]]) -> Iterator[str]:
    """Yield two lines for each of the first groups: its cells, and the command that repeats them.

    Args:
        groups: the fields of a cell but the strategy → the records of a group.
    """
    for members in list(groups.values())[:GROUPS]:
        name = " ".join(named_fields(members[0], without=("strategy",)))
        strategies = ", ".join(record["strategy"] for record in members)
        yield f"  {name}: {strategies}"
        yield f"{COMMAND}{_command(members)}"
    if len(groups) > GROUPS:
        yield f"  and {_count(list(groups.values())[GROUPS:])} more"


def _count(groups: Iterable[Sequence[AnyRecord]]) -> str:
    """Return the number of cells in these groups, in words: ``3 cells``."""
    cells = sum(len(members) for members in groups)
    return f"{cells} cell{'s' if cells > 1 else ''}"


def _command(members: Sequence[AnyRecord]) -> str:
    """Return the shell command that measures these cells again.

    Args:
        members: records that differ in nothing but the strategy.
    """
    first: str = members[0]["rerun"]
    one, every = members[0]["strategy"], ",".join(record["strategy"] for record in members)
    return first.replace(f" --strategy={one} ", f" --strategy={every} ")
