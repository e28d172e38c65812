"""Tables and lines for a terminal: readable at its width, and plain text whatever a file holds.

Names come from files, and what is printed on a terminal can move its cursor, paint over what stands
there or set its title. So everything goes through `cut`; and markup of rich is not read.
"""

from __future__ import annotations

import io
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, one_line

if TYPE_CHECKING:  # importing rich takes a moment, and a session imports this at its start
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

WIDTH = 100  # of a page where there is no terminal
COLUMNS = 3  # of a table, at most
GAP = 2  # columns of the terminal between two of a table
LABEL = 30  # a longer name of a row may take two lines rather than the room of a column
NAME = 44  # columns of a name; every name of ours is shorter
LINE = 300  # of a sentence that holds what a file says
FIGURE = 14  # of a figure; only a file that is none of ours has longer ones
MORE = " " * 6  # before what goes on in the next line
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
# Unicode's classes of letters: right to left, left to right, marks on the letter before
_DIRECTIONS = {"R": "r", "AL": "r", "AN": "r", "L": "l", "NSM": "m"}
_TURNED = re.compile("r(?: *[rm])*")

Names = tuple[str, ...]


def printed(parts: Iterable[Any], width: int = WIDTH, *, colour: bool = False) -> str:
    """What a terminal of that width shows of these texts and tables of rich."""
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=colour, no_color=not colour, highlight=False
    )
    for part in parts:
        console.print(_Isolated(part), crop=False)
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n")).rstrip("\n")


def plain(text: object, style: str = "", most: int = NAME) -> Text:
    """The text as it is read, on one line of at most so many columns."""
    from rich.text import Text

    return Text(cut(text, most), style=style)


def cut(text: object, most: int = NAME) -> str:
    """The text on one line, without control characters; too long a one loses its middle."""
    line = one_line(text)
    if len(line) <= most and _columns(line) <= most:
        return line
    tail = (most - 1) // 2
    return f"{_fitting(line, most - 1 - tail)}…{_fitting(line[::-1], tail)[::-1]}"


def _fitting(text: str, most: int) -> str:
    kept = text[:most]  # no more letters than columns: accents without end pile up otherwise
    while _columns(kept) > most:
        kept = kept[:-1]
    return kept


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def tables(cells: Mapping[tuple[Names, str], Text]) -> Iterator[Any]:
    """The cells by row and column, both in first-seen order.

    As many columns side by side as there is room for, the others in further tables below; an empty
    line after each.

    Args:
        cells: (the names of a row, the title of a column) to what stands there. A name ``-`` is
            not shown.
    """
    if cells:
        yield _Grid(cells)


class _Grid:
    def __init__(self, cells: Mapping[tuple[Names, str], Text]) -> None:
        self.cells = cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        columns = list(dict.fromkeys(column for _, column in self.cells))
        while columns:
            count = self._fitting(columns, options.max_width)
            yield self._table(columns[:count])
            yield Text()
            columns = columns[count:]

    def _fitting(self, columns: Sequence[str], width: int) -> int:
        """How many of the columns there is room for beside the labels; at least one."""
        left = width - min(LABEL, max(_columns(label(row)) for row, _ in self.cells))
        for count, column in enumerate(columns[:COLUMNS]):
            texts = [text.plain for (_, its), text in self.cells.items() if its == column]
            left -= GAP + max(map(_columns, [column, *texts]))
            if left < 0 < count:
                return count
        return COLUMNS

    def _table(self, columns: Sequence[str]) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", overflow="fold")
        for column in columns:
            table.add_column(plain(column))
        for row in dict.fromkeys(row for row, column in self.cells if column in columns):
            shown = (self.cells.get((row, name)) or plain(NOTHING, "dim") for name in columns)
            table.add_row(plain(label(row)), *shown)
        return table


def label(names: Iterable[str]) -> str:
    """The names that a row goes by; ``-`` stands for none."""
    return " ".join(name for name in names if name != "-")


def command(text: str, width: int = WIDTH, lead: str = "  ") -> Iterator[Text]:
    """A shell command; one too long for a line goes on in the next, and can still be pasted."""
    words = _words(one_line(text)) or [""]
    line = lead + words[0]
    for word in words[1:]:
        if _columns(f"{line} {word} \\") > width:
            yield from _broken(f"{line} \\", width)
            line = f"{MORE}{word}"
        else:
            line += f" {word}"
    yield from _broken(line, width)


def _broken(line: str, width: int) -> Iterator[Text]:
    """A line too long even so, as of a path: broken anywhere, to a shell it is one word still."""
    from rich.text import Text

    while _columns(line) > width and not {"'", '"'} & set(line):
        head = _fitting(line, width - 1)
        yield Text(f"{head}\\")
        line = line[len(head) :]
    yield Text(line)


def _words(line: str) -> list[str]:
    try:
        return [shlex.quote(word) for word in shlex.split(line)]
    except ValueError:  # a quote that never ends: no command that a shell would take either
        return line.split()


class _Isolated:
    """Of a text or table: right-to-left names turn round themselves, and nothing beside them.

    Each stands between marks of Unicode's bidirectional algorithm, which take no column.
    """

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self.whole, options):
            lines = segment.text.split("\n")
            yield Segment("\n".join(map(_isolated, lines)), segment.style, segment.control)


def _isolated(text: str) -> str:
    directions = "".join(_DIRECTIONS.get(unicodedata.bidirectional(one), " ") for one in text)
    for found in reversed(list(_TURNED.finditer(directions))):
        start, end = found.span()
        text = f"{text[:start]}{_ISOLATE}{text[start:end]}{_POP}{text[end:]}"
    return text
