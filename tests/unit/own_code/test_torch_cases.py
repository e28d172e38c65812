"""Cases in PyTorch of less usual, and legal, make: opened, examined and run in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker.slopes import AGREES, described
from cascade_bench import Case
from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
nn: Any = LazyModule("torch.nn")
case_module: Any = LazyModule("impl_torch.case")
case_values: Any = LazyModule("impl_torch.case_values")
examination: Any = LazyModule("impl_torch.case_examination")
session: Any = LazyModule("impl_torch.session")

Make = Callable[[], Case]


@pytest.fixture(autouse=True, scope="module")
def threads() -> Any:
    """Put back the number of threads that a session sets."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def examined(make: Make, dtype: str = "float64") -> tuple[Any, dict[str, Any]]:
    """Return the open case, and what its examination finds out."""
    own = session.Session("cpu", dtype, "unused")  # no folder is made for compiled code
    built = case_module.build(make, 0)
    with examination.precision(own.dtype):
        opened = case_module.OpenCase(own, built, 0, None)
        facts, _ = examination.examine(opened, 0, described)
    return opened, facts


def program(make: Make, kind: str, way: str, phase: str) -> Any:
    """Return a program of the case in float32, set to its start."""
    opened, facts = examined(make, "float32")
    known = case_module.OpenCase(opened.session, opened.case, 0, facts)
    made = known.program(kind, way, phase)
    made.reset()
    return made


def of(network: Any, losses: Any = None, batch: Any = None, **more: Any) -> Case:
    """Return a case of one network, by default with the mean square of its output as the loss."""
    x = torch.randn(6, 4) if batch is None else batch
    default = lambda x: {"task": network(x).square().mean()}  # noqa: E731
    return Case({"net": network}, losses or default, x, **more)


@pytest.mark.parametrize("own", [False, True], ids=["adam", "own"])
def test_a_rate_of_0_keeps_what_is_frozen_still(own: bool) -> None:
    def make() -> Case:
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        optimizer = (lambda p: torch.optim.SGD(p, lr=0.1)) if own else None
        return of(net, frozen=["net.0"], optimizer=optimizer)

    step = program(make, "freeze", "rate_zero", "step")
    before = step.updates()
    step.run(step.prepare())
    after = step.updates()
    moved = {name for name, array in after.items() if not np.array_equal(array, before[name])}
    assert moved == {"net.1.weight", "net.1.bias"}


def test_a_rate_that_an_optimizer_does_not_have_cannot_be_0() -> None:
    class Plain(torch.optim.Optimizer):  # type: ignore[misc]
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {})

    def make() -> Case:
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        return of(net, frozen=["net.0"], optimizer=Plain)

    with pytest.raises(RuntimeError, match="Plain has no learning rate that could be 0") as no:
        program(make, "freeze", "rate_zero", "step")
    assert session.Session.unsupported(no.value) == str(no.value)


def test_a_step_after_a_reset_is_the_first_one_also_with_dampened_momentum() -> None:
    def make() -> Case:
        net = nn.Linear(4, 2)
        sgd = lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5)  # noqa: E731
        return of(net, optimizer=sgd)

    step = program(make, "backward", "summed", "step")
    updated = []
    for _ in range(2):
        step.run(step.prepare())
        updated.append(step.updates())
        step.reset()
    for name, first in updated[0].items():
        assert np.array_equal(updated[1][name], first), name
    assert step.count()["optimizer_state_bytes"] == 10 * 4  # counted though a reset removes it


def test_a_count_that_fails_leaves_the_forward_pass_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gradient = program(lambda: of(nn.Linear(4, 2)), "backward", "summed", "gradient")
    forward = gradient.forward

    def fail(carry: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(gradient, "operations", list)
    monkeypatch.setattr(gradient, "flops", lambda: 0)
    monkeypatch.setattr(gradient, "run", fail)
    with pytest.raises(MemoryError):
        gradient.count()
    assert gradient.forward is forward


@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_that_gets_its_shape_in_the_first_pass(affine: bool) -> None:
    _, facts = examined(
        lambda: of(nn.Sequential(nn.LazyBatchNorm1d(affine=affine), nn.Linear(4, 2)))
    )
    assert "net.0.running_mean" in facts["moved"]


def test_a_parameter_of_whole_numbers_is_left_alone() -> None:
    def make() -> Case:
        net = nn.Linear(4, 2)
        net.places = nn.Parameter(torch.arange(3), requires_grad=False)
        return of(net)

    opened, facts = examined(make)
    assert list(opened.problem.parameters) == ["net.weight", "net.bias"]
    assert facts["untouched"] == []


def test_a_complex_parameter_is_refused_and_a_complex_buffer_stays_whole() -> None:
    def holding(**held: Any) -> Case:
        net = nn.Linear(4, 2)
        for name, one in held.items():
            setattr(net, name, one)
        return of(net)

    turn = torch.full((4,), 1j)
    with pytest.raises(case_values.CaseError, match=r"net\.turn is complex64") as refused:
        examined(lambda: holding(turn=nn.Parameter(turn)))
    assert "view_as_complex" in refused.value.mend

    def rotated() -> Case:
        net = nn.Linear(4, 2)
        net.register_buffer("turn", turn.clone())
        return of(net, lambda x: {"task": net((x * net.turn).imag).square().mean()})

    opened, facts = examined(rotated)
    assert opened.networks["net"].turn.dtype == torch.complex128
    assert facts["values"]["task"] > 0.0
    assert facts["slope_errors"]["task"]["net"] < 1e-6


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_parameter_of_half_precision_is_refused(kind: str) -> None:
    def make() -> Case:
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2, dtype=getattr(torch, kind)))
        return of(net, lambda x: {"task": net[1](net[0](x).to(net[1].weight.dtype)).mean()})

    with pytest.raises(case_values.CaseError, match=rf"net\.1\.weight is {kind}.*float32"):
        examined(make)


