"""What JAX's operations take by themselves is measured inside a program, and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

jax: Any = LazyModule("jax")
jnp: Any = LazyModule("jax.numpy")
calibration: Any = LazyModule("impl_jax.calibration")
operations: Any = LazyModule("impl_jax.operations")

CALL, TURN = 5e-5, 2e-6  # seconds of a call of the programs below, and of a turn in them


def timed(times: list[int], turn: float) -> Any:
    """Return a loop whose runs take a call and so many turns, and are noted in ``times``."""

    class Timed(calibration.Loop):  # type: ignore[misc]
        """Stand for a compiled loop."""

        def __init__(self) -> None:
            self._turns = None
            self._few = self._many = float("inf")

        def _time(self, turns: int, operands: Any) -> float:
            times.append(turns)
            return CALL + turns * turn

    return Timed()


def test_every_turn_of_a_loop_computes_the_product() -> None:
    """XLA moves out of a loop what is the same in all turns, and then computes it once."""
    value = jnp.ones((64, 64))
    loop = calibration.Loop(lambda a, b: a @ b, (value, value))
    module = operations.Module(loop._call.as_text())
    entry = module.computations[module.entry].instructions.values()
    (body,) = (one.called("body") for one in entry if one.opcode == "while")
    inside = [counted for _, counted in module._executed(body, 1) if counted["work"]]
    assert [one["flops"] for one in inside] == [2 * 64**3]
    assert loop.seconds((value, value)) >= 0.0


def test_what_a_call_costs_is_no_part_of_an_operation() -> None:
    times: list[int] = []
    loop = timed(times, TURN)
    assert loop.seconds(()) == pytest.approx(TURN)
    shorter = min(times[-2:])
    assert CALL + shorter * TURN >= calibration.ENOUGH
    assert max(times[-2:]) == calibration.MORE * shorter
    tried = len(times)
    assert loop.seconds(()) == pytest.approx(TURN)
    assert set(times[tried:]) == {shorter, calibration.MORE * shorter}  # how many, it knows by then


def test_an_operation_of_a_second_is_run_a_few_times() -> None:
    times: list[int] = []
    loop = timed(times, 1.0)
    assert loop.seconds(()) == pytest.approx(1.0, rel=1e-4)
    assert times == [1, 1, 1, 1]
    loop.seconds(())
    assert len(times) == 5


class Fake:
    """Stand for a loop: it notes that it was compiled, and that it was run."""

    seen: list[str]

    def __init__(self, function: Any, operands: Any) -> None:
        self.seen.append("compiled")

    def seconds(self, operands: Any) -> float:
        self.seen.append("run")
        return 3e-6


WORK = {
    "op": "dot",
    "arrays": [["f32", [4, 4], [1, 0]]] * 3,
    "contracting": [[1], [0]],
    "batch": [[], []],
}


def test_a_program_is_compiled_once_and_an_empty_turn_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Fake.seen = []
    own = calibration.Calibration(jax.devices("cpu")[0], "float32")
    monkeypatch.setattr("impl_jax.calibration.Loop", Fake)
    monkeypatch.setattr(own, "_empty_turn", lambda: 1e-6)
    assert own.measure([WORK]) == pytest.approx(2e-6)
    assert own.measure([WORK]) == pytest.approx(2e-6)
    assert Fake.seen == ["compiled", "run", "run"]
    assert own.measure([WORK, {**WORK, "batch": [[0], [0]]}]) == pytest.approx(4e-6)
    assert Fake.seen[3:] == ["run", "compiled", "run"]


def test_only_what_measures_the_machine_is_kept_from_session_to_session(tmp_path: Path) -> None:
    """Compile a cell's programs anew in each session: their compile time is a figure."""
    before = jax.config.jax_compilation_cache_dir
    own = calibration.Calibration(jax.devices("cpu")[0], "float32", str(tmp_path))
    own.measure([WORK])
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept
    jax.jit(lambda value: value * 5).lower(jnp.ones(7)).compile()
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert jax.config.jax_compilation_cache_dir == before
