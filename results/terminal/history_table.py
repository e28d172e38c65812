"""Show the history of cells in a terminal: sparklines, changes, and commands to confirm them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from results.formatting import one_line, seconds_text
from results.records.record import lower_precision
from results.regression.history import Series
from results.statistics.change_points import LEAST, Change, changes, level_of
from results.terminal import tables

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = tables.WIDTH
INDENT = "  "  # of a command
SHOWN = 5  # commands at most
NEAR = 2  # runs: a change is dated to within so many of the true one (docs/history.md)
BARS = "▁▂▃▄▅▆▇█"
MOST = 24  # runs in a sparkline
FLAT = 0.10  # the least relative range of a sparkline: noise must not look like cliffs
NAMED = ("scenario", "variant", "size", "framework", "mode", "phase", "strategy")


@dataclass(frozen=True)
class CellHistory:
    """Hold the times of a cell over the runs, and the changes of their level, oldest first."""

    series: Series
    changes: Sequence[Change]

    @property
    def newest(self) -> Change | None:
        """The newest change; None where there is none."""
        return self.changes[-1] if self.changes else None


def cell_histories(series: Sequence[Series]) -> list[CellHistory]:
    """Detect the changes of each cell.

    Returns:
        The cells with a change first, the largest slowdown on top; the others in their order.
    """
    cells = [
        CellHistory(one, changes(level_of(one.seconds, one.reference_seconds))) for one in series
    ]
    return sorted(cells, key=lambda cell: -cell.newest.ratio if cell.newest else 0.0)


def sparkline(seconds: Sequence[float], most: int = MOST) -> str:
    """Return the newest times as bars of eight heights, on a logarithmic scale.

    Args:
        seconds: the times [runs], oldest first.
        most: the number of bars at most.
    """
    logs = np.log(np.asarray(seconds[-most:], dtype=np.float64))
    low, high = float(logs.min()), float(logs.max())
    scale = max(high - low, np.log1p(FLAT))
    base = low - (scale - (high - low)) / 2
    heights = np.clip((logs - base) / scale * len(BARS), 0, len(BARS) - 1).astype(int)
    return "".join(BARS[height] for height in heights)


def change_text(line: CellHistory) -> str:
    """Return size and date of the newest change: ``+12 % since 20261121T010203 (b7836469f)``.

    A ``+`` behind the commit says that the work tree had uncommitted changes.
    """
    change = line.newest
    if change is None:
        return ""
    run, commit = line.series.runs[change.at], line.series.commits[change.at]
    dirty = "+" if commit.endswith("+") else ""
    at = f" ({commit[:9]}{dirty})" if commit else ""
    return f"{100 * (change.ratio - 1):+.0f} % since {run.partition('-')[0]}{at}"


def confirming_command(line: CellHistory) -> str | None:
    """Return the command that measures the commits around the newest change in one session.

    A change is dated to within `NEAR` runs, so the commits are of runs further apart than that,
    where there are such runs from a work tree without uncommitted changes.

    Returns:
        The command; None where there is no change, no such commit on either side of it, or a
        precision that two versions are not compared in.
    """
    change = line.newest
    if change is None:
        return None
    commits, at = line.series.commits, change.at
    before = _first_clean(commits, [*range(at - 1 - NEAR, -1, -1), *range(max(0, at - NEAR), at)])
    after = _first_clean(
        commits, [*range(at + NEAR, len(commits)), *range(at + NEAR - 1, at - 1, -1)]
    )
    cell = line.series.cell
    if before is None or after is None or before == after or lower_precision(cell):
        return None
    options = [f"--{name}={cell[name]}" for name in ("kind", *NAMED, "device")]
    return shlex.join(["cascade-bench", "regress", before[:12], after[:12], *options])


def _first_clean(commits: Sequence[str], places: Iterable[int]) -> str | None:
    """Return the first commit whose work tree had no uncommitted changes; None if none had.

    Args:
        commits: the commit of each run, with a ``+`` where there were uncommitted changes.
        places: the indices of the commits to look at, in order.
    """
    candidates = (commits[place] for place in places if place < len(commits))
    return next((commit for commit in candidates if commit and not commit.endswith("+")), None)


def drift_note(cells: Sequence[CellHistory]) -> str:
    """Return a sentence that says for how many cells the drift of the machine is subtracted.

    It gives the reason for the others.
    """
    corrected = sum(bool(np.isfinite(line.series.reference_seconds).all()) for line in cells)
    reason = "; of the others some run has no frozen reference"
    return (
        f"The machine's drift is taken out of {corrected} of these {len(cells)} before a change is "
        f"looked for{'' if corrected == len(cells) else reason}."
    )


def text(
    cells: Sequence[CellHistory],
    about: str,
    width: int = WIDTH,
    *,
    colour: bool = False,
    changed: bool = False,
) -> str:
    """Return what a terminal of that width shows of these cells.

    Args:
        cells: all that were selected.
        about: the first line: which machine, and how many runs.
        width: columns of the terminal.
        colour: whether to emit colour codes.
        changed: whether only cells that changed have a row; the others are counted all the same.
    """

    def is_command(line: str) -> bool:  # which cannot be pasted once it is wrapped
        return line.startswith(INDENT)

    return tables.printed(
        _parts(cells, about, changed=changed), width, colour=colour, unwrapped=is_command
    )


def _parts(cells: Sequence[CellHistory], about: str, *, changed: bool) -> Iterator[RenderableType]:
    """Yield the lines and the table of the page on the history of these cells; see `text`."""
    yield one_line(about)
    yield ""
    if shown := [line for line in cells if line.changes or not changed]:
        yield _table(shown)
        yield ""
    moved = [line for line in cells if line.newest]
    yield _counts(cells, len(moved))
    yield drift_note(cells)
    yield from _commands(moved)


def _counts(cells: Sequence[CellHistory], moved: int) -> str:
    """Return a sentence that says how many cells changed, and how many have too few runs to tell.

    Args:
        moved: the number of cells that changed.
    """
    short = sum(len(line.series.runs) < LEAST for line in cells)
    few = f"; {short} have fewer than {LEAST} runs, too few to tell a change"
    return (
        f"{moved} of {len(cells)} cells changed their level{few if short else ''}"
        ". A change over sessions is a suspicion: the machine changes too."
    )


def _commands(moved: Sequence[CellHistory]) -> Iterator[str]:
    """Yield lines with the commands that confirm the newest changes, at most the first `SHOWN`.

    Args:
        moved: the cells that have a change.
    """
    commands = [confirming for line in moved if (confirming := confirming_command(line))]
    if commands:
        yield "to be sure, measure both commits in one session:"
    for confirming in commands[:SHOWN]:
        yield f"{INDENT}{confirming}"
    if len(commands) > SHOWN:
        yield f"and {len(commands) - SHOWN} more: --json has them all"
    if moved and not commands:
        yield "No two commits tell these changes apart, so there is nothing to measure again."


def _table(cells: Sequence[CellHistory]) -> RenderableType:
    """Return the table with a row for each cell: its runs, sparkline, newest time and change."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("cell", overflow="fold", ratio=1)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column("over time", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column("changed", no_wrap=True)
    for line in cells:
        series, newest = line.series, line.newest
        style = "" if newest is None else "red" if newest.ratio > 1 else "green"
        table.add_row(
            Text(one_line(series.name)),
            str(len(series.runs)),
            sparkline(series.seconds.tolist()),
            seconds_text(float(series.seconds[-1])),
            Text(change_text(line), style),
        )
    return table


def history_json(line: CellHistory) -> dict[str, Any]:
    """Return the history of a cell for other programs: its names, runs, times and changes.

    Returns:
        An object of strict JSON; ``frozen_seconds`` are the times of the machine reference, and
        ``confirm`` is the command that measures both sides of the newest change, or None.
    """
    series = line.series
    return {
        "cell": dict(series.cell),
        "machine": series.machine,
        "runs": list(series.runs),
        "commits": list(series.commits),
        "seconds": series.seconds.tolist(),
        "frozen_seconds": [None if np.isnan(f) else float(f) for f in series.reference_seconds],
        "changes": [{"run": series.runs[c.at], "ratio": c.ratio} for c in line.changes],
        "confirm": confirming_command(line),
    }
