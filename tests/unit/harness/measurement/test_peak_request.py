"""Test that peak memory is asked for of the very cell that was timed, in its own mode."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.harness.measurement import peak_memory
from benchmarks.harness.protocol.operations import OPERATIONS


class Asked:
    """A pool, its only worker, and the problem that is opened in it; keeps what is asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, float, dict[str, Any]]] = []
        self.separate: list[Any] = []

    def launches(self, *_: Any) -> list[Asked]:
        return [self]

    @contextmanager
    def separate_worker(self, *where: Any, **_: Any) -> Any:
        self.separate.append(where)
        yield self

    def open_in(self, launch: Asked) -> None:
        assert launch is self

    def ask(self, op: str, timeout: float, **arguments: Any) -> int:
        self.requests.append((op, timeout, arguments))
        return 4096


@pytest.mark.parametrize("mode", ["eager", "compile", "compile_networks"])
@pytest.mark.parametrize(("device", "apart"), [("cpu", True), ("cuda", False)])
def test_peak_memory_is_that_of_the_timed_cell_in_its_mode(
    mode: str, device: str, apart: bool
) -> None:
    asked: Any = Asked()
    job: Any = {
        "kind": "freeze", "phase": "step", "mode": mode, "memory": True, "limit": 7.0,
        "framework": "torch", "device": device, "dtype": "float32", "precision_mode": "bf16",
    }  # fmt: skip
    assert peak_memory.measure(job, asked, "detach", asked) == {"peak_bytes": 4096}
    cell = {"kind": "freeze", "name": "detach", "phase": "step", "mode": mode}
    cell["precision_mode"] = "bf16"
    assert asked.requests == [("peak", 7.0, cell)]
    assert bool(asked.separate) == apart
    assert set(cell) == set(OPERATIONS["peak"].request.__annotations__)
