"""Find the one cell that somebody has named, by the words that tables show or by a test's name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from benchmarks.harness.protocol.cells import OPTIONS, Cell
from benchmarks.harness.selection.options import DEVICES, Selection, SelectionError

EXAMPLE = "torch linear_cascade small gradient separate_retained"
# ``backward`` is a kind and a phase: tables show the phase, and the strategy says the kind
FIELDS = tuple(sorted(OPTIONS, key=lambda option: option == "kind"))


def find_cell(words: Sequence[str], device: str) -> Cell:
    """Return the cell that these words name.

    Args:
        words: names of its fields in any order, ``jax linear_cascade small gradient summed``, as
            one text or several; or the name of the test that times it, or its part in brackets. A
            field that is left out has its default.
        device: ``cpu`` or ``cuda``; a test's name has its own.

    Raises:
        SelectionError: a word is no name, none or several cells are left, or the cell cannot exist.
    """
    split = [word for text in words for word in text.split()]
    if not split:
        raise SelectionError(f"name a cell, such as: {EXAMPLE}")
    if len(split) == 1 and ("[" in split[0] or split[0].count("-") >= len(OPTIONS) - 1):
        return _checked(_by_test_name(split[0]))
    return _checked(_by_words(split, device))


def _by_test_name(name: str) -> Cell:
    """Return the cell of a test by its name, or by the part of it in brackets."""
    wanted = name.partition("[")[2].rstrip("]") if "[" in name else name
    device = next((one for one in DEVICES if f"-{one}-" in wanted), DEVICES[0])
    cells = {one.id: one for one in Selection(device=device, everything=True).cells()}
    if wanted not in cells:
        alike = [one for one in cells if one.split("-")[0] == wanted.split("-")[0]]
        near = difflib.get_close_matches(wanted, alike, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SelectionError(f"no cell has the name {wanted!r}{hint}")
    return cells[wanted]


def _by_words(words: Sequence[str], device: str) -> Cell:
    """Return the cell of which each word names a field."""
    named: dict[str, tuple[str, ...]] = {}
    for word in words:
        if word == "-":  # the variant of a scenario without variants, as tables leave it out
            continue
        allowed = Selection(**named, device=device).allowed()  # type: ignore[arg-type]
        fields = [option for option in FIELDS if word in allowed[option]]
        if not fields:
            every = [name for names in allowed.values() for name in names]
            near = difflib.get_close_matches(word, every, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; see `cascade-bench list`"
            raise SelectionError(f"{word!r} is no scenario, size, strategy or other name{hint}")
        if fields[0] in named:
            raise SelectionError(
                f"{named[fields[0]][0]!r} and {word!r} are both a {fields[0]}: name one cell"
            )
        named[fields[0]] = (word,)
    if "strategy" not in named:
        raise SelectionError(f"which strategy or recipe? name one, such as: {EXAMPLE}")
    cells = Selection(**named, device=device).require_cells()  # type: ignore[arg-type]
    return _only([cell for cell in cells if cell.strategy == named["strategy"][0]])


def _only(cells: Sequence[Cell]) -> Cell:
    """Return the only one of these cells; raise `SelectionError` where it is not the only one."""
    possible = [cell for cell in cells if cell.unsupported_reason() is None] or list(cells)
    if len(possible) == 1:
        return possible[0]
    if not possible:
        raise SelectionError("no cell is of these names together; see `cascade-bench list`")
    differing = [o for o in OPTIONS if len({getattr(cell, o) for cell in possible}) > 1]
    choices = [
        f"{option} ({', '.join(dict.fromkeys(getattr(c, option) for c in possible))})"
        for option in differing
    ]
    raise SelectionError(
        f"{len(possible)} cells have these names: name the {' and the '.join(choices)} too"
    )


def _checked(cell: Cell) -> Cell:
    """Return the cell; raise `SelectionError` if it cannot exist, or is its own baseline."""
    if reason := cell.unsupported_reason():
        raise SelectionError(f"{cell.strategy} cannot exist here: {reason}")
    if cell.strategy == cell.baseline:
        raise SelectionError(
            f"{cell.strategy} is the baseline that others are compared with: name another strategy"
        )
    return cell
