"""The facts of several backward passes, each a test named after what it says.

The implementations show them in their own processes; what is expected is judged here. What an
installed version does otherwise is declared beside its test, by version.
"""

from __future__ import annotations

import re
from typing import Any

from benchmarks.harness.checks import Laboratory


def shown(laboratory: Laboratory, framework: str, name: str) -> dict[str, Any]:
    return laboratory.worker(framework, "float32").ask("fact", name=name)


def assert_raised(found: dict[str, str] | None, kind: str, message: str) -> None:
    assert found is not None, f"nothing was raised; expected {kind} with {message!r}"
    assert found["type"] == kind, found
    assert re.search(message, found["message"]), found["message"]


def test_second_backward_without_retain_graph_raises(laboratory: Laboratory) -> None:
    found = shown(laboratory, "torch", "second_backward_without_retain_graph")
    assert_raised(found["without"], "RuntimeError", "backward through the graph a second time")
    assert found["with"] is None


def test_second_backward_through_additions_only_adds_up_silently(laboratory: Laboratory) -> None:
    found = shown(laboratory, "torch", "second_backward_through_additions_only")
    assert found == {"raised": None, "once": [1.0] * 3, "twice": [2.0] * 3}


def test_sum_equals_multi_root_bit_for_bit_and_separate_differs_by_rounding(
    laboratory: Laboratory,
) -> None:
    found = shown(laboratory, "torch", "sum_multi_root_and_separate")
    assert found["multi_root_equal"]
    assert found["largest_gradient"] > 0.01
    assert 0.0 < found["separate_difference"] <= 3e-8


def test_host_array_inside_jit_raises(laboratory: Laboratory) -> None:
    found = shown(laboratory, "jax", "host_array_inside_jit")
    assert_raised(found["inside"], "TracerArrayConversionError", "called on traced array")
    assert found["outside"] is None


def test_update_between_two_pullbacks_changes_neither(laboratory: Laboratory) -> None:
    found = shown(laboratory, "jax", "update_between_pullbacks")
    assert found == {"equal_to_undisturbed": True, "equal_to_new_parameters": False}


def test_donated_residuals_raise_on_reuse(laboratory: Laboratory) -> None:
    found = shown(laboratory, "jax", "donated_residuals")
    assert found["kept"] is None
    assert found["donated"] is not None, "the pullback of donated residuals ran a second time"
    assert "Buffer has been deleted or donated" in found["donated"]["message"]


def test_backward_is_removed_where_only_the_loss_is_returned(laboratory: Laboratory) -> None:
    found = shown(laboratory, "jax", "only_the_loss_is_returned")
    assert found == {"loss_only": 6, "with_gradients": 17, "forward": 6}


def test_pullback_hits_one_cache_entry_and_three_kinds_of_learning_rate_make_three(
    laboratory: Laboratory,
) -> None:
    found = shown(laboratory, "jax", "cache_entries")
    assert found["pullback_entries"] == 1
    assert found["learning_rate_entries"] == 3
    assert found["learning_rate_traces"] == 2  # jnp's and np's float32 share a program
