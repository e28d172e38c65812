"""The report on a session's canaries: loud where one failed, one line where all is well."""

from __future__ import annotations

from typing import Any

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


def test_report_has_one_line_where_all_is_well_and_none_of_an_old_run() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT]})]))
    assert "| torch ok |" in page
    assert canary_status.DISTRUST not in page
    row = next(
        line for line in markdown(build([run(settings={"launches": 6})])).splitlines()
        if line.startswith("| 20261121T010203-ab12cd |")
    )  # fmt: skip
    assert row.endswith("| \N{EN DASH} |")
