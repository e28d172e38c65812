"""Split option values that list several names, and hold them to the names of saved runs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from benchmarks.harness.selection.choices import ALL
from benchmarks.harness.selection.options import SelectionError

Names = tuple[str, ...] | None


def split_names(values: Iterable[str] | None) -> Names:
    """Return the names in the values of a repeated option, each a list separated by commas.

    ``["a,b", "c"]`` gives ``("a", "b", "c")``. None, or no value, gives None: the option was left
    out.
    """
    return tuple(name for value in values for name in value.split(",")) if values else None


def names_of_runs(
    selected: Mapping[str, Names], there: Mapping[str, Collection[str]]
) -> dict[str, Names]:
    """Return a selection among saved cells: field → names, None for every one of them.

    Args:
        selected: field of a cell → the names given, None where none was; ``all`` stands for every
            one.
        there: field of a cell → the names that the saved cells have.

    Raises:
        SelectionError: no saved cell has one of the names.
    """
    for field, names in selected.items():
        for name in names or ():
            if name != ALL and name not in there[field]:
                near = difflib.get_close_matches(name, list(there[field]), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise SelectionError(
                    f"no saved cell has --{field} {name!r}{hint} "
                    f"(there are: {', '.join(sorted(there[field])) or 'none'})"
                )
    return {field: None if ALL in (names or ()) else names for field, names in selected.items()}
