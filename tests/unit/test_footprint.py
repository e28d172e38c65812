"""What a cell is counted to do and to hold, against counts that are known by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.open_problems import open_problem


def footprint(
    framework: str, strategy: str, phase: str, kind: str = "backward", **more: str
) -> Any:
    """Return the footprint of a strategy on two Linear layers of width 3 with 2 rows of data."""
    pytest.importorskip(framework)
    program = open_problem(framework, "linear_cascade", "-").program(kind, strategy, phase, **more)
    program.reset()
    program.wait(program.run(program.prepare()))
    first = program.footprint()
    assert program.footprint() == first  # a count has no noise
    return first


def test_torch_counts_what_it_dispatches_and_what_that_holds() -> None:
    found = footprint("torch", "summed", "backward")
    operations = found["operations"]
    assert operations["aten.mm.default"] == 3  # two by weights, one by the activation between
    assert not [name for name in operations if name.startswith("profiler")]
    gradients = 4 * (2 * (3 * 3 + 3))
    assert gradients <= found["held_bytes"] <= 3 * gradients
    more = footprint("torch", "separate_retained", "backward")
    assert more["operations"]["aten.mm.default"] == 4
    assert found["aliased_bytes"] is None


def test_memory_that_is_freed_is_held_no_more() -> None:
    torch = pytest.importorskip("torch")
    from impl_torch.footprint import Watch

    known, watch = torch.ones(1024), Watch()
    with watch:
        for _ in range(3):
            known.view(32, 32).add_(1.0)  # of memory that was held before
            first = known * 2.0
            view = first[:10]
            del first
            assert view.shape == (10,)
            del view
    assert watch.most_held == 4 * 1024  # one result at a time
    with watch:
        kept = [known * 2.0, known * 3.0]
        del kept
    assert watch.most_held == 2 * 4 * 1024


def test_jax_counts_instructions_and_what_a_step_overwrites_in_place() -> None:
    parameters = 4 * (2 * (3 * 3 + 3))
    found = footprint("jax", "summed", "step")
    assert found["operations"]["dot"] == 5
    assert "parameter" not in found["operations"]
    assert found["aliased_bytes"] == parameters + 2 * parameters + 8 == 296
    assert found["held_bytes"] > found["aliased_bytes"]
    assert footprint("jax", "summed", "gradient")["aliased_bytes"] == 0


def test_what_jax_does_not_compile_whole_is_not_counted() -> None:
    found = footprint("jax", "summed", "gradient", mode="eager")
    assert (found["operations"], found["held_bytes"], found["aliased_bytes"]) == (None, None, None)


def test_instructions_are_read_from_the_text_of_a_module() -> None:
    pytest.importorskip("jax")
    from impl_jax.footprint import instructions

    text = """HloModule jit_f, is_scheduled=true
%fused (p: f32[3]) -> (f32[3], s32[]) {
  %p = f32[3]{0} parameter(0)
  %a.1 = f32[3]{0} multiply(%p, %p), metadata={op_name="x = dot(y)"}
  ROOT %t = (f32[3]{0}, /*index=1*/s32[]) tuple(%a.1, %c)
}
ENTRY %main (p: f32[3]) -> f32[3] {
  %while.1 = (f32[3]{0}, (s32[], f32[2,2]{1,0})) while((f32[3]{0}) %p), body=%fused
  ROOT %fusion.2 = f32[3]{0} fusion(f32[3]{0} %p), kind=kLoop, calls=%fused
}
"""
    assert instructions(text) == {"multiply": 1, "while": 1, "fusion": 1}
