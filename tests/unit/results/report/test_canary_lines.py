"""The report on a session's canaries: loud where one failed, one line where all is well."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.session import summary
from results.records import canary_status
from results.report.build import build
from results.report.markdown import markdown
from tests.helpers.factories.records import run


def canary(framework: str, passed: bool | None, message: str, **more: str) -> dict[str, Any]:
    """Return a verdict as a run holds it."""
    of = {"framework": framework, "device": "cpu", "dtype": "float32", "canary": "twice"}
    return of | {"passed": passed, "said": message} | more


RIGHT, WRONG = canary("torch", True, "reads 2.01"), canary("jax", False, "reads 1.02 <b>")


def test_report_says_loudly_what_the_harness_misread() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT, WRONG]})]))
    assert "torch ok, jax FAILED" in page
    assert f": {canary_status.DISTRUST}** jax: twice: reads 1.02 &lt;b&gt;" in page


NOISY = canary("jax", None, "reads 1.8; measure again on a quiet machine")


def test_report_says_what_was_not_told_and_distrusts_nothing() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT, RIGHT, NOISY]})]))
    assert "jax NOT TAKEN (reads 1.8; measure again on a quiet machine)" in page
    assert "1 of 3 canaries gave no answer for noise" in page
    assert canary_status.DISTRUST not in page


class Terminal:
    """Keep the lines that are written, each with whether it is red."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []

    def write_line(self, line: str, red: bool = False) -> None:
        self.lines.append((line, red))


def test_terminal_says_what_was_not_told_in_one_line_that_is_not_red() -> None:
    terminal: Any = Terminal()
    untold = canary("torch", None, "reads 1.8; measure again", canary="sleep")
    summary.print_canaries({"canaries": [RIGHT, untold]}, terminal)
    assert terminal.lines == [
        ("canaries: torch ok (sleep not told: reads 1.8; measure again)", False)
    ]
    terminal.lines.clear()
    summary.print_canaries({"canaries": [WRONG]}, terminal)
    assert [red for _, red in terminal.lines] == [True] * 3


def test_report_has_one_line_where_all_is_well_and_none_of_an_old_run() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT]})]))
    assert "| torch ok |" in page
    assert canary_status.DISTRUST not in page
    row = next(
        line for line in markdown(build([run(settings={"launches": 6})])).splitlines()
        if line.startswith("| 20261121T010203-ab12cd |")
    )  # fmt: skip
    assert row.endswith("| \N{EN DASH} |")
