"""Test ``cascade-bench show``: JSON, the choice of a run, mistakes, and closed pipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cli import main
from benchmarks.paths import ROOT
from results.records.record import OUTCOMES, Run, sample_key
from results.records.samples import samples_path
from results.records.storage import find_run, save_run
from results.report.build import build
from results.statistics.verdict import VERDICTS
from results.terminal import own_code_table, run_summary
from tests.helpers.factories.records import record, run
from tests.helpers.factories.whole_runs import whole_run
from tests.helpers.own_code import example_document
from tests.helpers.terminal_text import unprintable, widest

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def whole() -> Run:
    return whole_run()


# For programs


def test_show_begins_with_the_answer_that_heads_the_report(
    whole: Run, tmp_path: Path, capsys: Out
) -> None:
    save_run(whole, tmp_path)
    assert main(["show", f"--results={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    (part,) = build([whole]).parts
    first = " ".join(shown[: shown.index("\n\n")].split())
    assert part.answer is not None
    assert first == f"{part.answer.headline} {part.answer.more}".strip()
    assert first.startswith("Sum the losses")


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_json_has_the_agreed_keys_and_the_records_as_they_are(whole: Run) -> None:
    document = strict(json.dumps(run_summary.document(whole)))
    assert list(document) == [
        "schema", "run", "started", "finished", "interrupted", "machine", "settings", "counts",
        "canaries", "cells", "frameworks",
    ]  # fmt: skip
    assert document["cells"] == whole.records
    assert document["machine"] == whole.machine
    assert list(document["settings"]) == list(run_summary.SETTINGS)
    assert document["settings"]["launches"] == 6
    assert document["counts"]["outcomes"] == dict.fromkeys(OUTCOMES, 0) | {"ok": 308}
    verdicts = [r["verdict"] for r in whole.records]
    assert document["counts"]["verdicts"] == {w: verdicts.count(w) for w in VERDICTS}
    assert document["canaries"]["summary"] == "torch ok, jax ok"
    assert document["canaries"]["failed"] == []
    assert len(document["canaries"]["taken"]) == 8


def test_json_holds_each_pair_of_the_frameworks_with_its_interval(whole: Run) -> None:
    pairs = run_summary.document(whole)["frameworks"]
    # 2 sizes of 7 problems in 5 ways and of 6 in the 4 recipes that have a counterpart
    assert len(pairs) == 2 * (7 * 5 + 6 * 4)
    names = {(p["strategy"], p["jax_strategy"]) for p in pairs if p["kind"] == "freeze"}
    assert ("requires_grad_false", "grad_of_trainable") in names
    assert list(pairs[0]) == [
        "kind", "scenario", "variant", "size", "strategy", "phase", "device", "dtype",
        "precision_mode",
        "torch_mode", "jax_mode", "jax_strategy", "equal_modes", "ratio",
    ]  # fmt: skip
    assert pairs[0]["equal_modes"] is False
    assert 0 < pairs[0]["ratio"]["low"] < pairs[0]["ratio"]["estimate"] < pairs[0]["ratio"]["high"]


def test_json_has_no_number_that_json_does_not_know() -> None:
    cell = record(flops=float("nan"))
    saved = run(records=[cell], settings={"alpha": float("inf")}, machine={"id": "m", "x": 1e999})
    document = strict(json.dumps(run_summary.document(saved), allow_nan=False))
    assert document["cells"][0]["flops"] is None
    assert "nan" in document["cells"][0]["missing"]["flops"]
    assert document["settings"]["alpha"] is None
    assert document["machine"]["x"] is None


# The command


def test_newest_run_is_shown_and_one_by_its_id_or_file(tmp_path: Path, capsys: Out) -> None:
    old = save_run(run("20261121T010203-aaaaaa"), tmp_path)
    save_run(run("20261122T010203-bbbbbb", finished="2026-11-22T01:02:03+00:00"), tmp_path)
    for named, expected in (
        ([], "20261122T010203-bbbbbb"),
        (["20261121T010203-aaaaaa"], "20261121T010203-aaaaaa"),
        ([str(old)], "20261121T010203-aaaaaa"),
    ):
        assert main(["show", *named, f"--results={tmp_path}"]) == 0
        out = capsys.readouterr().out
        answer, empty, title = out.splitlines()[:3]
        assert answer == "Nothing was timed here that has two ways to compare."
        assert (empty, title) == ("", f"run {expected} on machine box-1")
        assert widest(out) <= 100
        report = out.partition("the whole report: ")[2].replace("\\\n", "")
        assert report.split()[:2] == ["cascade-bench", "report"]
        assert find_run(report.split()[2], tmp_path).stem == expected


def test_json_of_the_command_is_one_strict_object(tmp_path: Path, capsys: Out, whole: Run) -> None:
    path = save_run(whole, tmp_path)
    assert main(["show", str(path), "--json"]) == 0
    document = strict(capsys.readouterr().out)
    assert document["run"] == whole.id
    assert len(document["cells"]) == 308
    assert len(document["frameworks"]) == 118


def test_times_are_an_option(tmp_path: Path, capsys: Out, whole: Run) -> None:
    path = str(save_run(whole, tmp_path))
    assert main(["show", path]) == 0
    assert "the time of one call" not in capsys.readouterr().out
    assert main(["show", path, "--times"]) == 0
    assert "the time of one call" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b b"], "show takes one run, and these are 2; .*cascade-bench report a 'b b'$"),
        (
            ["nosuch"],
            "'nosuch' is neither a file nor the id .* newest there: 2.*-bbbbbb, 2.*-aaaaaa$",
        ),
        (["no/such.json"], "'no/such.json' is neither a file nor the id"),
        (["\x1b[31m"], r"'\\x1b\[31m' is neither"),
        (["y" * 5000], "y' is neither a file nor the id"),
        (["."], r"^cascade-bench: \. is a folder; give the JSON file of a run"),
    ],
)
def test_mistake_gets_one_line_and_exit_code_2(
    tmp_path: Path, capsys: Out, arguments: list[str], message: str
) -> None:
    for ending in ("aaaaaa", "bbbbbb"):
        save_run(run(f"20261121T010203-{ending}"), tmp_path)
    assert main(["show", *arguments, f"--results={tmp_path}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert unprintable(captured.err) == ""
    assert re.search(message, captured.err.strip())


def test_where_no_run_is_the_way_to_one_is_said(tmp_path: Path, capsys: Out) -> None:
    for named in ([], ["20261121T010203-ab12cd"]):
        assert main(["show", *named, f"--results={tmp_path}"]) == 2
        assert "pytest benchmarks --benchmark-only" in capsys.readouterr().err


def test_folder_whose_name_is_an_escape_sequence_writes_nothing(
    tmp_path: Path, capsys: Out
) -> None:
    assert main(["show", f"--results={tmp_path}/\x1b[31m"]) == 2
    assert unprintable(capsys.readouterr().err) == ""


def test_id_of_two_machines_runs_names_their_files(tmp_path: Path, capsys: Out) -> None:
    paths = [save_run(run(machine={"id": name}), tmp_path) for name in ("a", "b")]
    assert main(["show", "20261121T010203-ab12cd", f"--results={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert all(str(path) in error for path in paths)


def test_run_cut_short_or_with_figures_that_are_none_is_refused(
    tmp_path: Path, capsys: Out
) -> None:
    path = save_run(run(), tmp_path)
    whole = path.read_text()
    for text in (whole[: len(whole) // 2], whole.replace('"flops": null', '"flops": 1e999')):
        assert text != whole
        path.write_text(text)
        assert main(["show", str(path)]) == 2
        assert str(path) in capsys.readouterr().err


def test_samples_that_hold_no_time_cost_only_their_comparison(
    tmp_path: Path, capsys: Out, whole: Run
) -> None:
    key = sample_key(whole.records[0])
    samples = whole.samples | {key: [np.zeros(1)] * 6}
    path = save_run(replace(whole, samples=samples), tmp_path)
    assert main(["show", str(path), "--json"]) == 0
    assert len(strict(capsys.readouterr().out)["frameworks"]) == 117
    samples_path(path).unlink()
    assert main(["show", str(path)]) == 0
    assert "the samples are not beside the run" in capsys.readouterr().out


def test_run_in_two_precisions_is_shown_with_the_answer_of_the_first(
    tmp_path: Path, capsys: Out, whole: Run
) -> None:
    lower = [one | {"precision_mode": "bf16"} for one in whole.records]
    samples = {
        sample_key(one): whole.samples[sample_key(old)]
        for old, one in zip(whole.records, lower, strict=True)
        if sample_key(old) in whole.samples
    }
    both = replace(whole, records=[*whole.records, *lower], samples=whole.samples | samples)
    path = save_run(both, tmp_path)
    assert main(["show", str(path)]) == 0
    answer, *_ = capsys.readouterr().out.split("\n\n")
    assert answer.startswith("Sum the losses")


@pytest.mark.parametrize("kind", ["own_code", "check"])
def test_what_came_out_of_a_case_is_said_to_be_no_run(
    tmp_path: Path, capsys: Out, kind: str
) -> None:
    path = tmp_path / "20261121T010203-ab12cd.json"
    path.write_text(json.dumps({"schema": 1, "kind": kind, "frameworks": []}))
    assert main(["report", str(path)]) == 2
    said = "a case of your own, and no run; see it with: cascade-bench show FILE"
    assert said in capsys.readouterr().err
    assert main(["show", str(path)]) == 2
    assert "is no valid result of a case of your own (it lacks case" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_reader_that_has_seen_enough_is_no_error(
    tmp_path: Path, whole: Run, arguments: list[str]
) -> None:
    """The reader is gone before a long output, or before the few bytes written at exit."""
    path = save_run(whole if arguments else run(), tmp_path)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "benchmarks.cli", "show", str(path), *arguments]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False, env=buffered
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_letters_that_the_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cli", "show", str(path)],
        cwd=ROOT, capture_output=True, check=True, env={"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert b"torch eager | large | backward" in done.stdout


def test_result_of_a_case_of_ones_own_is_shown_as_try_shows_it(tmp_path: Path, capsys: Out) -> None:
    document, path = example_document(), tmp_path / "result.json"
    path.write_text(json.dumps(document))
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == own_code_table.table(document).splitlines()
    assert main(["show", str(path), "--json"]) == 0
    assert strict(capsys.readouterr().out) == document
    path.write_text(json.dumps(document | {"frameworks": [{"rows": [1]}]}))
    assert main(["show", str(path)]) == 2
    assert "is no valid result of a case of your own" in capsys.readouterr().err


def test_no_framework_is_imported(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    script = (
        "import sys; from benchmarks.cli import main; "
        f"main(['show', {str(path)!r}]); main(['show', {str(path)!r}, '--json']); "
        "print(sorted({'torch', 'jax', 'flax', 'optax', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
