"""The options of this package's own commands: mistakes are one line, and help fits the terminal."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable

import pytest

from cascade_bench import check_command, cli, new_command, try_command
from cascade_bench.parsing import seconds

PARSERS = (try_command.parser, check_command.parser, new_command.parser)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("try case.py --budgt 5", "unrecognized arguments: --budgt 5; did you mean '--budget'?"),
        ("try case.py --framework trch", "invalid choice: 'trch' .*; did you mean 'torch'?"),
        ("try", "required: CASE; give the file of your case, such as my_case.py"),
        ("try case.py --bud 5", "unrecognized arguments: --bud 5"),
        ("try case.py --launches two", "argument --launches: invalid int value: 'two'"),
        ("try case.py --budget 2x", "'2x' is no time; give one such as 60, 90s or 2m"),
        ("try case.py --budget=-5", "'-5' is no time"),
        ("try case.py ''", "unrecognized arguments: '' (an empty value"),
        ("check case.py --step 4", "did you mean '--steps'?"),
        ("check case.py --format githb", "did you mean 'github'?"),
        ("new", "required: FILE; name the file to write, such as my_case.py"),
        ("new case.py --framework all", "(choose from "),
    ],
)
def test_mistake_is_one_line_that_says_what_may_have_been_meant(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(shlex.split(words))
    printed = capsys.readouterr()
    name = words.split()[0]
    assert (end.value.code, printed.out) == (2, "")
    assert printed.err.startswith(f"cascade-bench {name}: ")
    assert printed.err.endswith(f" (see cascade-bench {name} --help)\n")
    assert printed.err.count("\n") == 1
    for part in said.split(".*"):
        assert part in printed.err


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("parser", PARSERS)
def test_help_fits_the_terminal_and_ends_with_examples_and_exit_codes(
    monkeypatch: pytest.MonkeyPatch, parser: Callable[[], argparse.ArgumentParser], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = parser().format_help()
    assert max(map(len, shown.splitlines())) <= width
    examples = shown.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    ours = [line.strip() for line in examples if line.startswith("  cascade-bench ")]
    assert len(ours) >= 2
    for line in ours:  # what stands before the words about it can be parsed
        parser().parse_args(shlex.split(line.partition("    ")[0])[2:])
    assert shown.partition("exit codes: ")[2].startswith("0 ")
    assert [one.dest for one in parser()._actions if not one.help] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90.0), ("90s", 90.0), ("2m", 120.0), (".5 min", 30.0), ("1h", 3600.0)],
)
def test_time_has_a_unit_or_is_in_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_a_budget_may_be_given_as_regress_takes_it() -> None:
    assert try_command.parser().parse_args(["case.py", "--budget", "2m"]).budget == 120.0
    assert check_command.parser().parse_args(["case.py", "--budget", "90s"]).budget == 90.0
