"""Render tables and lines for a terminal that fit its width and show any name as plain text.

Names come from files. Printed as they are, they could move the cursor, paint over other text or
set the title of the window. So every text goes through `shorten`, and the markup of rich is off.
"""

from __future__ import annotations

import io
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, one_line

if TYPE_CHECKING:  # importing rich takes a moment, and every session imports this module
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table
    from rich.text import Text

# All widths are in columns of the terminal.
WIDTH = 100  # of the output where there is no terminal
LABEL = 30  # kept free for the name of a row; a longer name may wrap into a second line
NAME = 44  # of a name at most; those of the suite are shorter
LINE = 300  # of a sentence with texts from a file
PARAGRAPH = 2000  # of what the suite says in full, with a few names of the user's in it
FIGURE = 14  # of a figure; only a damaged file has longer ones
GAP = 2  # between two columns of a table

COLUMNS = 3  # of a table at most, beside the names of its rows
CONTINUATION = " " * 6  # indents the next line of a long command
HANGING = "  "  # indents the next line of a long sentence
_ISOLATE, _POP = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
# Unicode's bidirectional classes: right to left, left to right, marks on the letter before
_DIRECTIONS = {"R": "r", "AL": "r", "AN": "r", "L": "l", "NSM": "m"}
_RIGHT_TO_LEFT = re.compile("r(?: *[rm])*")

Names = tuple[str, ...]  # what a row is labelled with


def rendered(parts: Iterable[Any], width: int = WIDTH, *, colour: bool = False) -> str:
    """Return these objects of rich as a terminal of that width shows them.

    Args:
        parts: texts and tables, each on lines of its own.
        width: columns of the terminal.
        colour: whether to emit colour codes.
    """
    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=colour, no_color=not colour, highlight=False
    )
    for part in parts:
        console.print(_Isolated(hanging(part, console)), crop=False)
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n")).rstrip("\n")


def hanging(part: Any, console: Console) -> Any:
    """Return a text that is too long for a line in lines of which the next ones are indented.

    They begin two columns behind the first, and no line ends with spaces. Anything else, and a text
    that fits or holds lines of its own, is returned as it is.
    """
    from rich.text import Text

    if not isinstance(part, Text) or "\n" in part.plain or part.cell_len <= console.width:
        return part
    begins = len(part.plain) - len(part.plain.lstrip()) + len(HANGING)
    if begins > console.width // 2:
        return part
    indent = Text(" " * begins)
    (first, *_) = part.wrap(console, console.width)
    rest = part[len(first.plain) :]
    while rest.plain[:1] == " ":
        rest = rest[1:]
    first.rstrip()
    others = rest.wrap(console, console.width - begins)
    for line in others:
        line.rstrip()
    return Text("\n").join([first, *(indent + line for line in others)])


def printed(
    parts: Iterable[Any], width: int, *, colour: bool, unwrapped: Callable[[str], bool]
) -> str:
    """Return lines and tables as a terminal of that width shows them, with markup as plain text.

    Names must have gone through `one_line` already. Unlike `rendered`, this leaves the order of
    right-to-left names to the terminal.

    Args:
        parts: lines and tables of rich.
        width: columns of the terminal.
        colour: whether to emit colour codes.
        unwrapped: returns whether a line stays whole where it is too long.
    """
    from rich.console import Console

    console = Console(
        width=width,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,  # `:key:` in a message is no picture
        color_system="standard" if colour else None,
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str) and unwrapped(part))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def case_title(document: Mapping[str, Any]) -> Text:
    """Return the first line of a page about a user's case: its name, and how long all took.

    Args:
        document: of ``cascade-bench try`` or ``check``; anything may be missing from it.
    """
    name = (document.get("case") or {}).get("name") or "a case"
    took = document.get("seconds")
    return plain_text(f"{name}  ({took:.0f} s)" if took else name, "bold", LINE)


def plain_text(text: object, style: str = "", most: int = NAME) -> Text:
    """Return a text of rich that shows ``text`` literally, shortened to ``most`` columns."""
    from rich.text import Text

    return Text(shorten(text, most), style=style)


def indented(text: Text) -> Text:
    """Return the text two columns to the right, as what belongs to the line above it."""
    from rich.text import Text

    return Text(HANGING) + text


