"""References are kept from session to session, by all that they depend on, and only what agreed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import reference_store
from benchmarks.harness.launches.float64_references import Float64References, reached
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.unreliable import ReferencesDisagree
from benchmarks.harness.protocol import flow
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays
from benchmarks.machine import environment

PROBLEM = ("linear_cascade", "-", "seed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(reference_store.VARIABLE, str(tmp_path))
    reference_store.surroundings.cache_clear()
    yield tmp_path / "cascade-bench-references"
    reference_store.surroundings.cache_clear()


class Worker:
    """Answer as a float64 worker does, and count the gradients that it was asked for."""

    def __init__(self, framework: str, value: float = 1.0) -> None:
        self.framework, self.value, self.limit, self.computed = framework, value, 9.0, 0

    def ask(self, op: str, timeout: float | None = None, **arguments: Any) -> Any:
        if op == "open":
            self.problem_spec = arguments["facts"]
        if op == "flow":
            names = reached(self.problem_spec["reach"])
            blocked = flow.BLOCKED[self.framework]
            return {
                loss: {n: "value" if n in own else blocked for n in names}
                for loss, own in self.problem_spec["flow"].items()
            }
        if op == "gradients":
            self.computed += 1
            names = reached(self.problem_spec["reach"])
            arrays = {f"gradient/{n}": np.full((2, 2), self.value + i) for i, n in enumerate(names)}
            write_arrays(arguments["out"], arrays)
        return {}


def session(*workers: Worker, size: str = "seed", stored: bool = True) -> Any:
    """Compute the references of a problem as one session does; return what it found."""
    files = ProblemFiles(PROBLEM[0], PROBLEM[1], size, stored=stored)
    try:
        launches: Any = {worker.framework: worker for worker in workers}
        paths = files.references.compute(launches, "backward", "gradient")
        return {f: read_arrays(path) for f, path in paths.items()}, dict(files.references.flows)
    finally:
        files.close()


def counts(**changes: Any) -> list[int]:
    """Run a session of both frameworks, and return how many gradients each computed."""
    workers = [Worker("torch"), Worker("jax")]
    session(*workers, **changes)
    return [worker.computed for worker in workers]


def test_second_session_takes_over_what_the_first_has_computed() -> None:
    first = session(Worker("torch"), Worker("jax"))
    workers = [Worker("torch"), Worker("jax")]
    second = session(*workers)
    assert [worker.computed for worker in workers] == [0, 0]
    assert second[1] == first[1]
    assert set(second[1]) == {"torch", "jax"}
    for framework, arrays in first[0].items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(second[0][framework][name], array)


def test_another_problem_code_or_release_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counts() == [1, 1]
    assert counts(size="small") == [1, 1]
    assert counts() == [0, 0]
    reference_store.surroundings.cache_clear()
    monkeypatch.setattr(reference_store, "CODE", ("benchmarks/scenarios",))
    assert counts() == [1, 1]
    reference_store.surroundings.cache_clear()
    monkeypatch.setattr(environment, "installed", lambda name: "9.9")
    assert counts() == [1, 1]


def test_other_weights_are_another_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    counts()
    drawn = ProblemFiles.__init__.__globals__["draw_arrays"]

    def other(*arguments: Any) -> Any:
        weights, data = drawn(*arguments)
        return {name: array + 1e-3 for name, array in weights.items()}, data

    monkeypatch.setitem(ProblemFiles.__init__.__globals__, "draw_arrays", other)
    assert counts() == [1, 1]


def test_references_that_disagree_are_not_kept(folder: Path) -> None:
    with pytest.raises(ReferencesDisagree):
        session(Worker("torch"), Worker("jax", 1.001))
    assert not list(folder.rglob("*.npz"))


def test_stored_reference_that_was_changed_disagrees_with_the_other(folder: Path) -> None:
    counts()
    place = next(iter(sorted(folder.rglob("*.npz"))))
    arrays = read_arrays(place)
    name = next(name for name in arrays if name.startswith("gradient/"))
    write_arrays(place, arrays | {name: arrays[name] * 1.001})
    with pytest.raises(ReferencesDisagree):
        session(Worker("torch"), Worker("jax"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_damaged_file_is_computed_anew(folder: Path, content: bytes) -> None:
    counts()
    for place in folder.rglob("*.npz"):
        place.write_bytes(content)
    assert counts() == [1, 1]
    assert counts() == [0, 0]


def test_it_can_be_switched_off_and_only_sessions_that_measure_use_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counts(stored=False) == [1, 1]
    monkeypatch.setenv(reference_store.VARIABLE, "off")
    assert counts() == [1, 1]
    assert not folder.exists()
    with Pool() as pool:
        assert isinstance(pool.files(*PROBLEM).references, Float64References)
        assert pool.files(*PROBLEM).references._store is not None


def test_folder_that_cannot_be_written_costs_nothing(folder: Path) -> None:
    folder.write_text("a file in the way")
    assert counts() == [1, 1]


def test_its_size_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_store, "MOST_BYTES_OF_ONE", 10)
    assert counts() == [1, 1]
    assert not list(folder.rglob("*.npz"))
