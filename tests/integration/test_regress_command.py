"""Test ``cascade-bench regress``: its arguments, its refusals before measuring, its exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.harness.selection.options import SelectionError
from benchmarks.harness.session.lock import Lock
from benchmarks.regression import comparison, failures, plan, session, versions, worktrees
from tests.helpers.factories import comparisons

HERE = f"--base-python={sys.executable}"  # the same files: needs no repository
copy_work_tree = worktrees.copy_work_tree  # which `ending` replaces by links
NONE: dict[str, Any] = dict.fromkeys(
    ("kind", "scenario", "variant", "size", "framework", "mode", "strategy", "phase")
)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of stderr with which the command ends before measuring anything."""
    assert main(["regress", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.rstrip().splitlines()[-1]
    assert line.startswith("cascade-bench: ")
    return line


def test_without_a_base_it_says_what_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "a git ref, such as main, or another interpreter" in refused(capsys)


@pytest.mark.parametrize("budget", ["soon", "0", "-3m", "1d", "nan"])
def test_a_budget_that_is_no_time_is_refused(
    capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    assert "give a time such as 10m" in refused(capsys, "HEAD", f"--budget={budget}")


def test_budgets_are_read_with_their_unit() -> None:
    assert [plan.parse_seconds(t) for t in ("90", "90s", "1.5m", "1h")] == [
        90.0,
        90.0,
        90.0,
        3600.0,
    ]


def test_a_budget_for_no_verdict_is_refused_with_one_that_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = refused(capsys, "HEAD", "--budget=1m", f"--results={tmp_path}")
    assert (
        "10 cells, and the first verdict takes 10: give --budget 4m, or select fewer cells" in line
    )


def test_before_it_starts_no_more_is_said_than_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = plan.choose_cells(NONE, "cpu", ["torch", "jax"])
    comparison.check_budget(chosen, 600.0)
    captured = capsys.readouterr().err
    assert captured.startswith("10 cells; the budget has time for about 2")
    assert "depends on this machine's noise" in captured
    assert "%" not in captured
    assert "4 of 5" not in captured


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "'nowhere' is no commit of"),
        (["--base-python=/nowhere/python"], "is no Python interpreter"),
        (["HEAD", "--scenario=liner_cascade"], "did you mean 'linear_cascade'"),
        (["HEAD", "--scenario-path=/nowhere"], "no such file or folder"),
        (
            ["HEAD", "--strategy=no_grad_forward", "--scenario=conv_cascade"],
            "leaves no cell to measure",
        ),
        (
            [
                "HEAD",
                "--strategy=no_grad_forward",
                "--kind=freeze",
                "--scenario=frozen_second_network",
            ],
            "nothing to compare",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, *arguments, f"--results={tmp_path}")


def test_a_folder_that_cannot_be_written_is_refused_before_measuring(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write results" in refused(capsys, "HEAD", f"--results={tmp_path}/file/x")


def test_two_at_once_would_disturb_each_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lock = Lock()
    lock.take()
    try:
        assert "another run is measuring" in refused(capsys, "HEAD", f"--results={tmp_path}")
    finally:
        lock.release()


def test_outside_of_a_repository_it_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    assert "in no git repository" in refused(capsys, "HEAD", f"--results={tmp_path}")


def test_the_default_cells_exist_in_both_frameworks() -> None:
    chosen = plan.choose_cells(NONE, "cpu", ["torch", "jax"])
    assert len(chosen) == 10
    assert [cell.framework for cell in chosen] == ["torch"] * 5 + ["jax"] * 5
    assert all(cell.unsupported_reason() is None and cell.size == "small" for cell in chosen)
    assert {cell.framework for cell in plan.choose_cells(NONE, "cpu", ["jax"])} == {"jax"}


def test_a_selection_has_no_baseline_that_was_not_asked_for() -> None:
    selected = {**NONE, "scenario": ("conv_cascade",), "strategy": ("separate_retained",)}
    chosen = plan.choose_cells(selected, "cpu", ["torch"])
    assert {cell.strategy for cell in chosen} == {"separate_retained"}
    assert {cell.size for cell in chosen} == {"small"}


def test_with_neither_framework_installed_it_says_so() -> None:
    with pytest.raises(SelectionError, match="neither torch nor jax"):
        plan.choose_cells(NONE, "cpu", [])


def test_an_interpreter_may_be_given_from_where_one_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Workers run in other folders, and a virtual environment's interpreter is a link."""
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    requests: list[comparison.ComparisonRequest] = []

    def compare(request: comparison.ComparisonRequest) -> Any:
        requests.append(request)
        raise failures.CannotStart("seen")

    monkeypatch.setattr(comparison, "compare", compare)
    main(["regress", "--base-python=env/python", "--head-python=python3"])
    assert requests[0].base.python == str(tmp_path / "env" / "python")
    assert requests[0].head.python == "python3"  # one of the PATH


# How the command ends; a session is replaced by the document that it would have filled


def test_a_regression_is_told_and_saved(ending: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ending(comparisons.comparison({0: 0.2}))
    assert main(["regress", HERE, f"--results={folder}"]) == 1
    captured = capsys.readouterr()
    assert "▲ slower" in captured.out
    assert "a regression: wall time, CPU time (exit code 1)" in captured.out
    (path,) = folder.glob("*/*.json")
    assert f"comparison saved: {path}" in captured.err
    assert json.loads(path.read_text())["sides"]["base"]["label"].startswith("the ")


def test_unchanged_code_ends_with_0(ending: Any) -> None:
    folder = ending(comparisons.comparison())
    assert main(["regress", HERE, f"--results={folder}"]) == 0


def test_stopped_by_ctrl_c_it_shows_and_keeps_what_there_is(
    ending: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ending(comparisons.comparison(pairs=7, taken=()), KeyboardInterrupt())
    assert main(["regress", HERE, f"--results={folder}"]) == 130
    captured = capsys.readouterr()
    assert "it was interrupted" in captured.out
    assert "stopped by Ctrl-C, until then: " in captured.out
    assert "(exit code 130)" in captured.out
    (path,) = folder.glob("*/*.json")
    document = json.loads(path.read_text())
    assert document["pairs"] == 7
    assert document["finished"] is None


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_that_end_a_process_stop_it_as_ctrl_c_does(
    ending: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stop: int
) -> None:
    folder = ending(comparisons.comparison(pairs=7, taken=()))
    run, before = session.ComparisonSession.run, signal.signal(stop, signal.SIG_DFL)

    def stopped(own: session.ComparisonSession) -> None:
        run(own)
        assert signal.getsignal(stop) != signal.SIG_DFL  # which would end the tests
        os.kill(os.getpid(), stop)

    monkeypatch.setattr(session.ComparisonSession, "run", stopped)
    try:
        assert main(["regress", HERE, f"--results={folder}"]) == 130
    finally:
        signal.signal(stop, before)
    assert "it was interrupted" in capsys.readouterr().out
    assert len(list(folder.glob("*/*.json"))) == 1


def test_a_base_that_does_not_run_is_an_error(
    ending: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    why = failures.CannotStart("nothing of this selection runs on BASE: x")
    folder = ending(comparisons.comparison(pairs=0, taken=()), why)
    assert "nothing of this selection runs on BASE" in refused(capsys, HERE, f"--results={folder}")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError("x")])
def test_a_fault_of_ours_or_of_the_machine_is_no_regression(
    ending: Any, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """Python would end with 1, which says that head is slower."""
    assert main(["regress", HERE, f"--results={ending(comparisons.comparison(), error)}"]) == 2
    assert str(error) in capsys.readouterr().err


def test_workers_that_start_no_more_cost_nothing_that_was_measured(
    ending: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ending(
        comparisons.comparison(pairs=16, taken=(10, 16)), failures.CannotStart("no more workers")
    )
    assert main(["regress", HERE, f"--results={folder}"]) == 2
    captured = capsys.readouterr()
    assert "broken off: no more workers" in captured.out
    assert "(exit code 2)" in captured.out
    assert "= equal" in captured.out
    assert "comparison saved: " in captured.err
    folder = ending(
        comparisons.comparison({0: 0.3}, pairs=16, taken=(10, 16)), failures.CannotStart("x")
    )
    assert main(["regress", HERE, f"--results={folder}"]) == 1


def test_trees_are_gone_however_it_ends(
    ending: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(worktrees, "copy_work_tree", copy_work_tree)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for error in (None, KeyboardInterrupt(), failures.CannotStart("x")):
        main(["regress", HERE, f"--results={ending(comparisons.comparison(), error)}"])
        assert not list(temporary.glob("cascade-bench-regress-*"))


def test_where_the_comment_cannot_be_written_is_said_before_measuring(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    line = refused(capsys, HERE, f"--markdown={tmp_path}/file/comment.md", "--budget=1s")
    assert "cannot write results" in line


def test_what_an_earlier_comparison_wrote_does_not_pass_for_this_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = [tmp_path / name for name in ("comment.md", "regression.json")]
    for path in old:
        path.write_text("### Nothing got slower")
    forms = [f"--markdown={old[0]}", f"--json={old[1]}"]
    refused(capsys, HERE, *forms, "--budget=1s")
    assert not any(path.exists() for path in old)


def test_a_reader_who_has_seen_enough_does_not_change_the_exit_code(ending: Any) -> None:
    folder = ending(comparisons.comparison({0: 0.2}))
    read, write = os.pipe()
    os.close(read)
    stdout_copy = os.dup(1)
    try:
        os.dup2(write, 1)
        with open(1, "w", closefd=False) as stdout, contextlib.redirect_stdout(stdout):
            assert main(["regress", HERE, f"--results={folder}"]) == 1
    finally:
        os.dup2(stdout_copy, 1)
        os.close(write)


def test_the_command_is_told_as_it_can_be_typed_again(ending: Any) -> None:
    folder = ending(comparisons.comparison())
    main(["regress", HERE, f"--results={folder}", "--framework=torch", "--budget=9m"])
    (path,) = folder.glob("*/*.json")
    arguments = json.loads(path.read_text())["arguments"]
    assert arguments == [
        "--base-python",
        sys.executable,
        "--budget",
        "9m",
        "--framework",
        "torch",
        "--device",
        "cpu",
    ]
