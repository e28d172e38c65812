"""Print the report of ``cascade-bench doctor`` in a terminal of 100 columns or fewer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.harness.measurement.aa_comparison import LAUNCHES
from results.formatting import NOTHING, seconds_text, significant
from results.terminal.stdout import width_and_colour

WIDTH = 100
STATES = {"ok": ("OK", "green"), "warning": ("WARNING", "bold yellow"), "unknown": ("?", "dim")}
PARTS = ("frameworks", "findings", "while_measuring")
LEVELS = {
    "quiet": "6 launches tell a ratio to ±1 %",
    "noisy": "6 launches tell a ratio to ±2 %",
    "very noisy": "6 launches do not tell a ratio to ±2 %",
}
Report = Mapping[str, Any]


class Page:
    """Print the report in two parts, as the measurement between them takes a while.

    Args:
        quiet: print nothing.
        console: where to print; None for standard output.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        _, colour = width_and_colour(WIDTH, narrowest=WIDTH)
        shown: Any = "auto" if colour else None  # NO_COLOR leaves out what is bold, too
        self._out = console or Console(quiet=quiet, color_system=shown)
        self._out.width = min(self._out.width, WIDTH) if self._out.is_terminal else WIDTH
        self._err = Console(stderr=True, quiet=quiet, color_system=shown)

    def print_machine(self, report: Report) -> None:
        """Print what is known before measuring: machine, frameworks, and what disturbs timing."""
        self._title(f"this machine: {report['machine']['id']}")
        for line in _machine_lines(report["machine"]):
            self._out.print(Text(printable(line)))
        self._title("frameworks")
        self._findings(report["frameworks"])
        self._title("what disturbs measuring")
        self._findings(report["findings"])

    def print_progress(self, subject: str) -> None:
        """Print on stderr what is being measured."""
        self._err.print(f"measuring {subject} …", style="dim")

    def print_noise(self, report: Report) -> None:
        """Print the measured noise, and the changes that can be seen through it."""
        self._title("how noisy it is just now: one strategy against copies of itself")
        if report["noise"]:
            self._out.print(_noise_table(report["noise"]))
            for one in report["noise"]:
                if one["outcome"] != "ok":
                    line = f"{one['framework']} {one['size']}: {one['outcome']}: {one['why']}"
                    self._out.print(Text(printable(line)))
            self._findings(report["while_measuring"])
        for line in _conclusion_lines(report):
            self._out.print(Text(line))

    def _title(self, text: str) -> None:
        """Print a heading after an empty line."""
        self._out.print()
        self._out.print(Text(text, style="bold"))

    def _findings(self, findings: Iterable[Mapping[str, Any]]) -> None:
        """Print findings as a table: state, name, value and advice of each."""
        table = Table(box=None, show_header=False, pad_edge=False)
        for _ in range(2):
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for one in findings:
            word, style = STATES[one["state"]]
            text = Text(printable(one["found"]))
            if one["advice"]:
                text.append(f"\n→ {printable(one['advice'])}", style="dim")
            table.add_row(Text(word, style=style), Text(one["name"]), text)
        self._out.print(table)


def printable(text: str) -> str:
    """Return a text with ``?`` for line breaks and control characters.

    The name of a process may hold any of them.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _machine_lines(machine: Report) -> list[str]:
    """Return three lines about the machine: processor and memory, system, GPU."""
    usable, memory = machine["usable"], machine["memory_bytes"]
    cores = "" if usable["cores"] is None else f" ({_plural(usable['cores'], 'core')})"
    size = "memory unknown" if memory is None else f"{memory / 2**30:.1f} GiB"
    inside = f", in {machine['container']}" if machine["container"] else ""
    driver = f" (driver {machine['driver']})" if machine["driver"] else ""
    return [
        f"{machine['cpu']}, {machine['cores']} CPUs, {usable['cpus']} usable{cores}, {size}",
        f"{machine['platform']}, kernel {machine['kernel']}, Python {machine['python']}{inside}",
        f"GPU: {machine['gpu'] or 'none to be seen'}{driver}",
    ]


def _plural(count: int, thing: str) -> str:
    """Return a count with its noun, such as ``2 cores``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def percent(log: float | None) -> str:
    """Format a small log ratio as a percentage with two significant digits."""
    return NOTHING if log is None else f"{significant(100 * log, 2)} %"


def _noise_table(noise: Iterable[Mapping[str, Any]]) -> Table:
    """Return the table of measured noise, with a row for each framework and size."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    titles = [
        "cell",
        "one call",
        "SD of a\nlaunch's ratio",
        "between\nprocesses",
        "within a\nlaunch",
    ]
    titles += [f"± with\n{count}" for count in LAUNCHES]
    titles += ["6 launches\nfind"]
    for index, title in enumerate(titles):
        table.add_column(title, justify="right" if index else "left")
    for one in noise:
        table.add_row(*_row(one))
    return table


def _row(result: Mapping[str, Any]) -> list[str]:
    """Return one row of the table of noise, see `_noise_table`.

    Args:
        result: noise of one framework and size, see `aa_comparison.FIGURES`.
    """
    widths = result["half_width"] or {}
    spread = percent(result["sd"])
    if result["sd"] is not None:
        low, high = (significant(100 * result[end], 2) for end in ("sd_low", "sd_high"))
        spread += f" [{low}, {high}]"
    return [
        f"{result['framework']} {result['size']}",
        seconds_text(result["seconds"]),
        spread,
        percent(result["across_processes"]),
        percent(result["within_launch"]),
        *(percent(widths.get(str(count))) for count in LAUNCHES),
        percent(result["smallest_change"]),
    ]


def _conclusion_lines(report: Report) -> list[str]:
    """Return lines that say what the noise means: which cells are noisy, and the margin."""
    margin = report["margin"]
    if margin is None:
        return [report["missing"]["margin"]]
    warned = sum(one["state"] == "warning" for part in PARTS for one in report[part])
    lines = ["", "seed is a call of microseconds (dispatch), medium of milliseconds (products)."]
    for level, meaning in LEVELS.items():
        cells = [f"{o['framework']} {o['size']}" for o in report["noise"] if o["level"] == level]
        lines += [f"{level}, {meaning}: {', '.join(cells)}."] if cells else []
    lines.append(f"So cells count as equal within ±{margin:.0%} here (the margin m).")
    if warned:
        lines.append(
            f"{_plural(warned, 'warning')} above: see docs/doctor.md for why each matters."
        )
    return lines
