"""What cells are held to: the problem that was asked for, and references that agree."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.launches.problems import ProblemFiles, ReferencesDisagree, disagreement
from benchmarks.harness.measurement.cell_results import CellResults
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays

WEIGHT = np.array([[3.0, 4.0]])


@pytest.fixture
def files() -> Iterator[ProblemFiles]:
    made = ProblemFiles("linear_cascade", "-", "seed")
    yield made
    made.close()


def shown(
    files: ProblemFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, off: float
) -> dict[str, str]:
    """The references of two frameworks, the second of which is off by this share."""
    arrays = {"torch": WEIGHT, "jax": WEIGHT * (1 + off)}

    def begun(framework: Any, kind: str) -> dict[str, Any]:
        return {"gradient/net1.w": arrays[framework]}

    def kept(framework: Any, kind: str, step: bool, found: dict[str, Any]) -> str:
        path = tmp_path / f"{framework}-{kind}-{step}.npz"
        write_arrays(path, found)
        return str(path)

    monkeypatch.setattr(files, "_begun", begun)
    monkeypatch.setattr(files, "_kept", kept)
    return files.reference({name: name for name in arrays}, "backward", "gradient")  # type: ignore[misc]


def test_references_that_differ_by_more_than_rounding_stop_the_group(
    files: ProblemFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ReferencesDisagree, match=r"net1\.w: relative difference 2e-12"):
        shown(files, monkeypatch, tmp_path, off=2e-12)


def test_each_framework_is_held_to_its_own_reference(
    files: ProblemFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = shown(files, monkeypatch, tmp_path, off=5e-13)
    first, second = (read_arrays(found[name])["gradient/net1.w"] for name in ("torch", "jax"))
    assert np.array_equal(first, WEIGHT)
    assert not np.array_equal(second, WEIGHT)


def test_references_of_both_frameworks_are_computed_at_once(
    files: ProblemFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=60)

    def begun(framework: Any, kind: str) -> dict[str, Any]:
        both.wait()  # for the other one: raises where that has not begun
        return {}

    monkeypatch.setattr(files, "_begun", begun)
    monkeypatch.setattr(files, "_kept", lambda *_: files.weights)
    found = files.reference({"torch": "torch", "jax": "jax"}, "backward", "gradient")  # type: ignore[dict-item]
    assert set(found) == {"torch", "jax"}


def test_disagreement_is_found_in_any_tensor(files: ProblemFiles) -> None:
    one = {f"gradient/net{i}.w": WEIGHT for i in (1, 2)}
    assert disagreement(files, one, one) is None
    for name in one:
        said = disagreement(files, one, one | {name: WEIGHT * 1.001})
        assert said is not None
        assert name.removeprefix("gradient/") in said


def test_another_scenario_variant_or_size_is_another_problem() -> None:
    fresh, seen = pool.Pool(), []
    asked = [
        ("stacked_cascade", "n2", "seed"),
        ("stacked_cascade", "n4", "seed"),
        ("stacked_cascade", "n4", "small"),
        ("linear_cascade", "-", "small"),
    ]
    for scenario, variant, size in asked:
        files = fresh.files(scenario, variant, size)
        assert fresh.files(scenario, variant, size) is files
        seen.append((files.spec.name, files.variant, files.size))
    fresh.close()
    assert seen == asked


# The peak


def results(products: dict[str, Any], flops: dict[str, float]) -> CellResults:
    made = CellResults(flops)
    made.products = products
    for name, counted in flops.items():
        made[name].figures = {"flops": counted}
    return made


def test_peak_is_meant_only_where_matrix_products_are_the_work_and_large() -> None:
    products = {"all": [[5e7, 2]], "small": [[4e7, 2]], "half": [[5e7, 2]]}
    made = results(products, {"all": 1.04e8, "small": 0.8e8, "half": 2e8, "none": 1e9})
    assert [name for name in made.alive() if made.has_matrix_peak(name)] == ["all"]


def test_peak_seconds_are_the_best_times_of_each_product_as_often_as_it_is_computed() -> None:
    """Two of 1 s and one of 4 s; a sibling with half the FLOPs takes half of that."""
    products = {"whole": [[100.0, 2], [300.0, 1]], "half": [[250.0, 1]]}
    made = results(products, {"whole": 500.0, "half": 250.0})
    best = {"product/0": 1.0, "product/1": 4.0}
    assert made.peak_seconds("whole", "whole", best) == pytest.approx(6.0)
    assert made.peak_seconds("half", "whole", best) == pytest.approx(3.0)


def test_gradient_error_is_the_worst_of_all_launches_and_figures_the_firsts() -> None:
    made = results({}, {"summed": 0.0})
    made["summed"].figures = {}
    for first_call, relative in ((9.0, 1e-7), (1.0, 3e-7), (2.0, 2e-7)):
        parameters = {"net1.w": relative, "net1.b": 1e-9 / first_call}
        error = {"relative": relative, "tensor": "net1.w", "parameters": parameters}
        found: Any = {
            "first_call_seconds": first_call,
            "equivalence": "pass",
            "gradient_error": error,
        }
        made.add_prepared({"summed": found})
    figures = made["summed"].figures
    assert figures["gradient_error"]["relative"] == 3e-7
    assert figures["gradient_error"]["parameters"] == {"net1.w": 3e-7, "net1.b": 1e-9}
    assert figures["first_call_seconds"] == 9.0
