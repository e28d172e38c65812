"""Group items by a key, keeping the order in which they appear."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Fields = TypeVar("Fields", bound=Mapping[str, Any])


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return the items of each key; keys and items stay in first-seen order."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def group_by_fields(
    records: Iterable[Fields], fields: Sequence[str]
) -> dict[tuple[str, ...], list[Fields]]:
    """Return the records of each combination of values of these fields, in first-seen order."""
    return group_by(records, lambda record: tuple(record[name] for name in fields))
