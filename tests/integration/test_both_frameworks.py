"""Both sides of one file, in workers: the same weights, losses and gradients, or what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.check_workers import quick_compile_flags
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.case_messages import BY_TORCH_PARAMETERS
from benchmarks.own_code import pairing
from results.own_code.schema import Pair
from tests.helpers.own_cases.checking import CASES

Prove = Callable[[str], tuple[Pair, CaseFiles, CaseFiles]]


@pytest.fixture(scope="module")
def workers() -> Iterator[tuple[Pool, dict[str, Launch]]]:
    for framework in ("torch", "jax"):
        pytest.importorskip(framework)
    with pytest.MonkeyPatch.context() as monkeypatch, Pool() as pool:
        monkeypatch.setenv("XLA_FLAGS", quick_compile_flags())
        where = {f: pool.launches(f, "cpu", "float64", 1)[0] for f in ("torch", "jax")}
        yield pool, where


@pytest.fixture
def prove(workers: tuple[Pool, dict[str, Launch]]) -> Prove:
    pool, launches = workers

    def examined(framework: str, name: str, **start: str) -> CaseFiles:
        source = {"file": str(CASES / "both_cases.py"), "function": f"{framework}_{name}"}
        case: Any = {"source": source, "folder": str(CASES), "seed": 0, **start}
        files = pool.case_files(case, framework)
        hand_over = framework == "torch"
        files.examine(launches[framework], "float64", [], hand_over=hand_over)
        return files

    def both(name: str) -> tuple[Pair, CaseFiles, CaseFiles]:
        torch = examined("torch", name)
        jax = examined("jax", name, start=str(torch.start))
        return pairing.compare_sides(torch, jax), torch, jax

    return both


def test_sides_start_from_the_same_weights_and_batch_and_agree(prove: Prove) -> None:
    pair, torch, jax = prove("regular")
    assert pair["problem"] is None
    assert pair["allowed"] == pairing.FLOAT64_TOLERANCE
    assert max(pair["loss_error"], pair["gradient_error"]) < 1e-13
    assert ["encoder.layers.4.kernel", "transposed", "encoder.4.weight"] in pair["weights"]
    assert ["encoder.layers.2.scale", "as it is", "encoder.2.weight"] in pair["weights"]
    assert pair["batch"] == ["x", "y"]  # JAX's held zeros; torch's x is of float64
    assert torch.known_facts["values"] == pytest.approx(jax.known_facts["values"], rel=1e-13)


def test_a_function_of_weights_may_join_add_and_shift_them(prove: Prove) -> None:
    pair, torch, jax = prove("tree")
    assert pair["problem"] is None
    assert pair["gradient_error"] < 1e-13
    told = {name: how for name, how, *_ in pair["weights"]}
    assert told == {
        "cell.w": "rearranged", "cell.gain": "shifted", "cell.b": "by the function weights",
    }  # fmt: skip
    true, found = torch.gradient(), jax.gradient(BY_TORCH_PARAMETERS)
    assert set(found) == set(true) | {"cell.unused"}  # which no loss of torch reaches
    for name, array in true.items():
        assert np.allclose(array, found[name], rtol=1e-12, atol=1e-18)


@pytest.mark.slow
def test_layouts_and_statistics_of_images_agree(prove: Prove) -> None:
    pair, _, _ = prove("convolution")
    assert pair["problem"] is None
    assert pair["gradient_error"] < 1e-13
    told = {name: (how, *origins) for name, how, *origins in pair["weights"]}
    assert told["net.layers.0.kernel"] == ("transposed", "net.0.weight")
    assert told["net.layers.1.mean"] == ("as it is", "net.1.running_mean")
    assert told["net.layers.4.kernel"] == ("rearranged", "net.4.weight")
    assert pair["batch"] == []


DIFFER = {
    "epsilon": "from the same weights the loss 'code' is",
    "dropout": "the case is random, and the frameworks draw different numbers",
    "frozen": "encoder.0.bias (encoder.layers.0.bias in JAX) is frozen in torch and trained in JAX",
    "less": "the loss 'code' of torch is missing in JAX; return it from that case too, or",
    "wrong_weights": "from the same weights the loss 'code' is",
}


@pytest.mark.parametrize(
    "name",
    ["epsilon", *(pytest.param(n, marks=pytest.mark.slow) for n in DIFFER if n != "epsilon")],
)
def test_what_differs_is_named(prove: Prove, name: str) -> None:
    pair, _, _ = prove(name)
    assert pair["problem"] is not None
    assert DIFFER[name] in pair["problem"]
    assert "--framework torch" in pair["problem"]


def test_torch_hands_over_every_number_that_it_starts_from(prove: Prove) -> None:
    _, torch, _ = prove("tree")
    start = read_arrays(torch.start)
    assert {name for name in start if name.startswith("unused/")} == {"unused/cell.unused"}
    assert start["weights/cell.ih.weight"].dtype == np.float64
    assert start["batch/0"].shape == (12, 6)
