"""A user's own case: what is found out about it, what every way is held to, what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.check_workers import quick_compile_flags
from benchmarks.harness.launches.launch import WorkerFailed
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.protocol import equivalence, flow
from tests.helpers.own_cases.checking import CASES, check


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("XLA_FLAGS", quick_compile_flags())
    with Pool() as pool:
        yield pool
    monkeypatch.undo()


@pytest.fixture
def examined(pool: Pool) -> Callable[..., CaseFiles]:
    def examine(framework: str, function: str, dtype: str = "float64") -> CaseFiles:
        pytest.importorskip(framework)
        source = {"file": str(CASES / f"{framework}_cases.py"), "function": function}
        case: Any = {"source": source, "folder": str(CASES), "seed": 0}
        files = pool.case_files(case, framework)
        if files.facts is None or files.dtype != dtype:
            launch = pool.launches(framework, "cpu", dtype, 1)[0]
            files.examine(launch, dtype, ["backward", "freeze"])
        return files

    return examine


@pytest.mark.parametrize(
    ("framework", "function"),
    [
        ("torch", "frozen"),
        *(
            pytest.param(framework, function, marks=pytest.mark.slow)
            for framework in ("torch", "jax")
            for function in ("regular", "frozen", "stages")
            if (framework, function) != ("torch", "frozen")
        ),
    ],
)
def test_every_way_is_held_to_the_reference(
    examined: Callable[..., CaseFiles], pool: Pool, framework: str, function: str
) -> None:
    found = check(pool, examined(framework, function), ("gradient", "step"))
    assert {why for _, why in found.values()} == {None}
    assert ("freeze/step/unfrozen" in found) == (function != "regular")
    assert ("backward/gradient/boundary_split" in found) == (function == "stages")


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_networks_in_series_are_cut_at_every_tensor_and_what_cannot_be_cut_is_said(
    examined: Callable[..., CaseFiles], pool: Pool, framework: str
) -> None:
    found = check(pool, examined(framework, "several"), ("gradient",))
    assert found["backward/gradient/boundary_split"] == ("ok", None)
    assert {why for _, why in found.values()} == {None}
    files = examined(framework, "opaque")
    said = files.known_facts["series"] or ""
    assert re.match(rf"{framework}_cases\.py:\d+: _Several returns Opaque, (in )?which ", said)
    found = check(pool, files, ("gradient",))
    assert {why for _, why in found.values()} == {None}
    assert "backward/gradient/boundary_split" not in found


@pytest.mark.slow
def test_dropout_noise_and_tied_weights_are_the_same_for_every_way(
    examined: Callable[..., CaseFiles], pool: Pool
) -> None:
    files = examined("torch", "tied_transformer")
    assert files.known_facts["networks"]["head"]["tied"] == [["head.weight", "embedding.weight"]]
    assert any("Tied weights" in note for note in files.known_facts["notes"])
    found = check(pool, files, ("gradient",))
    assert {why for _, why in found.values()} == {None}
    assert files.sum_error is not None
    assert files.sum_error < 1e-4  # other masks or other noise would differ by more


@pytest.mark.slow
def test_keys_and_functions_among_the_leaves_of_a_tree(
    examined: Callable[..., CaseFiles], pool: Pool
) -> None:
    files = examined("jax", "tree")
    assert files.known_facts["reach"]["code"] == ["encoder.w"]
    check(pool, files, ("gradient",))
    assert files.sum_error is not None
    assert files.sum_error < 1e-4


@pytest.mark.parametrize(
    ("framework", "state"),
    [("torch", "absent"), pytest.param("jax", "zero", marks=pytest.mark.slow)],
)
def test_flow_is_found_out_and_a_cut_is_told_from_no_dependence(
    examined: Callable[..., CaseFiles], framework: str, state: str
) -> None:
    facts = examined(framework, "cut").known_facts
    found = flow.of_case(facts["states"], facts["networks"])
    assert found == {
        "code": {"encoder": "value", "head": "absent"},
        "task": {"encoder": state, "head": "value"},
    }
    errors = facts["slope_errors"]
    assert errors["task"]["encoder"] is None  # the value moves, and no gradient arrives
    assert errors["code"]["head"] == 0.0
    assert max(errors["code"]["encoder"] or 1, errors["task"]["head"] or 1) < 1e-6


def test_a_backward_pass_that_is_not_the_slope_is_not_confirmed(
    examined: Callable[..., CaseFiles],
) -> None:
    error = examined("torch", "replaced").known_facts["slope_errors"]["task"]["net"]
    assert error is not None
    assert error > 0.01


@pytest.mark.slow
def test_what_runs_in_float32_alone_is_held_to_the_sum_in_float32(
    examined: Callable[..., CaseFiles], pool: Pool
) -> None:
    with pytest.raises(WorkerFailed, match="the kernel is of float32"):
        examined("torch", "only_float32")
    files = examined("torch", "only_float32", "float32")
    assert files.allowed == equivalence.ROUNDING_OF_LONG_SUMS
    found = check(pool, files, ("gradient",))
    assert {why for _, why in found.values()} == {None}


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("no_case", "no_case returns int, not a Case"),
        ("vector", r"the loss 'task' has shape \[2, 4\]"),
        ("nan", "the loss 'task' is nan at the start"),
        ("number", "the loss 'task' is float, not a tensor"),
        ("bare", "losses returns Tensor, not name → scalar"),
        ("wrong_name", "frozen names 'net.wieght', which no parameter begins with"),
        ("all_frozen", "nothing is trained"),
        ("apart", "no loss reaches the network 'other'"),
        ("twice", "networks 'net' and 'again' are the same module"),
        ("unheld", "random in a way that no seed holds"),
        ("ends", "SystemExit: code 3"),
        ("asks", "EOFError"),
        ("no_parameters", "nothing is trained: no network has a parameter"),
        ("no_function", "no_function is int, not a function"),
        ("absent", "defines no 'absent'; it defines regular,"),
    ],
)
def test_what_cannot_be_run_is_one_line_with_file_and_mend(
    examined: Callable[..., CaseFiles], function: str, says: str
) -> None:
    with pytest.raises(WorkerFailed, match=says) as caught:
        examined("torch", function)
    mistake = caught.value.case
    assert mistake is not None
    assert mistake["file"] == str(CASES / "torch_cases.py")
    assert "\n" not in str(caught.value)
    assert mistake["mend"]
    assert (mistake["line"] is None) == (function in ("absent", "no_function"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("no_case", "no_case returns int, not a Case"),
        ("vector", r"the loss 'task' has shape \[2, 4\]"),
        ("nan", "the loss 'task' is nan at the start"),
        ("whole_number", "the loss 'task' is of int64, which has no gradient"),
        ("concrete", "ConcretizationTypeError: Abstract tracer value"),
        ("bare", "losses returns an array, not name → scalar"),
        ("wrong_name", "frozen names 'net.v', which no parameter begins with"),
        ("all_frozen", "nothing is trained: every parameter is frozen"),
        ("apart", "no loss reaches the network 'other'"),
        ("twice", "networks 'net' and 'again' are the same object"),
        ("no_parameters", "is dict without a floating-point array"),
        ("unheld", "random in a way that no seed holds"),
        ("ends", "SystemExit: code 3"),
        ("asks", "EOFError"),
        ("no_function", "no_function is int, not a function"),
        ("absent", "defines no 'absent'; it defines no_case,"),
    ],
)
def test_what_cannot_be_run_in_jax_is_one_line_with_file_and_mend(
    pool: Pool, function: str, says: str
) -> None:
    pytest.importorskip("jax")
    source = {"file": str(CASES / "jax_mistakes.py"), "function": function}
    files = pool.case_files({"source": source, "folder": str(CASES), "seed": 0}, "jax")  # type: ignore[typeddict-item]
    with pytest.raises(WorkerFailed, match=says) as caught:
        files.examine(pool.launches("jax", "cpu", "float64", 1)[0], "float64", [])
    mistake = caught.value.case
    assert mistake is not None
    assert mistake["file"] == source["file"]
    assert "\n" not in str(caught.value)
    assert "impl_jax" not in str(caught.value)
    assert mistake["mend"]
    assert mistake["mend"].startswith("mend this line") is False
    assert (mistake["line"] is None) == (function in ("absent", "no_function"))


@pytest.mark.parametrize("framework", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_case_that_needs_a_gpu_says_that_there_is_none(pool: Pool, framework: str) -> None:
    module = pytest.importorskip(framework)
    has = module.cuda.is_available() if framework == "torch" else "gpu" in module.default_backend()
    if has:
        pytest.skip("there is one here")
    name = {"torch": "torch_cases.py", "jax": "jax_mistakes.py"}[framework]
    source: Any = {"file": str(CASES / name), "function": "on_a_gpu"}
    files = pool.case_files({"source": source, "folder": str(CASES), "seed": 0}, framework)
    with pytest.raises(WorkerFailed) as caught:
        files.examine(pool.launches(framework, "cpu", "float64", 1)[0], "float64", [])
    mistake = caught.value.case
    assert mistake is not None
    assert mistake["mend"].startswith("build the case on the CPU")


def test_case_that_prints_and_forks_is_examined_like_any_other(
    examined: Callable[..., CaseFiles],
) -> None:
    assert examined("torch", "prints_and_forks").known_facts["losses"] == ["task"]


@pytest.mark.slow
def test_losses_without_networks_are_refused_in_jax(examined: Callable[..., CaseFiles]) -> None:
    with pytest.raises(WorkerFailed, match="losses takes the batch alone"):
        examined("jax", "closes_over")


def test_a_case_that_differs_from_process_to_process_is_refused(
    examined: Callable[..., CaseFiles], pool: Pool
) -> None:
    files = examined("torch", "of_this_process")
    with pytest.raises(WorkerFailed, match="batch differs from process to process"):
        files.open_in(pool.launches("torch", "cpu", "float32", 1)[0])
