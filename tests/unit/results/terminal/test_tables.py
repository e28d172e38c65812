"""Test that tables and commands fit the terminal, and that no name has an effect on it."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import Any

import pytest
from rich.cells import cell_len

from results.terminal import tables
from tests.helpers.hostile_names import NAMES
from tests.helpers.terminal_text import ISOLATES, unprintable

Cells = dict[tuple[tables.Names, str], Any]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_is_one_line_of_printable_letters(name: str) -> None:
    shown = tables.shorten(name, 20)
    assert shown.isprintable() or not shown
    assert cell_len(shown) <= 20
    assert len(shown) <= 20


def test_long_name_keeps_both_of_its_ends() -> None:
    assert tables.shorten("stacked_cascade_of_many_networks_n4", 15) == "stacked…orks_n4"
    assert tables.shorten("fifteen letters", 15) == "fifteen letters"
    assert tables.shorten("网络网络网络", 9) == "网络…网络"


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("note: a sentence that fits", ["note: a sentence that fits"]),
        (
            "note: a sentence that is too long for one line of it",
            ["note: a sentence that is too", "  long for one line of it"],
        ),
        ("→ a mend that is too long for one", ["→ a mend that is too long", "  for one"]),
        (f"at {'x' * 60}", ["at", f"  {'x' * 26}", f"  {'x' * 26}", f"  {'x' * 8}"]),
    ],
)
def test_next_lines_of_a_long_sentence_are_indented_and_none_ends_with_a_space(
    text: str, lines: list[str], colour: bool
) -> None:
    shown = tables.rendered([tables.plain_text(text, "bold", 300)], 28, colour=colour)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n")
    assert plain == lines


def test_what_belongs_to_a_line_stays_to_the_right_of_it_in_each_of_its_own() -> None:
    mend = tables.indented(tables.plain_text("→ a mend that is too long for one", most=300))
    shown = tables.rendered([tables.plain_text("CB101 what is wrong"), mend], 28)
    assert shown.split("\n") == [
        "CB101 what is wrong",
        "  → a mend that is too long",
        "    for one",
    ]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("width", [60, 100])
def test_any_name_in_row_column_and_cell_leaves_the_table_in_place(name: str, width: int) -> None:
    text = tables.rendered(
        tables.tables(
            {
                ((name, "-"), name): tables.plain_text(name),
                ((name, "-"), "after"): tables.plain_text("first"),
                (("usual", "n4"), name): tables.plain_text(1),
                (("usual", "n4"), "after"): tables.plain_text("second"),
            }
        ),
        width,
    )
    lines = text.split("\n")
    assert max(map(cell_len, lines)) <= width
    assert unprintable(text) == ""
    (one,), (two,) = ([line for line in lines if word in line] for word in ("first", "second"))
    title = next(line for line in lines if "after" in line)
    starts = {
        cell_len(line.partition(word)[0])
        for line, word in ((one, "first"), (two, "second"), (title, "after"))
    }
    assert len(starts) == 1


def test_right_to_left_name_leaves_the_rest_of_the_line_in_order() -> None:
    name = NAMES["Arabic"]
    cells: Cells = {((name,), "a"): tables.plain_text("1.46"), (("b",), "a"): tables.plain_text(2)}
    text = tables.rendered(tables.tables(cells))
    (line,) = [line for line in text.split("\n") if name in line]
    before, _, after = line.partition(name)
    assert before == ISOLATES[0]
    assert after.split() == [ISOLATES[1], "1.46"]
    assert text.count(ISOLATES[0]) == text.count(ISOLATES[1]) == 1


def test_markup_is_text_and_colour_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert tables.rendered([tables.plain_text("[red]x[/red]", "red")]) == "[red]x[/red]"
    assert "\x1b[31m[red]x[/red]" in tables.rendered(
        [tables.plain_text("[red]x[/red]", "red")], colour=True
    )


def test_fourth_column_begins_another_table_of_the_rows_that_have_it() -> None:
    cells: Cells = {(("one",), f"c{i}"): tables.plain_text(i) for i in range(4)}
    cells[("two",), "c0"] = tables.plain_text(0)
    lines = tables.rendered(tables.tables(cells)).split("\n")
    assert [line.split() for line in lines] == [
        ["c0", "c1", "c2"], ["one", "0", "1", "2"], ["two", "0", "–", "–"], [],
        ["c3"], ["one", "3"],
    ]  # fmt: skip


def test_long_command_is_wrapped_and_the_same_to_a_shell() -> None:
    words = ["printf", "%s|", "two words", "$HOME", *(f"a b c d e f g {i}" for i in range(20))]
    lines = tables.rendered(tables.command_lines(shlex.join(words), 60, lead=""), 60).split("\n")
    assert len(lines) > 5
    assert max(map(len, lines)) <= 60
    assert pasted("\n".join(lines)).split("|")[:-1] == words[2:]


def test_word_longer_than_a_line_is_broken_and_one_word_to_a_shell() -> None:
    path = "/" + "/".join(f"folder{i}" for i in range(40))
    lines = tables.rendered(tables.command_lines(f"printf %s {path} after", 60, lead=""), 60).split(
        "\n"
    )
    assert max(map(len, lines)) == 60
    assert pasted("\n".join(lines)) == f"{path}after"


def pasted(command: str) -> str:
    """Return the output of a command that is pasted into a shell."""
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def test_short_or_invalid_command_stands_on_one_line() -> None:
    assert tables.rendered(tables.command_lines("pytest -k x")) == "  pytest -k x"
    assert tables.rendered(tables.command_lines("it's \x1b[31m")) == "  it's [31m"
    assert tables.rendered(tables.command_lines("", lead="again: ")) == "again:"


def test_names_between_colons_are_no_pictures() -> None:
    line = "KeyError: 'a:key:b' [red]"
    shown = tables.printed([line], 60, colour=False, unwrapped=lambda _: True)
    assert shown == line
