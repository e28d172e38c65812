"""Cells over time for a terminal: a sparkline each, what changed, how to make sure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from results.formatting import one_line, seconds_text
from results.regression.history import Series
from results.statistics.change_points import LEAST, Change, changes, level_of

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100
COMMAND = "  "  # in front of one
SHOWN = 5  # commands
NEAR = 2  # runs: how near a change is found to where it is (docs/history.md)
BARS = "▁▂▃▄▅▆▇█"
MOST = 24  # runs in a sparkline
FLAT = (
    0.10  # a range of less than this is drawn as if it were this: noise must not look like cliffs
)
NAMED = ("scenario", "variant", "size", "framework", "mode", "phase", "strategy")


@dataclass(frozen=True)
class Line:
    """A cell with the changes that were found in it."""

    series: Series
    found: Sequence[Change]

    @property
    def newest(self) -> Change | None:
        """The last change."""
        return self.found[-1] if self.found else None


def lines(found: Sequence[Series]) -> list[Line]:
    """Those with a change first, the largest slowdown on top; the others as they are."""
    made = [Line(one, changes(level_of(one.seconds, one.frozen))) for one in found]
    return sorted(made, key=lambda line: -line.newest.ratio if line.newest else 0.0)


def sparkline(seconds: Sequence[float], most: int = MOST) -> str:
    """The newest times as bars of eight heights, on a logarithmic scale."""
    logs = np.log(np.asarray(seconds[-most:], dtype=np.float64))
    low, high = float(logs.min()), float(logs.max())
    room = max(high - low, np.log1p(FLAT))
    base = low - (room - (high - low)) / 2
    heights = np.clip((logs - base) / room * len(BARS), 0, len(BARS) - 1).astype(int)
    return "".join(BARS[height] for height in heights)


def changed(line: Line) -> str:
    """``+12 % since 20261121T010203 (b7836469f)``."""
    change = line.newest
    if change is None:
        return ""
    run, commit = line.series.runs[change.at], line.series.commits[change.at]
    dirty = "+" if commit.endswith("+") else ""
    at = f" ({commit[:9]}{dirty})" if commit else ""
    return f"{100 * (change.ratio - 1):+.0f} % since {run.partition('-')[0]}{at}"


def command(line: Line) -> str | None:
    """What would confirm the last change by the strong way; None where commits do not tell it.

    The run in which a level changes is found to within `NEAR`, so the commits are those of runs
    further apart, where there are such from a tree without changes.
    """
    change = line.newest
    if change is None:
        return None
    commits, at = line.series.commits, change.at
    before = _clean(commits, [*range(at - 1 - NEAR, -1, -1), *range(max(0, at - NEAR), at)])
    after = _clean(commits, [*range(at + NEAR, len(commits)), *range(at + NEAR - 1, at - 1, -1)])
    if before is None or after is None or before == after:
        return None
    cell = line.series.cell
    chosen = [f"--{name}={cell[name]}" for name in ("kind", *NAMED, "device")]
    return shlex.join(["cascade-bench", "regress", before[:12], after[:12], *chosen])


def _clean(commits: Sequence[str], places: Iterable[int]) -> str | None:
    """The first of these that is of a tree without changes."""
    found = (commits[place] for place in places if place < len(commits))
    return next((commit for commit in found if commit and not commit.endswith("+")), None)


def drift(found: Sequence[Line]) -> str:
    """Of how many cells the machine's drift is taken out, and why of the others not."""
    out = sum(bool(np.isfinite(line.series.frozen).all()) for line in found)
    why = "" if out == len(found) else "; of the others some run has no frozen reference"
    return (
        f"The machine's drift is taken out of {out} of these {len(found)} before a change is "
        f"looked for{why}."
    )


def text(found: Sequence[Line], about: str, width: int = WIDTH, *, colour: bool = False) -> str:
    """What a terminal of that width shows."""
    from rich.console import Console

    console = Console(
        width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False,
        color_system="standard" if colour else None,
    )  # fmt: skip
    with console.capture() as captured:
        for part in _parts(found, about):
            # a command must stay in one line, or it cannot be pasted
            console.print(part, soft_wrap=isinstance(part, str) and part.startswith(COMMAND))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _parts(found: Sequence[Line], about: str) -> Iterator[RenderableType]:
    yield one_line(about)
    yield ""
    yield _table(found)
    yield ""
    moved = [line for line in found if line.newest]
    short = sum(len(line.series.runs) < LEAST for line in found)
    yield (
        f"{len(moved)} of {len(found)} cells changed their level"
        + (
            f"; {short} have fewer than the {LEAST} runs that a change takes to be told"
            if short
            else ""
        )
        + ". A change over sessions is a suspicion: the machine changes too."
    )
    yield drift(found)
    sure = [(line, asked) for line in moved if (asked := command(line))]
    if sure:
        yield "to be sure, measure both commits in one session:"
    for _, asked in sure[:SHOWN]:
        yield f"{COMMAND}{asked}"
    if len(sure) > SHOWN:
        yield f"and {len(sure) - SHOWN} more: --json has them all"
    if moved and not sure:
        yield "No two commits tell these changes apart, so there is nothing to measure again."


def _table(found: Sequence[Line]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("cell", overflow="fold", ratio=1)
    table.add_column("runs", justify="right", no_wrap=True)
    table.add_column("over time", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column("changed", no_wrap=True)
    for line in found:
        one, newest = line.series, line.newest
        style = "" if newest is None else "red" if newest.ratio > 1 else "green"
        table.add_row(
            Text(one_line(one.name)),
            str(len(one.runs)),
            sparkline(one.seconds.tolist()),
            seconds_text(float(one.seconds[-1])),
            Text(changed(line), style),
        )
    return table


def plain(line: Line) -> dict[str, Any]:
    """For programs."""
    one = line.series
    return {
        "cell": dict(one.cell),
        "machine": one.machine,
        "runs": list(one.runs),
        "commits": list(one.commits),
        "seconds": one.seconds.tolist(),
        "frozen_seconds": [None if np.isnan(f) else float(f) for f in one.frozen],
        "changes": [{"run": one.runs[c.at], "ratio": c.ratio} for c in line.found],
        "confirm": command(line),
    }
