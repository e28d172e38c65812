"""Split option values that list several names."""

from __future__ import annotations

from collections.abc import Iterable


def split_names(values: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names in the values of a repeated option, each a list separated by commas.

    ``["a,b", "c"]`` gives ``("a", "b", "c")``. None, or no value, gives None: the option was left
    out.
    """
    return tuple(name for value in values for name in value.split(",")) if values else None
