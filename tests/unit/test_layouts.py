"""Layouts of data: declared for everything with more than two axes, and kept to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.machine.environment import installed
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
def test_everything_of_ours_with_more_than_two_axes_declares_its_layout(name: str) -> None:
    scenario = CATALOGUE[name]
    for variant in scenario.variants:
        _, data = scenario.draw(variant, "seed")
        assert {n for n, array in data.items() if array.ndim > 2} <= set(scenario.layouts)
        assert scenario.problem_spec(variant, "seed")["layouts"] == dict(scenario.layouts)


TURNS = """
import numpy as np
from impl_jax import layout

array = np.arange(24.0).reshape(2, 3, 4)
for declared, shape in (("image", (2, 4, 3)), ("sequence", (2, 3, 4)), ("as it is", (2, 3, 4))):
    turned = layout.data_in(array, "float32", declared)
    assert turned.shape == shape, declared
    assert np.array_equal(layout.data_out(turned, declared), array), declared
assert layout.data_in(array, "float32").shape == (2, 4, 3)  # undeclared, as it always was
for form, shape in ((None, (4, 2)), (layout.TABLE, (2, 4))):
    weight = np.arange(8.0).reshape(2, 4)
    native = layout.parameter_in(weight, "float32", form)
    assert native.shape == shape, form
    assert np.array_equal(layout.parameter_out(native, form), weight), form
    assert layout.shape_out(shape, form) == [2, 4], form
labels = layout.data_in(np.ones((2, 3, 4), np.int64), "float32", "as it is")
assert labels.shape == (2, 3, 4)
assert labels.dtype == np.int64
"""


def test_jax_turns_an_image_and_nothing_else_and_turns_outputs_back() -> None:
    """In a process of its own: once loaded, JAX would no longer be refused to a user's spec."""
    if installed("jax") is None:
        pytest.skip("jax is not installed")
    done = subprocess.run(
        [sys.executable, "-c", TURNS], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
