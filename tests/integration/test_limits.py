"""Test that one limit holds for each part of working with a user's code, and for each only once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import check_workers
from benchmarks.harness.launches.check_workers import CheckLaunch, CheckWorkers
from benchmarks.harness.launches.float64_references import Float64References
from benchmarks.harness.launches.launch import ANSWER_SECONDS, Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.harness.launches.worker_errors import WorkerTimeout
from benchmarks.machine import environment
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import kept_state, loading
from benchmarks.scenarios.external.errors import SpecTimeout
from benchmarks.scenarios.external.time_limit import Late, call_within
from tests.helpers.external_scenarios import SPEC, write_fake

LIMIT = 3.0  # seconds; what does not hang must be done by then on a busy machine too
HANG = "import time; time.sleep(60)"
# the scenario of the helper twice in one file
TWO = SPEC.replace("NAME", "one").replace(
    "SCENARIOS = (one,)",
    "from dataclasses import replace\nSCENARIOS = (one, replace(one, name='other'))",
)
BUILD = "def {}(*, width):\n    {}\n    return width\n"


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[Path]:
    """Yield the path of a spec with two scenarios; its parts are the test's to write."""
    file = tmp_path / "late.py"
    file.write_text(TWO)
    (tmp_path / "late_torch.py").write_text("")
    yield file
    for name in ("one", "other"):
        CATALOGUE.pop(name, None)


def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each request to a worker is added from now on."""
    requests: list[str] = []
    send = Launch.send

    def counted(launch: Launch, op: str, **arguments: Any) -> None:
        requests.append(op)
        send(launch, op, **arguments)

    monkeypatch.setattr(Launch, "send", counted)
    return requests


@pytest.mark.serial
@pytest.mark.parametrize(
    ("part", "message", "sibling"),
    [
        (HANG, "late_fake.py: importing it took longer than 3 s", "timeout"),
        (
            BUILD.format("one", HANG) + BUILD.format("other", "pass"),
            "late_fake.py: one: building it took longer than 3 s",
            "crashed",  # it was built, and is no list of stages
        ),
    ],
    ids=["importing", "building"],
)
def test_a_part_that_takes_too_long_is_one_time_out_for_the_whole_session(
    measured: Any, monkeypatch: pytest.MonkeyPatch, spec: Path, part: str, message: str,
    sibling: str,
) -> None:  # fmt: skip
    spec.with_name("late_fake.py").write_text(part)
    loading.load([spec])
    requests, begin = asked(monkeypatch), time.monotonic()
    changes = {"file": str(spec), "scenario": "one", "limit": LIMIT}
    for phase in ("gradient", "backward", "step"):
        measured.pool.files("linear_cascade", "-", "seed")  # another problem comes in between
        outcomes = measured("summed", "separate_retained", phase=phase, **changes)
        for outcome in outcomes.values():
            assert outcome["outcome"] == "timeout"
            assert message in outcome["why"]
            assert "--cell-limit" in outcome["why"]
    assert requests.count("open") == 1
    assert time.monotonic() - begin < 30.0  # and not the 60 s of what hangs
    (other,) = measured("summed", **changes | {"scenario": "other"}).values()
    assert other["outcome"] == sibling


CLOSING = """
import time
from impl_fake.session import OpenProblem
def late(opened):
    if opened.dtype == "DTYPE":
        time.sleep(60)
