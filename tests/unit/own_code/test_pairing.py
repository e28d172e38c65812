"""A file with a side for each framework: what is measured in which order, and what stops it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.launch import WorkerCrashed, WorkerFailed
from benchmarks.harness.protocol.arrays import write_arrays
from benchmarks.harness.protocol.case_messages import BY_TORCH_PARAMETERS
from benchmarks.machine import frameworks
from benchmarks.own_code import description, pairing, session
from benchmarks.own_code.request import Request
from results.own_code import document
from results.own_code.pair_rows import pair_rows

BOTH = "def torch_case(): ...\ndef jax_case(): ...\n"
FACTS: dict[str, Any] = {
    "networks": {"net": {}},
    "values": {"task": 2.0, "code": 0.5},
    "coarse": {},
    "random": False,
    "frozen": [],
    "weights": [["net.kernel", "transposed", "net.weight"]],
    "taken": [],
}


@contextmanager
def side(file: str, gradient: dict[str, Any], facts: dict[str, Any]) -> Iterator[CaseFiles]:
    """Yield the files of a case as an examination leaves them, with this gradient."""
    files: Any = CaseFiles({"source": {}, "folder": "", "seed": 0}, "torch")
    files.facts = FACTS | facts
    write_arrays(files.folder / file, {f"gradient/{n}": a for n, a in gradient.items()})
    yield files
    files.close()


def proven(
    torch: dict[str, Any], jax: dict[str, Any], jax_facts: dict[str, Any] | None = None
) -> Any:
    with (
        side("reference.npz", torch, {}) as one,
        side(BY_TORCH_PARAMETERS, jax, jax_facts or {}) as other,
    ):
        return pairing.compare_sides(one, other)


def test_rounding_is_no_difference_and_a_millionth_is_one() -> None:
    true = {"net.weight": np.array([1.0, 2.0]), "net.bias": np.array([3.0])}
    near = {name: array * (1 + 1e-13) for name, array in true.items()}
    pair = proven(true, near)
    assert pair["problem"] is None
    assert 0 < pair["gradient_error"] < 1e-12
    off = true | {"net.bias": np.array([3.0 + 3e-6])}
    pair = proven(true, off)
    assert (
        "the gradients with respect to net.bias differ between torch and JAX: relative differ"
        in (pair["problem"])
    )
    assert "1e-06, allowed 1e-09 (1 of 2 parameters differ)" in pair["problem"]


def test_a_gradient_that_only_one_side_has_is_a_difference() -> None:
    true = {"net.weight": np.array([1.0, 2.0])}
    pair = proven(true, true | {"net.unused": np.array([0.1])})
    assert pair["problem"] is not None
    assert "the gradients with respect to net.unused differ" in pair["problem"]
    pair = proven(true, true | {"net.unused": np.array([0.0])})
    assert pair["problem"] is None


def test_a_gradient_without_influence_is_rounding_on_both_sides() -> None:
    """Take it for 0, as the gradient by the bias of keys in attention, which changes no loss."""
    true = {"net.weight": np.array([1.0, 2.0]), "net.bias": np.array([1e-17])}
    assert proven(true, true | {"net.bias": np.array([-3e-17])})["problem"] is None


def test_float32_somewhere_inside_widens_what_is_allowed() -> None:
    true, near = {"net.weight": np.array([1.0])}, {"net.weight": np.array([1.0 + 1e-6])}
    assert proven(true, near)["problem"] is not None
    coarse = {"coarse": {"task": {"net": {"noise": 1e-8, "hidden": False}}}}
    pair = proven(true, near, jax_facts=coarse)
    assert (pair["problem"], pair["allowed"]) == (None, pairing.FLOAT32_TOLERANCE)


def test_losses_differ_by_name_or_by_value_and_dropout_is_suspected_first() -> None:
    true = {"net.weight": np.array([1.0])}
    pair = proven(true, true, {"values": {"task": 2.0}})
    assert (
        "the loss 'code' of torch is missing in JAX; return it from that case too, or"
        in pair["problem"]
    )
    pair = proven(true, true, {"values": FACTS["values"] | {"more": 1.0}})
    assert "the loss 'more' of JAX is missing in torch" in pair["problem"]
    other = {"values": FACTS["values"] | {"task": 2.001}}
    pair = proven(true, true, other)
    assert (
        "the loss 'task' is 2 in torch and 2.001 in JAX, relative difference 0.0005; check that"
        in pair["problem"]
    )
    assert pair["loss_error"] == pytest.approx(5e-4, rel=1e-3)
    pair = proven(true, true, other | {"random": True})
    assert (
        "0.0005; the case is random, and the frameworks draw different numbers" in pair["problem"]
    )


def test_what_one_side_freezes_the_other_must_freeze_too() -> None:
    true = {"net.weight": np.array([1.0])}
    assert proven(true, true, {"frozen": ["net.kernel"]})["problem"].startswith(
        "net.weight (net.kernel in JAX) is frozen in JAX and trained in torch; list it in frozen="
    )


def test_not_a_number_is_no_agreement() -> None:
    true = {"net.weight": np.array([1.0])}
    assert proven(true, {"net.weight": np.array([np.nan])})["problem"] is not None


class FakeRun:
    """Stand in for `FrameworkRun`: note what it is told, and fail where it should."""

    log: list[str]
    failing: str = ""  # framework whose examination fails
    dying: str = ""  # framework whose workers do not start again
    vanishing: str = ""  # framework whose case ends its process
    late: str = ""  # framework whose examination takes the whole budget

    def __init__(self, request: Any, framework: str, source: Any, *rest: Any) -> None:
        self.framework, self.source = framework, source
        self.measured = SimpleNamespace(
            framework=framework, files=SimpleNamespace(start=Path("torch.npz"), known_facts={})
        )
        start = rest[3] if len(rest) > 3 else None
        self.deadline = rest[1]
        self.log.append(f"{framework} {source['function']} {start or '-'}")

    def examine(self, **options: Any) -> None:
        if self.failing == self.framework:
            mistake = {"file": "c.py", "line": 7, "message": "no counterpart", "mend": "write"}
            error: Any = {"type": "x", "message": "no counterpart", "line": "", "traceback": ""}
            raise WorkerFailed({**error, "outcome": "failed", "case": mistake})
        if self.vanishing == self.framework:
            raise WorkerCrashed("the worker ended with exit code 7")
        self.log.append(f"{self.framework} examined {sorted(n for n, v in options.items() if v)}")

    def judge(self) -> bool:
        self.log.append(f"{self.framework} judged")
        return self.late != self.framework

    def restart(self, until: float) -> None:
        if self.dying == self.framework:
            raise WorkerCrashed("the worker ended by signal 9")
        self.log.append(f"{self.framework} started")


class FakeRounds:
    """Stand in for `Rounds`: note which frameworks are timed together."""

    def __init__(self, runs: list[FakeRun], until: float, save: Any) -> None:
        self.runs = runs

    def measure(self) -> None:
        FakeRun.log.append(" and ".join(run.framework for run in self.runs) + " timed")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that carries out a request for a file with both sides."""
    (tmp_path / "case.py").write_text(BOTH)
    log: list[str] = []
    monkeypatch.setattr(FakeRun, "log", log, raising=False)
    monkeypatch.setattr(session, "FrameworkRun", FakeRun)
    monkeypatch.setattr(session, "Rounds", FakeRounds)
    lock = SimpleNamespace(take=lambda: None, release=lambda: None)
    monkeypatch.setattr(session, "Lock", lambda: lock)
    monkeypatch.setattr(frameworks, "why_missing", lambda name: "")
    part: dict[str, Any] = {"rows": [], "flow_problem": None}
    monkeypatch.setattr(
        description, "framework_part", lambda one: part | {"framework": one.framework}
    )
    monkeypatch.setattr(description, "groups_of", lambda one: [])
    pair: dict[str, Any] = {"problem": None, "weights": [], "batch": []}
    monkeypatch.setattr(pairing, "compare_sides", lambda torch, jax: dict(pair))

    def carry_out(**changes: Any) -> tuple[int, dict[str, Any], list[str]]:
        pair.update(changes)
        out = tmp_path / "out.json"
        request = Request(
            {"file": "case.py"}, None, str(tmp_path), 60, None, None, None, out, 0, None
        )
        code = session.Session(request, time.monotonic()).run()
        return code, json.loads(out.read_text()), log

    return carry_out


