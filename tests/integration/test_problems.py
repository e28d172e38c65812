"""Test the files of a problem, its float64 references, and the results of a group's cells."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.float64_references import disagreement
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.unreliable import (
    IncompleteReference,
    ReferencesDisagree,
    WronglyDeclared,
)
from benchmarks.harness.measurement.cell_results import CellResults
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays

NAME, WEIGHT = "linear_cascade", np.array([[3.0, 4.0]])
WEIGHT_NAME = "net1.linear.weight"
OTHERS = ("net1.linear.bias", "net2.linear.weight", "net2.linear.bias")


class FakeLaunch:
    """Answer the requests of computing a reference without a worker.

    Args:
        framework: whose worker this stands for.
        weight: the gradient that it computes for `WEIGHT_NAME`; all others are ones.
        before: called before the gradient is computed.
    """

    def __init__(
        self, framework: str, weight: np.ndarray, before: Callable[[], Any] = lambda: None
    ) -> None:
        self.framework, self.limit = framework, 300.0
        self.weight, self.before = weight, before
        self.names = [WEIGHT_NAME, *OTHERS]
        self.changes: dict[str, Any] = {}  # parameter → its gradient, None: it has none

    def ask(self, op: str, timeout: float = 300.0, **arguments: Any) -> dict[str, Any]:
        if op == "gradients":
            self.before()
            arrays = {name: np.ones(2) for name in self.names} | {WEIGHT_NAME: self.weight}
            arrays = {name: arrays[name] for name in self.names} | self.changes
            kept = {f"gradient/{name}": a for name, a in arrays.items() if a is not None}
            write_arrays(arguments["out"], kept)
        else:
            assert op in ("open", "close")
        return {}


@pytest.fixture
def files() -> Iterator[ProblemFiles]:
    """Yield a problem whose flow counts as proven in both frameworks."""
    files = ProblemFiles(NAME, "-", "seed", {(NAME, "-"): {"torch": {}, "jax": {}}})
    yield files
    files.close()


def compute(files: ProblemFiles, *launches: FakeLaunch) -> dict[str, str]:
    """Compute the references of these launches for phase ``gradient``."""
    by_framework: Any = {launch.framework: launch for launch in launches}
    return files.references.compute(by_framework, "backward", "gradient")


def test_references_that_differ_by_more_than_rounding_stop_the_group(files: ProblemFiles) -> None:
    with pytest.raises(ReferencesDisagree, match=r"weight: relative difference 2e-12"):
        compute(files, FakeLaunch("torch", WEIGHT), FakeLaunch("jax", WEIGHT * (1 + 2e-12)))


def test_each_framework_is_held_to_its_own_reference(files: ProblemFiles) -> None:
    paths = compute(files, FakeLaunch("torch", WEIGHT), FakeLaunch("jax", WEIGHT * (1 + 5e-13)))
    torch, jax = (read_arrays(paths[name])[f"gradient/{WEIGHT_NAME}"] for name in ("torch", "jax"))
    assert np.array_equal(torch, WEIGHT)
    assert not np.array_equal(jax, WEIGHT)


def test_references_of_both_frameworks_are_computed_at_once(files: ProblemFiles) -> None:
    both = threading.Barrier(2, timeout=60)  # raises where the other does not begin meanwhile
    launches = (FakeLaunch(framework, WEIGHT, both.wait) for framework in ("torch", "jax"))
    assert set(compute(files, *launches)) == {"torch", "jax"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net2.linear.bias": None}, "reference lacks the gradient of net2.linear.bias"),
        ({"net3.w": WEIGHT}, "reference has a gradient of net3.w, which no loss reaches"),
    ],
)
def test_reference_must_have_every_gradient_that_there_is(
    files: ProblemFiles, changes: dict[str, Any], message: str
) -> None:
    """One framework alone has no other to differ from, and its cells lack the same gradient."""
    launch = FakeLaunch("torch", WEIGHT)
    launch.changes = changes
    with pytest.raises(IncompleteReference, match=re.escape(message)) as raised:
        compute(files, launch)
    assert str(raised.value).startswith("impl_torch/cascade.py: linear_cascade: the float64")


def test_reference_of_a_freeze_has_the_frozen_gradients_too() -> None:
    files = ProblemFiles("frozen_prefix", "-", "seed", {("frozen_prefix", "-"): {"torch": {}}})
    frozen, launch = files.problem_spec["frozen"], FakeLaunch("torch", WEIGHT)
    launch.names = [name for names in files.problem_spec["flow"].values() for name in names]
    launches: Any = {"torch": launch}
    with pytest.raises(IncompleteReference, match=r"gradient of front\.\S+, \S+, \S+ and 13 more$"):
        files.references.compute(launches, "freeze", "gradient")
    launch.names += frozen
    assert set(files.references.compute(launches, "freeze", "gradient")) == {"torch"}
    files.close()


def test_elements_that_are_noise_in_both_references_are_marked_in_their_files(
    files: ProblemFiles,
) -> None:
    torch, jax = np.array([[3.0, 1e-17]]), np.array([[3.0, -2e-17]])
    paths = compute(files, FakeLaunch("torch", torch), FakeLaunch("jax", jax))
    for path in paths.values():
        assert read_arrays(path)[f"zero/{WEIGHT_NAME}"].tolist() == [[False, True]]


def test_gradient_that_is_declared_zero_and_is_not_stops_the_group(files: ProblemFiles) -> None:
    files.spec = replace(files.spec, zero_gradient=(WEIGHT_NAME,))
    with pytest.raises(WronglyDeclared, match=r"linear\.weight: zero_gradient declares"):
        compute(files, FakeLaunch("torch", WEIGHT))


def test_disagreement_is_found_in_any_tensor(files: ProblemFiles) -> None:
    one = {f"gradient/net{i}.w": WEIGHT for i in (1, 2)}
    assert disagreement(files, one, one) is None
    for name in one:
        message = disagreement(files, one, one | {name: WEIGHT * 1.001})
        assert message is not None
        assert name.removeprefix("gradient/") in message


def test_another_scenario_variant_or_size_is_another_problem() -> None:
    pool, problems = Pool(), []
    expected = [
        ("stacked_cascade", "n2", "seed"),
        ("stacked_cascade", "n4", "seed"),
        ("stacked_cascade", "n4", "small"),
        ("linear_cascade", "-", "small"),
    ]
    for scenario, variant, size in expected:
        files = pool.files(scenario, variant, size)
        assert pool.files(scenario, variant, size) is files
        problems.append((files.spec.name, files.variant, files.size))
    pool.close()
    assert problems == expected


# The results of cells


def results_of(products: dict[str, Any], flops: dict[str, float]) -> CellResults:
    """Return the results of cells with these matrix products and FLOPs."""
    results = CellResults(flops)
    results.products = products
    for name, counted in flops.items():
        results[name].figures = {"flops": counted}
    return results


def test_only_cells_that_are_mostly_large_matrix_products_have_a_peak() -> None:
    products = {"all": [[5e7, 2]], "small": [[4e7, 2]], "half": [[5e7, 2]]}
    results = results_of(products, {"all": 1.04e8, "small": 0.8e8, "half": 2e8, "none": 1e9})
    assert [name for name in results.alive() if results.has_matrix_peak(name)] == ["all"]


def test_peak_seconds_are_the_best_times_of_each_product_as_often_as_it_is_computed() -> None:
    """Take two products of 1 s and one of 4 s; a sibling with half the FLOPs takes half as long."""
    products = {"whole": [[100.0, 2], [300.0, 1]], "half": [[250.0, 1]]}
    results = results_of(products, {"whole": 500.0, "half": 250.0})
    best = {"product/0": 1.0, "product/1": 4.0}
    assert results.peak_seconds("whole", "whole", best) == pytest.approx(6.0)
    assert results.peak_seconds("half", "whole", best) == pytest.approx(3.0)


def test_gradient_error_is_the_worst_of_all_launches_and_figures_the_firsts() -> None:
    results = results_of({}, {"summed": 0.0})
    results["summed"].figures = {}
    for first_call, relative in ((9.0, 1e-7), (1.0, 3e-7), (2.0, 2e-7)):
        parameters = {"net1.w": relative, "net1.b": 1e-9 / first_call}
        error = {"relative": relative, "tensor": "net1.w", "parameters": parameters}
        prepared: Any = {
            "first_call_seconds": first_call,
            "equivalence": "pass",
            "gradient_error": error,
        }
        results.add_prepared({"summed": prepared})
    figures = results["summed"].figures
    assert figures["gradient_error"]["relative"] == 3e-7
    assert figures["gradient_error"]["parameters"] == {"net1.w": 3e-7, "net1.b": 1e-9}
    assert figures["first_call_seconds"] == 9.0
