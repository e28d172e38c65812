"""Test ``make reference``: which sessions it measures, in which order, and which it skips."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation import reference
from benchmarks.evaluation.reference import PLAN, ReferenceSession
from benchmarks.harness.selection.options import Selection
from benchmarks.harness.session import resume
from benchmarks.machine import environment
from benchmarks.paths import ROOT
from results.records.record import Run, new_run_id, utc_now
from results.records.storage import save_run
from tests.helpers.factories.records import record, run

SMALL = (
    ReferenceSession("one", {"scenario": "linear_cascade", "size": "seed"}),
    ReferenceSession("two", {"scenario": "conv_cascade", "size": "seed"}),
    ReferenceSession("three", {"scenario": "linear_cascade", "size": "small"}),
)


def run_of(session: ReferenceSession, folder: Path, **changes: Any) -> Run:
    """Return a run of the session, complete unless the changes say otherwise."""
    arguments = [*session.arguments, f"--results={folder}"]
    settings = {"code": resume.code_digest([]), "arguments": arguments}
    machine = {"id": environment.describe()["id"]}
    about = {"machine": machine, "finished": utc_now(), "samples": {}} | changes
    return run(new_run_id(), settings=settings | about.pop("settings", {}), **about)


class Executed:
    """Replace `reference.execute`: a session saves a run, unless it is in ``failing``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: list[str] = []
        self.resumed: list[str] = []
        self.clusters: list[str] = []  # files that sessions got
        self.reports: list[list[str]] = []
        self.failing: dict[str, int] = {}

    def __call__(self, command: Sequence[str]) -> int:
        if "report" in command:
            self.reports.append(list(command[4:]))
            return self.failing.get("report", 0)
        assert command[:3] == [sys.executable, "-m", "pytest"]
        (session,) = [one for one in SMALL if set(one.arguments) <= set(command)]
        self.sessions.append(session.name)
        self.resumed += [a.partition("=")[2] for a in command if a.startswith("--resume=")]
        self.clusters += [a.partition("=")[2] for a in command if a.startswith("--cluster=")]
        for about in ({"cluster": {"session": session.name}} for _ in self.clusters[:1]):
            for machine in ("aaaa", "bbbb"):  # a run for each class of machine
                settings = {"machine": {"id": machine}, "settings": about}
                save_run(run_of(session, self.folder, **settings), self.folder)
            return 0
        if session.name not in self.failing:
            save_run(run_of(session, self.folder), self.folder)
        return self.failing.get(session.name, 0)


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executed:
    one = Executed(tmp_path / "runs")
    monkeypatch.setattr(reference, "PLAN", SMALL)
    monkeypatch.setattr(reference, "execute", one)
    return one


def run_main(executed: Executed, *arguments: str) -> int:
    out = executed.folder.parent / "out"
    return reference.main([f"--results={executed.folder}", f"--out={out}", *arguments])


def test_sessions_are_measured_in_order_and_reported_together(executed: Executed) -> None:
    assert run_main(executed) == 0
    assert executed.sessions == ["one", "two", "three"]
    (words,) = executed.reports
    *runs, option, out = words
    assert (option, Path(out)) == ("--out", executed.folder.parent / "out")
    assert len(runs) == 3
    assert all(Path(path).is_file() for path in runs)


def test_session_whose_run_is_whole_is_not_measured_again(executed: Executed) -> None:
    run_main(executed)
    assert run_main(executed) == 0
    assert executed.sessions == ["one", "two", "three"]
    assert executed.reports[0] == executed.reports[1]


def test_cluster_measures_each_session_once_and_all_its_runs_are_reported(
    executed: Executed, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.yml"
    for _ in range(2):
        assert run_main(executed, f"--cluster={file}") == 0
    assert executed.sessions == ["one", "two", "three"]
    assert set(executed.clusters) == {str(file)}
    *runs, _, _ = executed.reports[-1]
    assert len(runs) == 6
    assert {Path(path).parent.name for path in runs} == {"aaaa", "bbbb"}
    executed.clusters.clear()
    assert run_main(executed) == 0, "runs of a cluster are none of this machine's"
    assert executed.sessions == ["one", "two", "three"] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"finished": None},
        {"interrupted": True},
        {"records": [record(outcome="crashed", missing={"seconds": "it crashed"})]},
    ],
)
def test_run_that_is_not_whole_is_gone_on_with(executed: Executed, change: Any) -> None:
    old = run_of(SMALL[1], executed.folder, **change)
    save_run(old, executed.folder)
    assert run_main(executed) == 0
    assert executed.sessions == ["one", "two", "three"]
    assert executed.resumed == [old.id]


LIE = {"canaries": [{"framework": "torch", "canary": "twice", "passed": False, "said": "1"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"settings": LIE},  # its times cannot be trusted
        {"settings": {"code": "other"}},
        {"machine": {"id": "another-box"}},
        {"settings": {"arguments": [*SMALL[0].arguments, "--launches=1"]}},
    ],
)
def test_run_that_is_of_no_use_is_neither_kept_nor_gone_on_with(
    executed: Executed, change: Any
) -> None:
    save_run(run_of(SMALL[0], executed.folder, **change), executed.folder)
    assert run_main(executed) == 0
    assert executed.sessions == ["one", "two", "three"]
    assert executed.resumed == []


