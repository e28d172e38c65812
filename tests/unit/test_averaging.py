"""A network that follows another: what moves, and what is refused."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers.lazy_module import LazyModule

pytestmark = pytest.mark.usefixtures("stored_programs")
torch: Any = LazyModule("torch")
START = {"student.weight": 2.0, "teacher.weight": 1.0, "teachers.weight": 5.0}


def followed(framework: str, names: dict[str, float], network: str, leader: str) -> Any:
    """Return all parameters after one step of the average: name → value."""
    settings = {"network": network, "leader": leader, "share": 0.25, "buffers": True}
    follow = import_module(f"impl_{framework}.averaging").follow
    if framework == "torch":
        tensors = {name: torch.tensor(value) for name, value in names.items()}
        follow(SimpleNamespace(parameters=tensors, buffers={}), **settings)
        return {name: tensor.item() for name, tensor in tensors.items()}
    arrays = {name: np.float32(value) for name, value in names.items()}
    return {name: float(a) for name, a in follow(arrays, {}, **settings)[0].items()}


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_only_the_one_that_follows_moves(framework: str) -> None:
    end = followed(framework, START, "teacher", "student")
    assert end == {**START, "teacher.weight": 1.25}


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize(
    ("network", "leader", "said"),
    [
        ("tutor", "student", r"'tutor' cannot follow 'student'.*; tutor: none; student: weight"),
        ("teacher", "pupil", r"pupil: none"),
        ("teacher", "other", r"teacher: weight; other: bias"),
    ],
)
def test_networks_of_other_names_are_refused(
    framework: str, network: str, leader: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        followed(framework, START | {"other.bias": 0.0}, network, leader)
