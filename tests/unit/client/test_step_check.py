"""``cascade-bench check``, `check` and `assert_no_findings` as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

import cascade_bench
from cascade_bench import check_command, cli
from cascade_bench.check_command import parser, workflow_commands
from cascade_bench.explaining import explanation
from results.own_code import finding_texts

Seen = Callable[[], dict[str, Any]]
FINDING = {
    "code": "CB101",
    "title": "frozen, but it moves",
    "cause": "gradient",
    "tensors": ["encoder.w"],
    "message": "encoder.w: 100 % of it,\nmoved",
    "mend": "freeze it",
    "page": "docs/check.md#cb101",
}


def document(*findings: dict[str, Any]) -> dict[str, Any]:
    part = {
        "framework": "torch", "version": "2.13.0", "findings": list(findings), "notes": [],
        "looked_at": "looked at 4 steps", "observation": {},
    }  # fmt: skip
    return {
        "schema": 1, "kind": "check", "case": {"name": "c.py:make", "file": "c.py", "line": 7},
        "seconds": 1.0, "answer": "", "exit_code": int(bool(findings)), "error": None,
        "frameworks": [part],
    }  # fmt: skip


@pytest.fixture
def answers(seen: Seen, tmp_path: Path) -> Callable[..., Seen]:
    def answer(*findings: dict[str, Any]) -> Seen:
        (tmp_path / "document.json").write_text(json.dumps(document(*findings)))
        Path("case.py").write_text("def make(): ...\n")
        return seen

    return answer


@pytest.mark.parametrize(("findings", "code"), [((), 0), ((FINDING,), 1)])
def test_command_asks_for_the_steps_and_ends_with_0_or_1(
    answers: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch, findings: Any, code: int
) -> None:
    seen = answers(*findings)
    monkeypatch.setattr("cascade_bench.command_parts.output", lambda *_: "the table\n")
    words = ["check", "case.py", "--steps", "16", "--seed", "3", "--json", "out.json"]
    assert cli.main(words) == code
    request = seen()["request"]
    assert (request["command"], request["steps"], request["seed"]) == ("check", 16, 3)
    assert request["results"] is None
    assert json.loads(Path("out.json").read_text())["kind"] == "check"


@pytest.mark.parametrize("code", finding_texts.TITLES)
def test_each_finding_is_explained_in_the_terminal(
    capsys: pytest.CaptureFixture[str], code: str
) -> None:
    assert cli.main(["check", "--explain", code.lower()]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{code}\n\n*{finding_texts.TITLES[code]}")
    assert "](" not in printed  # a link's text alone
    assert "\n## " not in printed
    assert "torch: " in printed
    prose = [line for line in printed.splitlines() if not line.startswith("|")]
    assert max(map(len, prose)) <= 100
    assert max(map(len, explanation(code, 70).partition("\n|")[0].splitlines())) <= 70
    assert "\n".join(printed.split()) == "\n".join(explanation(code, 10**6).split())


def test_what_is_no_finding_and_no_case_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--explain", "CB999"]) == 2
    assert "'CB999' is no finding; write one of CB101, CB102" in capsys.readouterr().err
    assert cli.main(["check"]) == 2
    assert "no case is named; give a file, such as my_case.py" in capsys.readouterr().err


@pytest.mark.parametrize("steps", ["1", "0", "1001"])
def test_steps_that_show_nothing_are_refused(
    answers: Callable[..., Seen], capsys: pytest.CaptureFixture[str], steps: str
) -> None:
    answers()
    assert cli.main(["check", "case.py", "--steps", steps]) == 2
    assert "give 2 to 1000" in capsys.readouterr().err


def test_annotations_are_one_line_each_at_the_line_of_the_step(
    answers: Callable[..., Seen], capsys: pytest.CaptureFixture[str]
) -> None:
    answers(FINDING)
    assert cli.main(["check", "case.py", "--format", "github"]) == 1
    assert capsys.readouterr().out == (
        "::error file=c.py,line=7,title=CB101 frozen%2C but it moves::"
        "encoder.w: 100 %25 of it,%0Amoved%0Afreeze it%0Adocs/check.md#cb101\n"
    )
    (notice,) = workflow_commands(document())
    assert notice == "::notice file=c.py,line=7::torch: nothing found; looked at 4 steps"


@pytest.mark.parametrize("variable", ["", "ROOT", "/elsewhere"])
def test_annotations_name_the_file_from_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A job whose steps have a working-directory would else annotate no file."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("GITHUB_WORKSPACE", variable.replace("ROOT", str(tmp_path)))
    case = {"name": "c.py:make", "file": str(tmp_path / "below" / "c.py"), "line": 7}
    (notice,) = workflow_commands(document() | {"case": case})
    assert notice.startswith(f"::notice file={'below/' if variable == 'ROOT' else ''}c.py,line=7")


def test_annotations_are_printed_in_every_encoding(
    answers: Callable[..., Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(FINDING | {"mend": "checkpoint(…)"})
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    options = parser().parse_args(["case.py", "--format", "github"])
    assert check_command._run(options) == 1
    sys.stdout.flush()
    assert b"checkpoint(?)" in sys.stdout.buffer.getvalue()  # type: ignore[union-attr]


def test_check_returns_findings_by_code(answers: Callable[..., Seen]) -> None:
    answers(FINDING)
    checked = cascade_bench.check("case.py")
    assert (checked.ok, checked.codes) == (False, ["CB101"])
    assert checked.findings[0]["framework"] == "torch"
    assert str(checked).startswith("CB101 frozen, but it moves (torch): encoder.w")
    answers()
    assert "looked at 4 steps" in str(cascade_bench.check("case.py"))


def test_assertion_names_what_was_found_and_ignores_what_is_meant(
    answers: Callable[..., Seen],
) -> None:
    answers(FINDING, FINDING | {"code": "CB302"})
    with pytest.raises(AssertionError, match=r"CB101 .*\nCB302 .*docs/check\.md"):
        cascade_bench.assert_no_findings("case.py")
    with pytest.raises(AssertionError) as raised:
        cascade_bench.assert_no_findings("case.py", ignore=["CB101"])
    assert "CB101" not in str(raised.value)
    cascade_bench.assert_no_findings("case.py", ignore=["CB101", "CB302"])
    for wrong in ("CB101", ["CB1O1"]):
        with pytest.raises(ValueError, match="give codes"):
            cascade_bench.assert_no_findings("case.py", ignore=wrong)


@pytest.mark.parametrize("name", cascade_bench.__all__)
def test_name_is_the_same_object_whatever_was_imported_before(name: str) -> None:
    first = getattr(cascade_bench, name)
    assert first is getattr(cascade_bench, name)
    assert callable(first)
