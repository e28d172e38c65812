"""What is measured of a case in the time there is, which framework it is for, and its rows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.protocol import cells
from benchmarks.own_code import command, description, plan, request
from benchmarks.own_code.measure import FrameworkRun
from benchmarks.own_code.request import Request, RequestError
from results.own_code import document
from results.records.record import RecordError

FACTS: Any = {
    "networks": {"encoder": {}, "head": {}},
    "reach": {"task": ["encoder.w", "head.w"]},
    "frozen": [],
    "untouched": [],
    "moved": [],
    "random": False,
    "series": "no stages",
}


def asked(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "source": {"file": "case.py", "function": "make"},
        "framework": None,
        "folder": "/",
        "budget": 60.0,
        "phases": None,
        "ways": None,
        "results": None,
        "document": Path("out.json"),
        "seed": 0,
        "launches": None,
    }
    return Request(**fields | changes)


def test_ways_that_cannot_exist_are_named_with_the_reason() -> None:
    facts = FACTS | {"moved": ["encoder.mean"]}
    (group, _) = plan.groups_of("torch", facts, asked())
    assert group.ways[0] == "summed"
    assert set(group.unsupported) == {"boundary_split", "functional", "reforward"}
    assert group.unsupported["boundary_split"] == "no stages"


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_ways_that_only_show_a_price_are_measured_where_they_are_named(framework: str) -> None:
    facts = FACTS | {"series": "", "frozen": ["encoder.w"]}
    usual = plan.groups_of(framework, facts, asked())
    assert not {way for group in usual for way in (*group.ways, *group.unsupported)} & set(
        cells.ON_REQUEST
    )
    named = plan.groups_of(framework, facts, asked(ways=cells.ON_REQUEST))
    found = {way for group in named for way in (*group.ways, *group.unsupported)}
    assert set(cells.ON_REQUEST) - found == {
        "torch": {"scale_zero", "traced_mask", "cond"}, "jax": {"inference_mode"},
    }[framework]  # fmt: skip


@pytest.mark.parametrize(
    ("framework", "way", "changes", "why"),
    [
        ("torch", "partition", {}, "partition is not timed: there is no such way in torch"),
        ("torch", "detach", {}, "it freezes, and nothing of this case is frozen"),
        ("torch", "detach", {"frozen": ["encoder.w"]}, None),
        ("jax", "partition", {"frozen": ["encoder.w"]}, "does not exist in the phases that were"),
    ],
)
def test_way_that_has_no_place_is_told(
    framework: str, way: str, changes: dict[str, Any], why: str | None
) -> None:
    """Nothing was timed, the exit code was 0, and no word said why."""
    request = asked(ways=(way,), phases=("backward",))
    told = plan.absent_ways(framework, FACTS | changes, request)
    assert [why in one for one in told] == [True] if why else told == []


def test_checkpoint_would_move_buffers_once_more() -> None:
    facts = FACTS | {"series": "", "moved": ["encoder.mean"]}
    named = plan.groups_of("torch", facts, asked(ways=("checkpointed",)))
    assert all("once more" in group.unsupported["checkpointed"] for group in named)


@pytest.mark.parametrize(
    ("frozen", "front"), [(["encoder.w"], True), (["head.w"], False), (["encoder.v"], False)]
)
def test_front_is_what_stands_before_all_that_is_trained(frozen: list[str], front: bool) -> None:
    assert plan.frozen_in_front(FACTS | {"frozen": frozen}) == front


def test_frozen_weights_tied_to_a_network_behind_do_not_stand_in_front() -> None:
    tied = {"encoder": {}, "head": {"tied": [["head.embedding", "encoder.w"]]}}
    facts = FACTS | {"networks": tied, "frozen": ["encoder.w"], "series": None}
    assert not plan.frozen_in_front(facts)
    (_, freeze, *_) = plan.groups_of("torch", facts, asked())
    assert "does not stand in front" in freeze.unsupported["detach"]
    assert "requires_grad_false" in freeze.ways


def test_freezing_is_measured_only_where_something_is_frozen() -> None:
    assert {g.kind for g in plan.groups_of("torch", FACTS, asked())} == {"backward"}
    frozen = FACTS | {"frozen": ["encoder.w"], "series": None}
    groups = plan.groups_of("torch", frozen, asked())
    assert [(g.kind, g.phase) for g in groups] == list(plan.USUAL)
    assert "detach" in groups[1].ways


def test_what_is_dispensable_is_left_out_before_launches() -> None:
    groups = plan.groups_of("torch", FACTS, asked())
    whole = plan.fit(groups, plan.Pace(0.001), 60.0, asked())
    assert (whole.launches, whole.left_out) == (6, ())
    short = plan.fit(groups, plan.Pace(0.2), 60.0, asked())
    assert short.left_out[:3] == ("batched", "functional", "multi_root")
    assert short.groups[0].ways[:2] == ("summed", "separate_retained")
    least = plan.fit(groups, plan.Pace(0.5), 60.0, asked())
    assert (least.launches, len(least.groups)) == (3, 1)
    named = asked(ways=("batched",), phases=("gradient",), launches=6)
    kept = plan.fit(plan.groups_of("torch", FACTS, named), plan.Pace(5.0), 60.0, named)
    assert (kept.launches, kept.groups[0].ways) == (6, ("summed", "batched"))


def test_processes_that_start_slowly_and_compiling_are_planned_for() -> None:
    groups = plan.groups_of("torch", FACTS, asked())
    slow = plan.fit(groups, plan.Pace(0.001, start=15.0), 60.0, asked())
    assert slow.launches == plan.FEWEST
    slower = plan.fit(groups, plan.Pace(0.001, start=35.0), 60.0, asked())
    assert (slower.launches, len(slower.groups)) == (1, 1)
    compiling = plan.fit(groups, plan.Pace(0.001, first=9.0, later=2.0), 60.0, asked())
    assert len(compiling.groups) == 1
    assert plan.Pace(0.0, first=9.0, later=2.0).seconds(compiling) <= 60.0


def test_nothing_is_measured_where_not_even_the_least_fits() -> None:
    groups = plan.groups_of("torch", FACTS, asked())
    chosen = plan.fit(groups, plan.Pace(1.5), 20.0, asked())
    assert chosen.groups == ()
    assert chosen.left_out[-2:] == ("gradient", "backward")
    late = plan.fit(groups, plan.Pace(0.8), 20.0, asked())
    assert (late.launches, len(late.groups)) == (1, 1)


def test_nothing_is_timed_after_the_budget_and_that_is_said(tmp_path: Path) -> None:
    pool: Any = SimpleNamespace(case_files=CaseFiles)
    past = time.monotonic() - 1.0
    spent = FrameworkRun(asked(), "torch", {"file": "case.py"}, pool, past, print)
    assert not spent.judge()
    spent.measured.files.facts = FACTS | {"slope_errors": {}, "coarse": {}}
    notes = description._notes(spent.measured, {})
    spent.measured.files.close()
    assert notes[0].startswith("Nothing was timed: the budget was spent on the examination; ")


@pytest.mark.parametrize(
    ("text", "function", "found"),
    [
        ("import torch\ndef make(): ...", "make", {"torch": "make"}),
        ("from flax import nnx\ndef make(): ...", "make", {"jax": "make"}),
        (
            "def torch_case(): ...\ndef jax_case(): ...",
            None,
            {"torch": "torch_case", "jax": "jax_case"},
        ),
        ("def torch_case(): ...\ndef jax_case(): ...", "jax_case", {"jax": "jax_case"}),
        (
            "from mine import make as torch_case\njax_case = other",
            None,
            {"torch": "torch_case", "jax": "jax_case"},
        ),
        (
            "try:\n    import jax\n    def jax_case(): ...\nexcept ImportError:\n    pass\n"
            "torch_case: object = 1",
            None,
            {"torch": "torch_case", "jax": "jax_case"},
        ),
        (
            "try:\n    from a import jax_case\nexcept ImportError:\n    def jax_case(): ...\n",
            None,
            {"jax": "jax_case"},
        ),
        ("\ufeffimport torch\ndef make(): ...", "make", {"torch": "make"}),
        ("# coding: latin-1\nimport jax  # \xe4\ndef make(): ...", "make", {"jax": "make"}),
    ],
)
def test_framework_is_read_off_the_file(
    tmp_path: Path, text: str, function: str | None, found: dict[str, str]
) -> None:
    encoding = "latin-1" if "latin-1" in text else "utf-8"
    (tmp_path / "case.py").write_text(text, encoding=encoding)
    source: Any = {"file": "case.py"} | ({"function": function} if function else {})
    chosen = request.sources(asked(source=source, folder=str(tmp_path)))
    assert {name: one["function"] for name, one in chosen.items()} == found


@pytest.mark.parametrize(
    ("text", "says"),
    [("import torch, jax", "both frameworks"), ("x = 1", "neither"), ("def (", "SyntaxError")],
)
def test_framework_that_cannot_be_told_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "case.py").write_text(text)
    with pytest.raises(RequestError, match=says) as caught:
        request.sources(asked(folder=str(tmp_path)))
    assert caught.value.mend


def test_what_was_interrupted_before_it_was_timed_is_not_called_right() -> None:
    row = {"equivalence": "pass", "outcome": "interrupted", "ratio": None}
    row |= {"kind": "backward", "way": "summed", "verdict": None}
    part: Any = {"framework": "torch", "flow_problem": None, "rows": [row]}
    assert description.answer([part], None) == "torch: nothing was timed."


def test_unknown_name_of_a_request_is_told_with_the_nearest_and_no_file_is_blamed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_for = {
        "schema": 1, "case": {"file": "case.py"}, "folder": str(tmp_path), "ways": ["sumed"],
        "document": str(tmp_path / "document.json"),
    }  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(asked_for))
    assert command.main([str(tmp_path / "request.json")]) == 2
    assert capsys.readouterr().err == ""  # the client reads it in the document
    error = json.loads((tmp_path / "document.json").read_text())["error"]
    assert (error["file"], error["message"]) == ("", "no way 'sumed'")
    assert error["mend"].startswith("did you mean summed? There are all_gradients, ")


def outcome(samples: list[list[float]], **changes: Any) -> dict[str, Any]:
    figures = {"flops": 10, "equivalence": "pass", "gradient_error": {"relative": 1e-7}}
    empty = {"outcome": "ok", "why": None, "figures": figures, "samples": samples}
    return empty | changes


def rows_of(**outcomes: Any) -> dict[str, Any]:
    fields = {
        "kind": "backward",
        "scenario": "own",
        "variant": "-",
        "size": "own",
        "framework": "torch",
        "mode": "eager",
        "phase": "backward",
        "device": "cpu",
        "dtype": "float32",
        "baseline": "summed",
    }
    return {row["way"]: row for row in document.rows([(fields, outcomes)], {"summed": "code"})}


def test_rows_have_ratios_verdicts_and_what_was_not_timed() -> None:
    rows = rows_of(
        summed=outcome([[1.0, 1.01], [1.02, 1.0], [1.0, 1.0]] * 2),
        separate_retained=outcome([[1.5, 1.51], [1.52, 1.5], [1.51, 1.5]] * 2),
        batched=outcome([], outcome="wrong_gradients", why="x: relative difference 1"),
        functional=outcome([]),
    )
    assert rows["separate_retained"]["verdict"] == "slower"
    assert rows["separate_retained"]["ratio"]["estimate"] == pytest.approx(1.5, rel=0.02)
    assert rows["separate_retained"]["predicted_ratio"] == 1.0
    assert rows["summed"]["code"] == "code"
    assert rows["batched"]["outcome"] == "wrong_gradients"
    assert rows["functional"]["outcome"] == "interrupted"


def test_a_group_that_was_stopped_is_paired_by_the_launches_that_every_way_has() -> None:
    rows = rows_of(summed=outcome([[1.0], [1.0], [1.0]]), separate_retained=outcome([[2.0], [2.0]]))
    assert rows["separate_retained"]["ratio"]["launches"] == 2


def test_document_is_written_whole_and_read(tmp_path: Path) -> None:
    made: Any = dict.fromkeys(document.KEYS) | {
        "schema": document.SCHEMA,
        "kind": document.KIND,
        "frameworks": [{"rows": list(rows_of(summed=outcome([[1.0]])).values())}],
        "seconds": float("nan"),
    }
    path = tmp_path / "deep" / "out.json"
    path.parent.mkdir()
    document.write(made, [path])
    assert document.read(path)["seconds"] is None
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kind": "run"}))
    with pytest.raises(RecordError, match="no comparison of own code"):
        document.read(path)


def test_files_are_read_as_they_are_written_in_a_locale_without_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_in_latin_1(path: Path, encoding: str = "latin-1") -> str:
        return path.read_bytes().decode(encoding)

    monkeypatch.setattr(Path, "read_text", read_in_latin_1)
    made: Any = dict.fromkeys(document.KEYS) | {"schema": document.SCHEMA, "kind": document.KIND}
    document.write(made | {"frameworks": [], "answer": "größer"}, [tmp_path / "out.json"])
    assert document.read(tmp_path / "out.json")["answer"] == "größer"
    asked_for = {"schema": 1, "case": {"file": "größe.py"}, "folder": "/", "document": "ö.json"}
    (tmp_path / "request.json").write_bytes(json.dumps(asked_for, ensure_ascii=False).encode())
    assert request.read(tmp_path / "request.json").file == "/größe.py"


def test_a_flow_that_was_not_demanded_is_told() -> None:
    found = {"task": {"encoder": "value"}}
    assert description.flow_problem(found, {"task": {"encoder": "value"}}) is None
    told = description.flow_problem(found, {"task": {"encoder": "absent"}})
    assert told == "task → encoder is value, expect_flow says absent"
    assert "names the loss" in str(description.flow_problem(found, {"other": {}}))


def test_line_of_a_function_is_read_off_its_file(tmp_path: Path) -> None:
    (tmp_path / "case.py").write_text("import torch\n\ndef make(): ...\n\n\nmake = small = 3\n")
    for name, line in (("make", 6), ("small", 6), ("torch", None), ("absent", None)):
        source: Any = {"file": "case.py", "function": name}
        assert request.line_of(source, str(tmp_path)) == line
    module: Any = {"module": "case", "function": "make"}
    assert request.line_of(module, str(tmp_path)) == 6
    (tmp_path / "case.py").write_text("\ufeffif True:\n    def make(): ...\n", encoding="utf-8")
    assert request.line_of(module, str(tmp_path)) == 2
    for none in ({"file": "gone.py"}, {"pickle": "x"}):
        assert request.line_of(none, str(tmp_path)) is None  # type: ignore[arg-type]