def shorten(text: object, most: int = NAME) -> str:
    """Return the text on one line without control characters, at most ``most`` columns wide.

    The middle of a longer text is replaced by an ellipsis.
    """
    line = one_line(text)
    if len(line) <= most and _columns(line) <= most:
        return line
    tail = (most - 1) // 2
    return f"{_fitting(line, most - 1 - tail)}…{_fitting(line[::-1], tail)[::-1]}"


def _fitting(text: str, most: int) -> str:
    """Return the longest beginning of the text that fits into ``most`` columns.

    It has at most as many letters as columns: combining accents take no column, and a name may
    have any number of them.
    """
    beginning = text[:most]
    while _columns(beginning) > most:
        beginning = beginning[:-1]
    return beginning


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def tables(cells: Mapping[tuple[Names, str], Text]) -> Iterator[Any]:
    """Yield the cells as one object of rich that lays itself out in one or more tables.

    As many columns stand side by side as fit; the others follow in further tables below. Rows and
    columns keep their first-seen order. An empty line follows each table.

    Args:
        cells: (names of the row, title of the column) → text. A name ``-`` is not shown.
    """
    if cells:
        yield _Grid(cells)


class _Grid:
    """Lay out cells in tables once the width of the console is known."""

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
        """Return how many of the columns fit beside the labels; at least one."""
        left = width - min(LABEL, max(_columns(row_label(row)) for row, _ in self.cells))
        for count, column in enumerate(columns[:COLUMNS]):
            texts = [text.plain for (_, other), text in self.cells.items() if other == column]
            left -= GAP + max(map(_columns, [column, *texts]))
            if left < 0 < count:
                return count
        return COLUMNS

    def _table(self, columns: Sequence[str]) -> Table:
        """Return a table of these columns, with the rows that have a cell in one of them."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", overflow="fold")
        for column in columns:
            table.add_column(plain_text(column))
        for row in dict.fromkeys(row for row, column in self.cells if column in columns):
            cells = (self.cells.get((row, name)) or plain_text(NOTHING, "dim") for name in columns)
            table.add_row(plain_text(row_label(row)), *cells)
        return table


def row_label(names: Iterable[str]) -> str:
    """Return the names of a row in one text, without those that are ``-``."""
    return " ".join(name for name in names if name != "-")


def command_lines(text: str, width: int = WIDTH, lead: str = "  ") -> Iterator[Text]:
    """Yield a shell command in lines of at most ``width`` columns that can be pasted as a whole.

    Args:
        text: the command.
        lead: what precedes it on the first line.
    """
    words = _shell_words(one_line(text)) or [""]
    line = lead + words[0]
    for word in words[1:]:
        if _columns(f"{line} {word} \\") > width:
            yield from _broken(f"{line} \\", width)
            line = f"{CONTINUATION}{word}"
        else:
            line += f" {word}"
    yield from _broken(line, width)


def _broken(line: str, width: int) -> Iterator[Text]:
    """Yield a line in pieces where a single word, such as a path, is wider than the terminal.

    A backslash ends each piece, so that a shell still reads one word. Inside quotes a backslash
    would be literal, so a line with quotes stays whole.
    """
    from rich.text import Text

    while _columns(line) > width and not {"'", '"'} & set(line):
        head = _fitting(line, width - 1)
        yield Text(f"{head}\\")
        line = line[len(head) :]
    yield Text(line)


def _shell_words(line: str) -> list[str]:
    """Return the words of a line of shell, each quoted where it needs to be."""
    try:
        return [shlex.quote(word) for word in shlex.split(line)]
    except ValueError:  # an unbalanced quote: no shell could run it, so any split will do
        return line.split()


class _Isolated:
    """Keep the direction of right-to-left names from changing the order of the text beside them.

    Each such name stands between isolating marks of Unicode's bidirectional algorithm, which take
    no column.
    """

    def __init__(self, whole: Any) -> None:
        self.whole = whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self.whole, options):
            lines = segment.text.split("\n")
            yield Segment("\n".join(map(_isolated, lines)), segment.style, segment.control)


def _isolated(text: str) -> str:
    """Return the text with isolating marks around each right-to-left part."""
    directions = "".join(_DIRECTIONS.get(unicodedata.bidirectional(one), " ") for one in text)
    for match in reversed(list(_RIGHT_TO_LEFT.finditer(directions))):
        start, end = match.span()
        text = f"{text[:start]}{_ISOLATE}{text[start:end]}{_POP}{text[end:]}"
    return text
