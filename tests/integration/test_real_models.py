"""Models of real packages, with random weights: every way is right, and so is every step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.harness.launches.check_workers import quick_compile_flags
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.protocol.case_messages import CaseJob, CaseSource
from benchmarks.own_code import description
from benchmarks.own_code.measure import Measured
from benchmarks.own_code.request import IMPORTS, _framework, _read_source
from benchmarks.paths import ROOT
from results.own_code.findings import find
from tests.helpers.own_cases.checking import check

FOLDER = ROOT / "examples" / "models"
MODELS = sorted(path.stem for path in FOLDER.glob("*.py"))
FEWEST = 10
# what its own rounding hides from central differences along random directions, by loss
COARSE = {
    "gpt2": {"task"},
    "gpt2_lora": {"task"},
    "llama": {"task"},
    "t5": {"task", "code"},
    "torch_transformer": {"code"},  # LayerNorm's output has a fixed size: its gradient is 0
    "vit": {"task", "patches"},
}
FROZEN = {"gpt2_lora", "llama", "resnet", "equinox_mlp"}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("XLA_FLAGS", quick_compile_flags())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with Pool() as pool:
        yield pool
    monkeypatch.undo()


def test_there_are_enough_models_and_each_is_short() -> None:
    assert len(MODELS) >= FEWEST
    assert set(COARSE) | FROZEN <= set(MODELS)
    for name in MODELS:
        lines = (FOLDER / f"{name}.py").read_text().splitlines()
        assert len(lines) <= 60, name
        assert f"cascade-bench try {name}.py" in lines
        assert f"cascade-bench check {name}.py" in lines
        assert any("step=step" in line for line in lines), name


def case_of(name: str) -> tuple[CaseJob, str]:
    """Return a model's case and its framework; skip where one of its packages is not installed."""
    path = FOLDER / f"{name}.py"
    imported = _read_source(path.read_bytes(), str(path))[1]
    framework = _framework(imported, str(path))
    for package in sorted(imported & IMPORTS[framework]):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[models]'")
    source: CaseSource = {"file": str(path), "function": "make"}
    return {"source": source, "folder": str(FOLDER), "seed": 0}, framework


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_way_is_right_and_central_differences_confirm_it(pool: Pool, name: str) -> None:
    case, framework = case_of(name)
    files = pool.case_files(case, framework)
    files.limit = 300.0
    files.examine(pool.launches(framework, "cpu", "float64", 1)[0], "float64", ["freeze"])
    found = check(pool, files, ("gradient",))
    assert {why for _, why in found.values()} == {None}
    assert ("freeze/gradient/unfrozen" in found) == (name in FROZEN)
    notes = description._notes(Measured(framework, files), {})
    assert not [note for note in notes if "is not the slope" in note or "it is cut" in note]
    assert set(files.known_facts["coarse"]) <= COARSE.get(name, set())
    pool.end_workers()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_in_a_right_training_step(pool: Pool, name: str) -> None:
    case, framework = case_of(name)
    with pool.separate_worker(framework, "cpu", "float32", {}) as worker:
        worker.wait_until_ready()
        seen = worker.ask("check_case", 300.0, case=case, steps=4)["observation"]
    assert find(seen) == []
    moving = {one["name"] for one in seen["tensors"] if any(one["moved"])}
    trained = {one["name"] for one in seen["tensors"] if one["kind"] == "parameter"}
    trained -= {one["name"] for one in seen["tensors"] if one["frozen"]}
    assert moving & trained
    assert not moving & {one["name"] for one in seen["tensors"] if one["frozen"]}
