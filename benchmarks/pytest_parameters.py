"""Give each timed test its cells and each check its problems: the parameters of pytest's tests."""

from __future__ import annotations

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.harness.protocol.ranks import DISTRIBUTED
from benchmarks.harness.selection import options
from benchmarks.scenarios import FRAMEWORKS, Scenario

# kinds of which one test times every cell
OWN_TESTS = {"freeze": "test_freeze", DISTRIBUTED: "test_distributed"}


def parametrize_timed(metafunc: pytest.Metafunc, selection: options.Selection) -> None:
    """Give a timed test the cells that it times, by their fields, as strings only."""
    names = list(cells.Cell.__dataclass_fields__)[1:]
    test = metafunc.function.__name__
    own_cells = [cell for cell in selection.cells() if timed_by(cell) == test]
    values = [[getattr(cell, name) for name in names] for cell in own_cells]
    metafunc.parametrize(names, values, ids=[cell.id for cell in own_cells])


def timed_by(cell: cells.Cell) -> str:
    """Return the name of the test that times the cell."""
    if cell.kind in OWN_TESTS:
        return OWN_TESTS[cell.kind]
    return "test_step" if cell.phase == "step" else "test_backward"


def parametrize_checks(metafunc: pytest.Metafunc, selection: options.Selection) -> None:
    """Give a check every problem that fits each of its arguments, and each chosen framework.

    Every variant is checked unless ``--variant`` names some, at the check sizes unless ``--size``
    names others.
    """
    for name, problems in problems_by_argument(selection).items():
        if name in metafunc.fixturenames:
            values = [(s.name, variant, size) for s, variant, size in problems]
            metafunc.parametrize(name, values, ids=["-".join(value) for value in values])
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "framework" in metafunc.fixturenames and "framework" not in marked:
        metafunc.parametrize("framework", list(selection.framework or FRAMEWORKS))


def problems_by_argument(
    selection: options.Selection,
) -> dict[str, list[tuple[Scenario, str, str]]]:
    """Return, for each argument that a check may have, the problems to run the check with.

    Returns:
        ``problem``, ``several`` (with several losses) and ``freezing`` (with something frozen, at
        the size at which freezes are proven), each → (scenario, variant, size).
    """
    every_variant = options.Selection(
        scenario=selection.scenario,
        variant=selection.variant or (options.ALL,),
        size=selection.size or (options.ALL,),
    )
    problems = list(every_variant.problems())
    checked = [p for p in problems if selection.size or p[2] in p[0].check_sizes]
    return {
        "problem": checked,
        "several": [p for p in checked if len(p[0].variants[p[1]].flow) > 1],
        "freezing": [
            (s, variant, size)
            for s, variant, size in problems
            if s.variants[variant].frozen and (selection.size or size == s.freeze_size)
        ],
    }


def is_timed(item: pytest.Item) -> bool:
    """Return whether the test times a cell; every other test is a check."""
    return isinstance(item, pytest.Function) and "timed_cell" in item.fixturenames


def cell_of(item: pytest.Item) -> cells.Cell:
    """Return the cell that a timed test measures."""
    assert isinstance(item, pytest.Function)
    name = item.function.__name__
    kind = next((kind for kind, test in OWN_TESTS.items() if test == name), "backward")
    return cells.Cell(kind, **{n: str(v) for n, v in item.callspec.params.items()})
