"""Test ``cascade-bench explain`` and ``--profile``: what they show, and how they refuse."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.commands import explain
from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.measurement import profiling, traces
from benchmarks.harness.session.lock import Lock
from results.estimates.explanation import IDLE

Out = pytest.CaptureFixture[str]
CELL = ("linear_cascade", "seed", "gradient", "separate_retained", "--device=cpu")


def refused(capsys: Out, *arguments: str) -> str:
    """Return the one line with which the command ends before it profiles anything."""
    assert main(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.rstrip().splitlines()[-1]
    assert line.startswith("cascade-bench: ")
    return line


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_operations_of_both_sides_add_up_and_traces_lie_beside(
    capsys: Out, tmp_path: Path, framework: str
) -> None:
    pytest.importorskip(framework)
    assert main(["explain", framework, *CELL, f"--out={tmp_path}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for side in ("strategy", "baseline"):
        traced = document[side]["traced"]
        own = sum(one["seconds"] for one in traced["operations"])
        assert own + traced["idle"] == pytest.approx(traced["seconds"])
        assert traced["idle"] < traced["seconds"]
        assert len(traced["operations"]) >= 3
        with gzip.open(document[side]["trace"]) as file:
            names = [one.get("name") for one in json.load(file)["traceEvents"]]
        assert names.count(traces.CALL) >= profiling.CALLS
    products = {"torch": "mm ", "jax": "dot"}[framework]
    counts = [
        sum(one["count"] for one in document[side]["traced"]["operations"]
            if one["name"].startswith(products))
        for side in ("strategy", "baseline")
    ]  # fmt: skip
    assert counts[0] > counts[1] > 0  # the second backward pass goes through the networks again
    explained = document["explanation"]
    assert explained["predicted"] == pytest.approx(1.2, rel=0.01)
    beyond = sum(row["beyond"] for row in explained["rows"])
    assert beyond == pytest.approx(explained["gap"])
    assert IDLE in [row["name"] for row in explained["rows"]]
    assert len(list(tmp_path.glob("*.trace.json.gz"))) == 2


def test_a_name_of_none_is_one_line_with_the_nearest(capsys: Out) -> None:
    assert "did you mean 'linear_cascade'" in refused(capsys, "torch", "linear_casade")
    assert "name one, such as" in refused(capsys, "torch", "linear_cascade")
    assert "name a cell, such as" in refused(capsys)


def test_beside_another_session_it_is_refused(capsys: Out, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lock = Lock()
    lock.take()
    try:
        line = refused(capsys, "torch", *CELL, f"--out={tmp_path}")
    finally:
        lock.release()
    assert "another run is measuring" in line


@pytest.mark.parametrize(
    "error", [WorkerError("the worker ended"), traces.TraceError("no call"), OSError("disk full")]
)
def test_what_cannot_be_profiled_is_one_line(
    capsys: Out, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    pytest.importorskip("torch")

    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(profiling, "profile", fails)
    assert str(error) in refused(capsys, "torch", *CELL, f"--out={tmp_path}")
    cells = explain.find_cells([" ".join(("torch", *CELL[:-1]))], "cpu")
    (line,) = explain.explanations(cells, tmp_path)  # after a session, which goes on to its end
    assert line.startswith("--profile ")
    assert str(error) in line


def test_stopped_by_ctrl_c_it_ends_with_130(
    capsys: Out, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch")

    def stops(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(profiling, "profile", stops)
    assert main(["explain", "torch", *CELL, f"--out={tmp_path}"]) == 130
    assert capsys.readouterr().out == ""
    lock = Lock()
    lock.take()  # it is free again
    lock.release()
