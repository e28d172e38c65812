"""Test the command line of every command: empty values, near misses, contradictions, help."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.cli import build_parser, main
from benchmarks.regression import comparison
from results.records.storage import save_run
from results.report import collection
from tests.helpers.factories.records import run

Out = pytest.CaptureFixture[str]


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command by its name."""
    (action,) = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(action.choices)


def values() -> Iterator[tuple[str, argparse.Action]]:
    """Yield each command with each of its arguments that takes a value."""
    for name, parser in commands().items():
        yield from ((name, action) for action in parser._actions if action.nargs != 0)


def fails(capsys: Out, *words: str) -> str:
    """Run a command that must end with 2, and return the line that it says."""
    try:
        code: object = main(words)
    except SystemExit as end:
        code = end.code
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize(
    ("command", "action"), list(values()), ids=lambda one: getattr(one, "dest", one)
)
def test_empty_value_of_any_argument_is_refused_by_name(
    command: str, action: argparse.Action, capsys: Out
) -> None:
    """An unset variable, ``regress "$BASE"``, must not select or compare something else."""
    name = action.option_strings[0] if action.option_strings else str(action.metavar)
    before = ["main"] if action.dest == "head" else []
    error = fails(capsys, command, *before, f"{name}=" if action.option_strings else "")
    assert error.startswith(f"cascade-bench {command}: ")
    assert name in error
    assert re.search(r"is empty|invalid (choice|int value|float value): ''", error)


def test_second_of_two_names_may_not_be_empty_either(capsys: Out) -> None:
    assert "HEAD is empty" in fails(capsys, "regress", "main", "")
    assert "RUN is empty" in fails(capsys, "report", "a", "")
    assert "arguments: '' (an empty value" in fails(capsys, "doctor", "--json", "")
    assert "there is no name beside one of the commas" in fails(capsys, "list", "--size=seed,")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lst", "did you mean 'list'?"),
        ("list --scenaro=gan", "did you mean '--scenario'?"),
        ("regress main --bugdet 10m", "did you mean '--budget'?"),
        ("list --scenario gann", "did you mean 'gan'?"),
        ("list --strategy sumed", "did you mean 'summed'?"),
        ("list --device cdua", "did you mean 'cuda'?"),
        ("list --cost --json", "--json and --cost exclude each other"),
        ("show --times --json", "--json and --times exclude each other"),
        ("report --markdown --out x", "--markdown and --out exclude each other"),
        ("regress main --json --markdown", "would both be written to standard output"),
        ("regress main --json=x --markdown=x", "would both be written to x"),
        ("list --launches 0", "--launches 0: must be"),
        ("list gan", "names are given by an option, such as --scenario gan"),
        ("history --machine fda07e9310ce --results results/reference", "mean 'fda07e9310cf'?"),
        ("show results/reference", "for the newest one in it: --results results/reference"),
        ("show --results /nonexistent", "no run under /nonexistent; there is no such folder"),
        ("list --scen gan", "unrecognized arguments"),
    ],
)
def test_mistake_is_one_line_with_the_nearest_name(words: str, said: str, capsys: Out) -> None:
    assert said in fails(capsys, *shlex.split(words))


def test_without_arguments_the_help_with_three_examples(capsys: Out) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert len(re.findall("^  (?:cascade-bench|pytest) ", shown, re.MULTILINE)) == 3


@pytest.mark.parametrize("command", [(), *((name,) for name in commands())])
def test_help_has_examples_and_exit_codes_and_fits_100_columns(
    command: tuple[str, ...], capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.partition("exit codes: ")[2].startswith("0 ")
    examples = shown.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    ours = [one for one in map(str.strip, examples) if one.startswith("cascade-bench ")]
    assert ours
    for example in ours:  # each is a command line that can be parsed
        build_parser().parse_args(shlex.split(example, comments=True)[1:])


def test_version_is_printed(capsys: Out) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert re.fullmatch(r"cascade-bench \d\S*\n", capsys.readouterr().out)


def test_every_option_says_what_it_does() -> None:
    for name, parser in commands().items():
        assert [a.dest for a in parser._actions if not a.help] == [], name


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_file_that_cannot_be_written_is_said_before_comparing(
    form: str, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "compare", lambda _: pytest.fail("it has measured"))
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "pipe"):
        said = fails(capsys, "regress", "HEAD", f"--{form}={target}")
        assert f"--{form} {target}" in said
        assert target.exists()


def test_folder_of_a_report_is_tried_before_the_report_is_made(
    tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_run(run(), tmp_path)
    monkeypatch.setattr(collection, "load", lambda _: pytest.fail("it has begun"))
    assert "cannot write" in fails(capsys, "report", str(path), f"--out={path}/page")


def test_folder_of_a_report_has_the_runs_that_it_is_made_of(tmp_path: Path, capsys: Out) -> None:
    saved = save_run(run(), tmp_path / "runs")
    assert main(["show", f"--results={tmp_path}"]) == 0
    assert saved.stem in capsys.readouterr().out
    assert "it is the folder of one machine" in fails(capsys, "show", f"--results={saved.parent}")
