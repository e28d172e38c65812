"""Choose what a comparison measures next: what is undecided, and what that needs beside it.

A cell that a look decided leaves; its time goes to the others. It stays while the row that its
framework's cells share is undecided, which needs them all, and as one of three, the fewest from
which something common can be taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.regression.decision import Rows, decide_rows, design_of, rows_of
from results.regression.document import joint_verdict
from results.statistics.common_mode import CELLS_FOR_COMMON, estimate
from results.statistics.launch_pairs import Decision
from results.statistics.verdict import EQUAL, INCONCLUSIVE, half_widths


@dataclass(frozen=True)
class Standing:
    """What the last look left undecided.

    Attributes:
        rows: the measurements.
        session: the decision on them.
        cells: the joint verdict of each of ``rows.entries``.
        shared: the joint verdict of what the cells of each framework share, where it is a row.
    """

    rows: Rows
    session: Decision
    cells: Sequence[str]
    shared: Mapping[str, str]

    def undecided_cells(self) -> list[int]:
        """Return the places of the cells, in ``rows.entries``, that are undecided."""
        return [place for place, verdict in enumerate(self.cells) if verdict == INCONCLUSIVE]

    def undecided_frameworks(self) -> list[str]:
        """Return the frameworks whose shared change is undecided."""
        return [name for name, verdict in self.shared.items() if verdict == INCONCLUSIVE]


def standing_of(document: Mapping[str, Any]) -> Standing | None:
    """Return what the last look left undecided; None where none was taken or no cell has times."""
    rows = rows_of(document)
    if rows is None or not document["design"]["taken"]:
        return None
    session = decide_rows(document, rows)

    def joint(places: Mapping[str, int]) -> str:
        return joint_verdict({m: str(session.verdicts[row]) for m, row in places.items()})

    return Standing(
        rows,
        session,
        [joint(rows.of_cell(place)) for place in range(len(rows.entries))],
        {name: joint(rows.of_framework(name)) for name in rows.shared_frameworks()},
    )


def cells_to_measure(
    standing: Standing, cells: Sequence[int], frameworks: Sequence[str]
) -> list[int]:
    """Return which cells go on, as places in ``rows.entries``.

    Args:
        standing: after the last look.
        cells: the cells to decide; they must still be measured.
        frameworks: those whose shared change is to be decided.
    """
    entries = standing.rows.entries
    measured = [place for place, one in enumerate(entries) if not one.get("left_after")]
    going_on: list[int] = []
    for framework in dict.fromkeys(entries[place]["cell"]["framework"] for place in measured):
        members = [p for p in measured if entries[p]["cell"]["framework"] == framework]
        wanted = [place for place in members if place in cells]
        if framework in frameworks:
            going_on += members
        elif wanted and framework in standing.shared:
            going_on += _with_companions(wanted, members, standing.cells)
        else:
            going_on += wanted
    return sorted(going_on)


def _with_companions(
    wanted: Sequence[int], members: Sequence[int], verdicts: Sequence[str]
) -> list[int]:
    """Return the wanted cells, with as many others as a common mode needs, equal ones first."""
    others = [place for place in members if place not in wanted]
    others.sort(key=lambda place: verdicts[place] != EQUAL)
    return [*wanted, *others[: max(0, CELLS_FOR_COMMON - len(wanted))]]


def needs_control(document: Mapping[str, Any], standing: Standing, cells: Sequence[int]) -> bool:
    """Return whether base must still be measured against base.

    It need not where the 95 % interval of that ratio lies within the margin for each of these cells
    and for what their frameworks share.

    Args:
        document: of the comparison.
        standing: after the last look.
        cells: that are measured next, as places in ``rows.entries``.
    """
    rows = standing.rows
    estimated = estimate(rows.control, rows.group_of, np.asarray(rows.control_counts))
    reach = np.abs(estimated.log_ratio) + half_widths(estimated)
    names = {rows.entries[place]["cell"]["framework"] for place in cells}
    asked = [row for place in cells for row in rows.of_cell(place).values()]
    shared = names & set(standing.shared)
    asked += [row for name in shared for row in rows.of_framework(name).values()]
    return bool((reach[asked] > design_of(document["design"], rows.group_of).bound).any())
