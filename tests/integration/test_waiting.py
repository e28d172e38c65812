"""Test that a call is waited for on all of its outputs, by counting them; a clock is too coarse."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule
from tests.helpers.open_problems import open_problem

pytestmark = pytest.mark.usefixtures("stored_programs")
jax: Any = LazyModule("jax")


def leaves_of(tree: Any) -> int:
    return len(jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def jax_output() -> Iterator[dict[str, dict[str, tuple[int, list[int]]]]]:
    """Return phase → ``prepared`` and ``ran`` → leaves that came out, and leaves waited for."""
    problem = open_problem("jax", "linear_cascade", "-")
    output, waited = {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jax.block_until_ready", lambda tree: waited.append(leaves_of(tree)))
        for phase in ("backward", "gradient", "step"):
            cell = problem.program("backward", "summed", phase)
            waited.clear()
            carry = cell.prepare()
            prepared = leaves_of(carry), list(waited)
            result = cell.run(carry)
            waited.clear()
            cell.wait(result)
            output[phase] = {"prepared": prepared, "ran": (leaves_of(result), list(waited))}
        yield output


def test_jax_is_waited_for_on_every_output(jax_output: Any) -> None:
    """Expect four gradients; a step returns weights, Adam's two moments of each and counts too."""
    for phase, least in (("backward", 4), ("gradient", 4), ("step", 12)):
        leaves, waited = jax_output[phase]["ran"]
        assert leaves >= least, phase
        assert waited == [leaves], phase


def test_jax_residuals_are_there_before_the_clock_starts(jax_output: Any) -> None:
    leaves, waited = jax_output["backward"]["prepared"]
    assert leaves > 0
    assert waited == [leaves]


def test_jax_tracing_and_compiling_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling, clock = pytest.importorskip("impl_jax.compiling"), iter((0.0, 1.0, 5.0))
    monkeypatch.setattr(compiling, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    compiled = compiling.CompiledFunction(lambda x: x + 1)
    compiled(jax.numpy.ones(2))
    assert [compiled.trace_seconds, compiled.compile_seconds] == [1.0, 4.0]


def test_jax_recompilation_cannot_hide_in_a_timed_loop() -> None:
    compiled = pytest.importorskip("impl_jax.compiling").CompiledFunction(lambda x: x + 1)
    compiled(jax.numpy.ones(2))
    with pytest.raises(TypeError):
        compiled(jax.numpy.ones(3))


def test_torch_waits_for_the_device_where_there_is_one_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch, waited = pytest.importorskip("torch"), []
    program = import_module("impl_torch.program")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda where: waited.append(str(where)))
    for where in ("cpu", "cuda"):
        program.Program.wait(SimpleNamespace(device=torch.device(where)), None)
    assert waited == ["cuda"]