def test_run_that_was_gone_on_with_is_still_the_sessions(executed: Executed) -> None:
    arguments = [*SMALL[0].arguments, "--results=elsewhere", "--resume=20261121T010203-ab12cd"]
    save_run(run_of(SMALL[0], executed.folder, settings={"arguments": arguments}), executed.folder)
    assert run_main(executed) == 0
    assert executed.sessions == ["two", "three"]


def test_failure_is_named_and_the_rest_is_measured(
    executed: Executed, capsys: pytest.CaptureFixture[str]
) -> None:
    executed.failing = {"two": 3}
    assert run_main(executed) == 1
    assert executed.sessions == ["one", "two", "three"]
    assert len(executed.reports[0]) == 2 + 2  # what there is is reported
    assert "failed: two (exit code 3); the same command tries again" in capsys.readouterr().out
    executed.failing = {"report": 2}
    assert run_main(executed) == 1
    assert executed.sessions[3:] == ["two"]
    assert "failed: report;" in capsys.readouterr().out


def test_budget_leaves_out_from_the_end_and_says_what(
    executed: Executed, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = [session.cost().seconds / 60 for session in SMALL]
    assert run_main(executed, f"--minutes={costs[0] + costs[1] + 0.9 * costs[2]}") == 0
    assert executed.sessions == ["one", "two"]
    assert re.search("left out, as --minutes is .*: three\n", capsys.readouterr().out)
    with pytest.raises(SystemExit) as ended:
        run_main(executed, f"--minutes={0.9 * costs[0]}")
    assert ended.value.code == 2
    assert "not even the first session fits" in capsys.readouterr().err


def test_list_shows_each_session_its_cost_and_its_run_and_runs_nothing(
    executed: Executed, capsys: pytest.CaptureFixture[str]
) -> None:
    complete = run_of(SMALL[0], executed.folder)
    stopped = run_of(SMALL[1], executed.folder, interrupted=True)
    for one in (complete, stopped):
        save_run(one, executed.folder)
    assert run_main(executed, "--list") == 0
    assert (executed.sessions, executed.reports) == ([], [])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[1::2]}
    assert [rows[name][1] for name in ("one", "two", "three")] == ["10", "10", "10"]
    assert float(rows["three"][3]) == pytest.approx(sum(float(r[2]) for r in rows.values()), 0.2)
    assert rows["one"][4:] == [complete.id]
    assert rows["two"][4:] == [f"{stopped.id},", "not", "whole"]
    assert rows["three"][4:] == ["none"]


def test_folder_that_cannot_be_written_is_said_before_measuring(
    executed: Executed, capsys: pytest.CaptureFixture[str]
) -> None:
    executed.folder.write_text("in the way")
    assert run_main(executed) == 2
    assert executed.sessions == []
    assert str(executed.folder) in capsys.readouterr().err


CHILD = """
import signal, sys, time
try:
    print("measuring", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)  # it saves what it has
    print("saved", flush=True)
"""


def test_session_that_is_stopped_has_time_to_save_what_it_has() -> None:
    code = (
        "import sys; from benchmarks.evaluation import reference as r;"
        "r.execute([sys.executable, '-c', {!r}])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code.format(CHILD)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "measuring\n"
        process.send_signal(signal.SIGINT)
        assert output.read() == "saved\n"
    assert process.wait(timeout=300) != 0


# The plan


def test_plan_fits_into_an_hour_by_its_estimate() -> None:
    assert sum(session.cost().seconds for session in PLAN) < 60 * reference.MINUTES
    assert PLAN[0].selection == {"size": "seed,medium"}  # the default run is the main one
    assert len({session.name for session in PLAN}) == len(PLAN)


def test_plan_holds_every_mode_every_size_of_a_cpu_and_the_crossover_map() -> None:
    cells = [cell for session in PLAN for cell in selected(session)]
    everything = Selection(everything=True).cells()
    assert {c.size for c in cells} == {c.size for c in everything}
    assert {c.kind for c in cells} == {"backward", "freeze", "distributed"}
    modes = {(c.framework, c.mode) for c in cells if c.kind != "distributed"}
    assert modes == {(c.framework, c.mode) for c in everything}
    crossover = {
        (c.variant, c.size, c.strategy, c.framework)
        for c in cells
        if c.scenario == "stacked_cascade" and c.phase == "backward"
    }
    for variant in ("n2", "n4", "n8", "n16", "front4", "back4"):
        for size in ("large", "large_batch32"):
            for strategy in ("summed", "separate_retained"):
                for framework in ("torch", "jax"):
                    assert (variant, size, strategy, framework) in crossover


def selected(session: ReferenceSession) -> list[Any]:
    names = {option: tuple(value.split(",")) for option, value in session.selection.items()}
    return Selection(**names).cells()  # type: ignore[arg-type]


def test_pytest_takes_a_sessions_arguments_and_finds_its_cells() -> None:
    session = replace(PLAN[-1], name="one")
    command = [sys.executable, "-m", "pytest", *session.arguments, "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    collected = [line for line in done.stdout.splitlines() if "::test_backward[" in line]
    assert len(collected) == len(selected(session)) == session.cost().cells
