"""Test the demonstrations: faults fit the sources, and the page shows the results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.demonstration import demonstrate, releases
from benchmarks.evaluation.demonstration import page as demonstrated
from benchmarks.evaluation.demonstration.faults import COMMENT, FAULTS, insert_faults
from benchmarks.evaluation.trial import change_points, machines
from benchmarks.evaluation.trial import plan as trial_plan
from benchmarks.paths import ROOT
from benchmarks.regression import plan
from results.regression.document import Finding, analysis
from results.terminal import regression_table
from tests.helpers.factories.comparisons import comparison
from tests.helpers.factories.traces import recording


def test_every_fault_has_its_place_and_its_cell(tmp_path: Path) -> None:
    for fault in (COMMENT, *FAULTS):
        target = tmp_path / fault.file
        target.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / fault.file, target)
    insert_faults((COMMENT, *FAULTS), tmp_path)
    for fault in FAULTS:
        compile((tmp_path / fault.file).read_text(), fault.file, "exec")
    names = {
        Finding(vars(cell), "", "", {}, None, None).name
        for cell in plan.choose_cells(dict.fromkeys(("kind", "size")), "cpu", ["torch", "jax"])
    }
    assert {fault.cell for fault in FAULTS} <= names
    with pytest.raises(ValueError, match="has 0 places for"):
        insert_faults(FAULTS, tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.evaluation.trial.plan.TRIALS", 40)
    monkeypatch.setattr(demonstrate, "SLOWED", (0.10,))


@pytest.mark.slow
def test_the_replay_is_silent_on_unchanged_code_and_finds_what_is_slower(
    tmp_path: Path, small: None
) -> None:
    recording(tmp_path, 16)
    constants = {"constants": {metric: {"quantile": 5.0, "drop": 3} for metric in ("wall", "cpu")}}
    (tmp_path / "replay.json").write_text(json.dumps(constants))
    conditions = demonstrate.replay_comparisons(tmp_path)
    for one in conditions.values():
        assert one["comparisons"] == 40
        assert one["alarms"] <= 2
        assert min(one["found"]["0.1"]["cells"]) > 0.9
        assert one["found"]["0.1"]["everything"] > 0.9
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "replay.json").write_text(json.dumps({"a machine": conditions}))
    page = demonstrated.page(tmp_path / "out")
    assert "| a machine | quiet | 40 |" in page
    assert "| a machine | bursty | 40 |" in page
    assert page.count("Not run yet") == 3


def test_every_machine_whose_traces_there_are_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []
    monkeypatch.setattr(demonstrate, "replay_comparisons", lambda folder: folders.append(folder))
    monkeypatch.setattr("sys.argv", ["demonstrate", "replay", "--out", str(tmp_path)])
    assert demonstrate.main() == 0
    assert folders == machines.recorded(trial_plan.FOLDER)
    assert len(folders) >= 2
    written = json.loads((tmp_path / "replay.json").read_text())
    assert list(written) == [machines.in_words(folder) for folder in folders]


def test_no_traces_are_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--traces", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["demonstrate", "replay", *folders])
    with pytest.raises(SystemExit, match="2"):
        demonstrate.main()
    assert f"no traces of a machine below {tmp_path}" in capsys.readouterr().err


VERSIONS = {"torch": "2.13.0", "jax": "0.10.2", "jaxlib": "0.10.2", "flax": "0.12.8"}


def saved_json(document: dict[str, Any], **about: Any) -> str:
    return json.dumps(regression_table.document_json(document, analysis(document)) | about)


def test_the_page_says_what_was_found_and_what_was_not(tmp_path: Path) -> None:
    (tmp_path / "unchanged-0.json").write_text(saved_json(comparison(), code=0, minutes=9.5))
    slower = comparison({2: 0.3})
    (tmp_path / "unchanged-1.json").write_text(saved_json(slower, code=1, minutes=9.0))
    (tmp_path / "faulty-0.json").write_text(saved_json(comparison({3: 0.3}), code=1, minutes=9.0))
    upgraded = comparison({8: 0.3})
    sides = {"base": {"versions": {**VERSIONS, "jax": "0.10.0"}}, "head": {"versions": VERSIONS}}
    upgraded["sides"] = sides
    (tmp_path / "upgrade-0.json").write_text(saved_json(upgraded, code=1, minutes=9.0))
    page = demonstrated.page(tmp_path)
    assert "Base: torch 2.13.0, jax 0.10.0, jaxlib 0.10.2, flax 0.12.8. Head: torch 2.13.0" in page
    assert "| everything in torch | equal | " in page
    assert len(re.findall(r"\| slower \| 1\.2[89]", page)) == 1
    assert "2 sessions of the default ten cells; 1 raised an alarm." in page
    assert "| 1 | 0 | 24 | 9.5 | 10 | 0 | 0 | 0 |" in page
    assert "torch gan small eager gradient summed" in page  # called slower, and none of the faults
    assert "**not found:** equal" in page
    assert "**not measured**" in page


@pytest.mark.slow
def test_another_release_stands_before_all_that_is_the_same(tmp_path: Path) -> None:
    """The new environment's own packages come first, all others come from this one."""
    wheel = tmp_path / "rich-0.0.1-py3-none-any.whl"
    about = "rich-0.0.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("rich.py", "")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: rich\nVersion: 0.0.1\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", f"rich.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n")
    python = releases.environment(tmp_path / "older", (str(wheel),))
    code = "import numpy, rich; from importlib.metadata import version; print(version('rich'))"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "0.0.1\n", done.stderr


def test_the_table_of_change_points_tells_alarms_from_finds() -> None:
    case = change_points.Case(0.0, 60, 0.20, 30)
    assert change_points.hit_rate(change_points.ours, case, 20) > 0.8
    assert change_points.hit_rate(change_points.ours, case._replace(at=None, step=0.0), 20) < 0.2
    assert change_points.hit_rate(lambda _: [(5, 0.2)], case, 5) == 0.0
    assert change_points.hit_rate(lambda _: [(31, -0.2)], case, 5) == 0.0
    assert change_points.hit_rate(lambda _: [(5, 0.2)], case._replace(at=None), 5) == 1.0
    draw_series = change_points.draw_series(case, 2000)
    assert draw_series[:, :30].std() == pytest.approx(change_points.NOISE, rel=0.05)
