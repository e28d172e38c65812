"""``cascade-bench`` as a new user meets it: help, mistakes, `new`, and what `try` asks for."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import COMMANDS
from benchmarks.paths import ROOT
from cascade_bench import cli, suite
from cascade_bench.command_parts import print_table
from cascade_bench.new_command import EXAMPLES
from tests.helpers.own_code import example_document
from tests.unit.test_layers import FRAMEWORKS

Seen = Callable[[], dict[str, Any]]
SUITE = {"benchmarks", "results", "impl_torch", "impl_jax"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Draw nothing; return the arguments that the suite would draw with."""
    asked: list[list[str]] = []

    def output(module: str, arguments: list[str]) -> str:
        asked.append(arguments)
        return "the table\n"

    monkeypatch.setattr("cascade_bench.command_parts.output", output)
    return asked


def test_every_command_of_the_suite_is_passed_on() -> None:
    names = {command.__name__.rpartition(".")[2] for command in COMMANDS}
    assert set(cli.PASSED_ON) == names


def test_help_fits_the_terminal_and_names_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for name in [*cli.OWN, *cli.PASSED_ON]:
        assert f"  {name} " in printed


def test_help_of_a_command_is_asked_for_in_two_ways(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help", "try"], ["try", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith("usage: cascade-bench try ")
    assert cli.main(["help"]) == cli.main(["help", "--help"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "there is no command 'lst'; did you mean list?"),
        (["qqq"], "there is no command 'qqq'; there are try, check, new, list"),
        (["--hlep"], "there is no option '--hlep'; did you mean --help?"),
        (["--versoin"], "there is no option '--versoin'; did you mean --version?"),
        (["mine.py"], "no command 'mine.py'; for a case of your own: cascade-bench try mine.py"),
        (["try", "gone.py"], "there is no file"),
        (["try", "case.py", "--budget", "0"], "budget is 0.0"),
        (["try", "case.py", "--seed", "-1"], "seed is -1; give 0 to 4294967295"),
        (["check", "case.py", "--seed", str(2**32)], "give 0 to 4294967295"),
        (["try", "case.py", "--json", ""], "--json is empty; name a file"),
        (["try", "case.py", "--json", "."], "--json '.' is a folder; name a file"),
        (["try", "case.py", "--report", "gone/x.html"], "there is no folder"),
        (["try", "case.py", "--results", "case.py"], "--results 'case.py' is a file"),
        (["try", "case.py", "--way", "a,,b"], "--way 'a,,b' has an empty name"),
        (["try", "case.py", "--results", "/dev/fd/x"], "/dev/fd/x' cannot be written"),
        (["try", "case.py", "--json", "x" * 300], "cannot be written: File name too long"),
        (["try", "x" * 300], "is no case; give FILE.py"),
        (["new", "case.py"], "case.py exists, and is left as it is"),
        (["new", "case.txt"], "is no name of a Python file"),
        (["new", "gone/case.py"], "there is no folder"),
    ],
)
def test_mistake_ends_with_one_line_and_code_2(
    seen: Seen, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("case.py").write_text("def make(): ...\n")
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("cascade-bench: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert Path("case.py").read_text() == "def make(): ...\n"


def test_try_asks_for_what_the_options_say_and_shows_the_table(
    seen: Seen, drawn: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("case.py").write_text("def small(): ...\n")
    words = ["try", "case.py:small", "--budget", "7", "--phase", "step,gradient", "--way", "summed"]
    assert cli.main([*words, "--results", "kept", "--json", "out.json", "--launches", "2"]) == 0
    request = seen()["request"]
    assert request["case"] == {"file": f"{os.getcwd()}/case.py", "function": "small"}
    assert request["phases"] == ["step", "gradient"]
    assert request["results"] == f"{os.getcwd()}/kept"
    assert [request[key] for key in ("ways", "budget_seconds", "launches")] == [["summed"], 7.0, 2]
    printed = capsys.readouterr()
    assert printed.out == "the table\n"
    assert printed.err == "reading the case\n"
    assert drawn[0][1:] == ["--table", "100"]
    assert json.loads(Path("out.json").read_text())["answer"].startswith("Sum the losses")


@pytest.mark.parametrize(("does", "code"), [("refuses", 2), ("dies", 2)])
def test_try_ends_with_the_code_and_line_of_what_went_wrong(
    seen: Seen, drawn: list[list[str]], monkeypatch: pytest.MonkeyPatch, does: str, code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    Path("case.py").write_text("def make(): ...\n")
    monkeypatch.setenv("FAKE_DOES", does)
    assert cli.main(["try", "case.py"]) == code
    told = {"refuses": "c.py:3: no scalar; take the mean", "dies": "no such luck"}
    assert told[does] in capsys.readouterr().err
    assert drawn == []


def test_try_ends_with_1_where_a_way_is_wrong(
    seen: Seen, drawn: list[list[str]], tmp_path: Path
) -> None:
    document = tmp_path / "document.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"exit_code": 1}))
    Path("case.py").write_text("def make(): ...\n")
    assert cli.main(["try", "case.py"]) == 1
    assert drawn  # and shows which


@pytest.mark.parametrize("framework", ["torch", "jax", "both"])
def test_new_writes_an_example_that_try_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "a case.py", "--framework", framework]) == 0
    text = (tmp_path / "a case.py").read_text()
    compile(text, "a case.py", "exec")
    assert "from cascade_bench import Case" in text
    assert text == (ROOT / "examples" / EXAMPLES[framework]).read_text()  # which is tried by a test
    from benchmarks.own_code import request
    from cascade_bench.target import from_text

    case: Any = from_text("a case.py", tmp_path)
    asked: Any = {"schema": 1, "budget_seconds": 60, "document": "d.json", "case": case}
    found = request.sources(request._checked(asked | {"folder": str(tmp_path)}))
    both = {"torch": "torch_case", "jax": "jax_case"}
    wanted = both if framework == "both" else {framework: "make"}
    assert {name: source["function"] for name, source in found.items()} == wanted


def test_client_imports_neither_a_framework_nor_the_suite() -> None:
    script = (
        "import sys, cascade_bench, cascade_bench.plugin, cascade_bench.cli;"
        "from cascade_bench import Case, compare, assert_flow;"
        "from cascade_bench.try_command import parser;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {*FRAMEWORKS, *SUITE, "numpy", "pandas", "cloudpickle"}


def test_no_page_installs_the_package_from_an_index_that_does_not_have_it() -> None:
    """With an extra it may stand there: pip takes what is installed, and adds the packages."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").iterdir()]
    texts = {page: page.read_text() for page in pages if page.is_file()}
    assert len(texts) > 30
    bare = re.compile(r"pip install (?:-\S+ )*['\"]?cascade-bench(?!\[report)")
    assert [page for page, text in texts.items() if bare.search(text)] == []


def test_suites_folder_is_the_clone_or_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert suite.folder() == ROOT
    package = tmp_path / "cascade_bench"
    monkeypatch.setattr(suite, "PACKAGE", package)
    with pytest.raises(suite.SuiteError, match="install again"):
        suite.folder()
    for folder in (tmp_path, package / "_suite"):  # what is inside counts first
        (folder / "benchmarks").mkdir(parents=True)
        (folder / "benchmarks" / "cli.py").touch()
        assert suite.folder() == folder


def test_command_of_the_suite_ends_with_the_suites_code_and_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cascade_bench.cli", "show", "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("cascade-bench: ")
    assert done.stderr.count("\n") == 1


def test_new_file_whose_name_is_too_long_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", f"{'x' * 300}.py"]) == 2
    assert capsys.readouterr().err.endswith("cannot be written: File name too long\n")


@pytest.mark.parametrize("command", ["try", "check"])
@pytest.mark.parametrize("function", [os.lstat, os.stat])
def test_folder_that_may_not_be_searched_is_one_line(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: str, function: Callable[..., Any],
) -> None:  # fmt: skip
    """A test that runs as root may search every folder, so the call itself is refused."""
    Path("case.py").write_text("def make(): ...\n")

    def refuse(path: Any, *rest: Any, **options: Any) -> Any:
        if "locked" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return function(path, *rest, **options)

    monkeypatch.setattr(os, function.__name__, refuse)
    Path("locked").mkdir()
    assert cli.main([command, "case.py", "--json", "locked/out.json"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("cascade-bench: --json 'locked/out.json'")
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["try", "--help"], ["check", "--explain", "CB101"]])
def test_text_that_the_encoding_lacks_ends_no_command(words: list[str]) -> None:
    command = [sys.executable, "-m", "cascade_bench.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_marks_of_verdicts_differ_in_every_encoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Show "slower" by another mark than ``?``, that of an undecided verdict."""
    file = tmp_path / "document.json"
    file.write_text(json.dumps(example_document()))
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding="ascii"))
    print_table(file)
    sys.stdout.flush()
    shown = written.getvalue().decode()
    (line,) = (one for one in shown.splitlines() if one.startswith("separate_retained  "))
    assert "1.32 [1.30, 1.35] ^ (1.33)" in line
    assert "^ slower, v faster, = equal, ? not told" in shown


def test_process_of_the_suite_that_takes_our_place_is_marked_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A case file that calls `compare` at its top is told so by ``regress --case`` too."""
    seen: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *words: seen.append(words[2][suite.INSIDE]))
    monkeypatch.setattr(subprocess, "call", lambda *_, **__: 0)
    with pytest.raises(SystemExit):
        suite.become("benchmarks.cli", ["regress"])
    assert seen == ["1"]


def test_users_folder_below_the_interpreters_prefix_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take /usr/src/app for the user's where the interpreter's prefix is /usr."""
    own = ("lib/python3.11", "lib/python3/dist-packages", "local/lib/python3.11/site-packages",
           "local/bin")  # fmt: skip
    users = ("src/app", "project", "")
    for name in (*own, *users):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in (*own, *users)])
    assert suite.user_path() == [str(tmp_path / name) for name in users]