def test_both_are_examined_and_proven_before_either_is_timed(run: Any) -> None:
    code, made, log = run()
    assert code == document.RIGHT
    assert log == [
        "torch torch_case -", "torch examined ['hand_over']", "torch judged",
        "jax jax_case torch.npz", "jax examined []", "jax judged",
        "torch started", "jax started", "torch and jax timed",
    ]  # fmt: skip
    assert made["pair"]["rows"] == []


def test_what_is_left_of_the_whole_budget_decides_whether_both_are_timed(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of one examination may be spent while the other half of the budget is left."""
    left: list[float] = []

    def judge(self: FakeRun) -> bool:
        left.append(self.deadline - time.monotonic())
        return True

    monkeypatch.setattr(FakeRun, "judge", judge)
    run()
    assert min(left) == pytest.approx(60.0 - session.RESERVE, abs=2.0)


@pytest.mark.parametrize(("failing", "line"), [("torch", 1), ("jax", 2)], ids=["torch", "jax"])
def test_case_that_ends_its_process_is_named_with_the_line_of_its_function(
    run: Any, monkeypatch: pytest.MonkeyPatch, failing: str, line: int
) -> None:
    monkeypatch.setattr(FakeRun, "vanishing", failing)
    code, made, _ = run()
    error = made["error"]
    assert (code, error["line"]) == (document.ERROR, line)
    assert error["file"].endswith("case.py")
    assert error["message"] == f"{failing}: the worker ended with exit code 7"
    assert "os._exit" in error["mend"]


@pytest.mark.parametrize("late", ["torch", "jax"])
def test_both_are_proven_and_neither_is_timed_where_one_takes_the_budget(
    run: Any, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    monkeypatch.setattr(FakeRun, "late", late)
    code, made, log = run()
    assert code == document.RIGHT
    assert made["pair"]["problem"] is None
    assert not [line for line in log if "timed" in line]


@pytest.mark.parametrize(("dying", "other"), [("torch", "jax"), ("jax", "torch")])
def test_worker_lost_while_one_is_timed_is_told_of_that_framework_and_the_other_is_timed(
    run: Any, monkeypatch: pytest.MonkeyPatch, dying: str, other: str
) -> None:
    monkeypatch.setattr(FakeRun, "dying", dying)
    code, made, log = run()
    assert code == document.ERROR
    assert made["error"]["message"] == f"{dying}: the worker ended by signal 9"
    assert [line for line in log if line.endswith("timed")] == [f"{other} timed"]


def test_what_differs_is_not_timed_and_ends_with_1(run: Any) -> None:
    code, made, log = run(problem="the gradients by x differ")
    assert code == document.WRONG
    assert not [line for line in log if "timed" in line]
    assert made["answer"].startswith("torch and JAX do not compute the same: the gradients by x")


def test_weights_without_counterpart_end_with_2_and_one_line(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRun, "failing", "jax")
    code, made, log = run()
    assert code == document.ERROR
    assert (made["error"]["line"], made["error"]["message"]) == (7, "no counterpart")
    assert not [line for line in log if "timed" in line]


def test_a_framework_that_is_not_installed_is_left_out_and_said(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "jax is not installed here: pip install cascade-bench[jax]"
    missing = {"jax": why, "torch": ""}
    monkeypatch.setattr(frameworks, "why_missing", missing.__getitem__)
    code, made, log = run()
    assert code == document.RIGHT
    assert log == ["torch torch_case -", "torch examined []", "torch judged", "torch timed"]
    assert made["answer"].endswith(f"Left out: {why}.")
    assert (made["absent"], made["pair"]) == ([why], None)
    assert f"left out: {why}" in capsys.readouterr().err


def test_where_neither_is_installed_a_worker_says_what_to_install(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frameworks, "why_missing", lambda name: "not here")
    monkeypatch.setattr(FakeRun, "failing", "torch")
    code, made, _ = run()
    assert (code, made["absent"]) == (document.ERROR, [])


def group(framework: str, mode: str, kind: str = "backward", **seconds: float) -> Any:
    """Return the fields and outcomes of a group whose launches take about these seconds."""
    fields = {
        "kind": kind, "scenario": "own", "variant": "-", "size": "own", "framework": framework,
        "mode": mode, "phase": "backward", "device": "cpu", "dtype": "float32",
        "baseline": "summed",
    }  # fmt: skip
    figures = {"equivalence": "pass"}
    outcomes = {
        way: {
            "outcome": "ok", "why": None, "figures": figures,
            "samples": [[one * (1 + 0.01 * i)] * 3 for i in range(6)],
        }
        for way, one in seconds.items()
    }  # fmt: skip
    return fields, outcomes


def test_ratio_of_frameworks_has_an_interval_and_a_verdict() -> None:
    groups = [
        group("torch", "eager", summed=2.0, separate_retained=3.0, multi_root=2.0),
        group("jax", "jit", summed=1.0, separate_retained=3.1),
        group("torch", "eager", "freeze", requires_grad_false=1.0),
        group("jax", "jit", "freeze", grad_of_trainable=2.0),
    ]
    rows = {row["way"]: row for row in pair_rows(groups)}
    assert list(rows) == ["summed", "separate_retained", "requires_grad_false"]
    assert rows["summed"]["ratio"]["estimate"] == pytest.approx(0.5)
    assert rows["summed"]["verdict"] == "faster"
    assert rows["separate_retained"]["verdict"] == "not told"  # sessions differ by more
    assert rows["requires_grad_false"]["jax_way"] == "grad_of_trainable"
    assert rows["requires_grad_false"]["verdict"] == "slower"