def test_a_sparse_gradient_is_refused_with_what_to_write() -> None:
    def make() -> Case:
        return of(nn.Embedding(9, 4, sparse=True), batch=torch.arange(6))

    with pytest.raises(case_values.CaseError, match=r"'task' by net\.weight is sparse") as refused:
        examined(make)
    assert "sparse=False" in refused.value.mend


@pytest.mark.parametrize("period", [2, 3])
def test_losses_that_differ_from_call_to_call_are_named(period: int) -> None:
    def make() -> Case:
        net, calls = nn.Linear(4, 2), iter(range(1000))

        def losses(x: Any) -> dict[str, Any]:
            own = {"task": net(x).square().mean()}
            return own if next(calls) % period else {**own, "aux": net(x).mean()}

        return of(net, losses)

    with pytest.raises(case_values.CaseError, match="returns task, aux in one call, and task in"):
        examined(make)


def test_a_gradient_that_is_not_a_number_is_named_with_its_loss() -> None:
    def make(frozen: list[str] | None = None) -> Case:
        nets = {"a": nn.Linear(4, 4, bias=False), "b": nn.Linear(4, 1)}

        def losses(x: Any) -> dict[str, Any]:
            h = nets["a"](x)
            return {"root": nets["b"](torch.where(h > 0, h.sqrt(), 0.0)).mean()}

        return Case(nets, losses, torch.cat([torch.zeros(1, 4), torch.rand(5, 4)]), frozen=frozen)

    said = r"gradient of the loss 'root' by a\.weight is NaN in float64"
    with pytest.raises(case_values.CaseError, match=said) as refused:
        examined(make)
    assert "torch.where" in refused.value.mend
    examined(lambda: make(frozen=["a"]))  # nothing trained has it


def test_a_module_dict_names_the_networks_and_is_no_further_module_of_the_losses() -> None:
    def make() -> Case:
        nets = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 2)})
        return Case(nets, lambda x: {"task": nets["b"](nets["a"](x)).mean()}, torch.randn(6, 4))

    opened, facts = examined(make)
    assert list(opened.networks) == ["a", "b"]
    assert facts["notes"] == []


def test_a_loss_of_none_is_to_be_left_out() -> None:
    def make() -> Case:
        net = nn.Linear(4, 2)
        return of(net, lambda x: {"task": net(x).mean(), "aux": None})

    with pytest.raises(case_values.CaseError, match="'aux' is None") as refused:
        examined(make)
    assert refused.value.mend.startswith("leave it out, in every call, or return torch.zeros(())")


def test_complex_numbers_of_a_batch_follow_the_dtype() -> None:
    one = torch.full((3,), 1 + 2j)
    changed = case_values.converted(one, torch.float64)
    assert changed.dtype == torch.complex128
    assert torch.equal(changed.imag, torch.full((3,), 2.0, dtype=torch.float64))
    assert case_values.digest(one.conj()) == case_values.digest(one.conj().resolve_conj())


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc"])
def test_a_sparse_matrix_of_the_batch_is_read_and_counted(layout: str) -> None:
    def make() -> Case:
        net, near = nn.Linear(4, 2), torch.eye(6).to_sparse(layout=getattr(torch, layout))

        def losses(batch: Any) -> Any:
            return {"task": (batch["near"] @ net(batch["x"])).square().mean()}

        return of(net, losses, {"x": torch.randn(6, 4), "near": near})

    opened, facts = examined(make)
    assert facts["slope_errors"]["task"]["net"] < 1e-6
    counts = program(make, "backward", "summed", "gradient").footprint()
    assert counts["flops"] > 0
    assert counts["residual_bytes"] > 0
    other = torch.eye(6).roll(1, 0).to_sparse(layout=getattr(torch, layout))
    assert case_values.digest(other) != opened.prints["batch[1]"]


def test_a_loss_that_differentiates_the_network_is_confirmed() -> None:
    def make() -> Case:
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

        def losses(x: Any) -> Any:
            x = x.clone().requires_grad_()
            out = net(x)
            (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
            (inner,) = torch.autograd.grad(out.square().sum(), net[0].weight, create_graph=True)
            return {"task": out.square().mean(), "slope": slope.norm(), "inner": inner.norm()}

        return of(net, losses)

    _, facts = examined(make)
    assert max(error["net"] for error in facts["slope_errors"].values()) < 1e-6


def test_a_random_slope_has_the_gradient_that_it_drew() -> None:
    _, facts = examined(lambda: of(nn.Sequential(nn.Linear(4, 16), nn.RReLU())))
    assert facts["slope_errors"]["task"]["net"] < AGREES