OpenProblem.__del__ = late
"""


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("dtype", ["float64", "float32"])  # of the reference, and of what is timed
def test_closing_that_takes_too_long_is_a_time_out_unless_the_times_are_there(
    measured: Any, tmp_path: Path, dtype: str
) -> None:
    file = write_fake(tmp_path, "one", code=CLOSING.replace("DTYPE", dtype))
    loading.load([file])
    begin, changes = time.monotonic(), {"file": str(file), "scenario": "one", "limit": 4.0}
    for phase in ("gradient", "backward"):
        (outcome,) = measured("summed", launches=1, phase=phase, **changes).values()
        if dtype == "float32":
            assert outcome["outcome"] == "ok", outcome
        else:
            assert outcome["outcome"] == "timeout"
            assert "one_fake.py: one: closing it took longer than 4 s" in outcome["why"]
    CATALOGUE.pop("one")
    assert time.monotonic() - begin < 40.0  # and not the 60 s of what hangs


def test_a_user_s_spec_that_takes_too_long_is_told_and_not_waited_for(
    spec: Path, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading.load([spec])
    draws = []

    def draw(*problem: str) -> Any:
        draws.append(problem)
        time.sleep(60)

    scenario = CATALOGUE["one"]
    monkeypatch.setattr(type(scenario), "draw", draw)
    for phase in ("gradient", "backward"):
        changes = {"file": str(spec), "scenario": "one", "limit": 0.05, "phase": phase}
        (outcome,) = measured("summed", **changes).values()
        assert outcome["outcome"] == "timeout"
        assert "late.py: one: drawing its arrays took longer than 0.05 s" in outcome["why"]
    assert len(draws) == 1


def test_a_spec_that_is_imported_for_too_long_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(HANG)
    with pytest.raises(SpecTimeout, match=r"slow\.py: importing and .* took longer than 0\.1 s"):
        loading.load([tmp_path / "slow.py"], 0.1)


class LateLaunch:
    """A worker that takes too long for one operation."""

    framework, limit = "torch", 0.0

    def __init__(self, late: str) -> None:
        self.late, self.limits = late, {}  # type: str, dict[str, float]

    def ask(self, op: str, timeout: float | None = None, **_: Any) -> Any:
        limit = self.limits[op] = self.limit if timeout is None else timeout
        if op == self.late:
            raise WorkerTimeout(limit, None, op)
        return {}


@pytest.mark.parametrize("late", ["open", "probe", "flow", "gradients"])
def test_limit_holds_for_each_part_of_a_reference(
    spec: Path, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    loading.load([spec])
    files = ProblemFiles("one", "-", "seed", limit=7.0)
    launch: Any = LateLaunch(late)
    monkeypatch.setattr(Float64References, "check_flow", _ask_flow)
    paths = files.references.compute({"torch": launch}, "backward", "gradient")
    assert paths == {}
    assert str(files.references.failures["torch"]).startswith("late_torch.py: one: ")
    assert set(launch.limits.values()) == {7.0}
    assert files.time_outs.find(CATALOGUE["one"], "torch") is not None
    files.close()


def _ask_flow(references: Float64References, launch: Any) -> None:
    """Ask for what `Float64References.check_flow` asks for, and believe every answer."""
    launch.ask("probe")
    launch.ask("flow")


def test_scenarios_of_this_suite_have_time_to_compile_and_are_tried_again() -> None:
    files = ProblemFiles("linear_cascade", "-", "seed", limit=7.0)
    assert files.limit == ANSWER_SECONDS
    launch: Any = LateLaunch("open")
    for _ in range(2):
        with pytest.raises(WorkerTimeout, match="impl_torch: linear_cascade: building it took"):
            files.open_in(launch)
    files.close()


def test_time_out_of_a_cell_is_told_as_that_of_the_cell_alone(spec: Path) -> None:
    loading.load([spec])
    time_outs, error = TimeOuts(), WorkerTimeout(3.0, "summed", "prepare")
    assert time_outs.add(error, CATALOGUE["one"], "torch") is error
    assert time_outs.find(CATALOGUE["one"], "torch") is None


def test_check_that_took_too_long_fails_in_one_line_and_costs_no_other(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading.load([spec])
    started: list[Any] = []

    class SlowCheck(CheckLaunch):
        """Take too long to build a user's scenario."""

        def __init__(self, framework: str, **_: Any) -> None:
            self.framework, self.gone = framework, False
            started.append(self)

        @property
        def dead(self) -> bool:
            return self.gone

        def close(self) -> None: ...

        kill = close

    def ask(launch: Any, op: str, *_: Any, **request: Any) -> Any:
        if request["facts"]["build"] == "one":
            launch.gone = True
            raise WorkerTimeout(launch.limit, None, "importing")
        return {}

    monkeypatch.setattr(Launch, "ask", ask)
    monkeypatch.setattr(check_workers, "CheckLaunch", SlowCheck)
    monkeypatch.setattr(environment, "installed", lambda _: "1.0")
    workers = CheckWorkers(9.0)
    for scenario in ("one", "one", "other"):
        with pytest.raises(pytest.fail.Exception, match=r"late_torch\.py: importing it .* 9 s"):
            workers.open((scenario, "-", "seed"), "torch")
    assert len(started) == 1
    fresh: Any = workers.open(("linear_cascade", "-", "seed"), "torch")
    assert fresh is started[-1]
    assert not fresh.gone
    workers.close()


def test_code_of_a_spec_that_was_given_up_changes_nothing_when_it_ends() -> None:
    def draw() -> None:
        os.environ["LEFT"] = "1"
        time.sleep(0.5)

    with pytest.raises(Late):
        call_within(0.1, kept_state.restoring(draw))
    assert "LEFT" not in os.environ
    os.environ["SET_MEANWHILE"] = "1"
    try:
        time.sleep(0.8)  # the call has ended by now
        assert os.environ.get("SET_MEANWHILE") == "1"
    finally:
        os.environ.pop("SET_MEANWHILE", None)
