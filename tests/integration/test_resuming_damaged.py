"""`--resume` of a run whose file is damaged is refused in one line, before anything is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.harness.session import resume
from benchmarks.machine import environment
from results.records.record import Run
from tests.helpers.factories.report_runs import whole_run


def check(run: Run) -> None:
    """Compare a run with a session of the same machine, code and cells."""
    machine = dict.fromkeys(environment.STABLE) | {"id": "box-1"}
    cells = [resume.cell_of(record) for record in run.records]
    resume.check_comparable(run, machine, {"code": "abc"}, cells)


@pytest.fixture
def stopped() -> Run:
    run = whole_run(variants=("n2",), sizes=("seed",))
    more = {"code": "abc", "spent_seconds": {}, "stopped": {}}
    return replace(run, settings=run.settings | more, interrupted=True)


def test_a_run_with_all_settings_goes_on(stopped: Run) -> None:
    check(stopped)


@pytest.mark.parametrize("name", resume.NEEDED)
@pytest.mark.parametrize("absent", [True, False], ids=["absent", "null"])
def test_a_run_that_lacks_what_a_session_goes_on_from_is_refused(
    stopped: Run, name: str, absent: bool
) -> None:
    settings: dict[str, Any] = {**stopped.settings, name: None}
    if absent:
        del settings[name]
    with pytest.raises(
        resume.ResumeError, match=rf"^--resume: .* its file lacks settings.{name}; measure anew"
    ):
        check(replace(stopped, settings=settings))


def test_a_null_among_the_arguments_is_no_error(stopped: Run) -> None:
    settings = stopped.settings | {"arguments": None}
    command = resume.command_to_resume(replace(stopped, settings=settings))
    assert command == f"pytest benchmarks --benchmark-only --resume={stopped.id}"
