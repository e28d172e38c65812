"""Faults seeded into a copy of the implementations: each must turn a check red, and that one.

A check that stays green whatever is broken proves nothing. Each row is a fault somebody makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "impl_torch", "impl_jax", "results")

# name: (file, what stands there, what is put in its place, scenario, check that must turn red)
FAULTS = {
    "detach_dropped": (
        "impl_torch/cascade.py",
        "enter = torch.detach if stop_before_net2 else as_it_is",
        "enter = as_it_is",
        "three_network_cascade",
        "test_flow_is_as_declared_per_loss",
    ),
    "retain_graph_dropped": (
        "impl_torch/strategies.py",
        "loss.backward(retain_graph=True)",
        "loss.backward()",
        "linear_cascade",
        "test_every_strategy_gives_the_reference",
    ),
    "transposed_kernel_not_flipped": (
        "impl_jax/cascade.py",
        '1, 1, (2, 2, 2), padding="VALID", transpose_kernel=True',
        '1, 1, (2, 2, 2), padding="VALID", transpose_kernel=False',
        "conv_cascade",
        "test_float64_references_agree_between_frameworks",
    ),
    "one_loss_left_out_of_the_sum": (
        "impl_torch/strategies.py",
        "reduce(add, losses.values()).backward()",
        "list(losses.values())[-1].backward()",
        "linear_cascade",
        "test_reference_is_confirmed_by_central_differences",
    ),
    "stop_gradient_left_out": (
        "impl_jax/cascade.py",
        "return stop_gradient(value) * 0.5",
        "return value * 0.5",
        "severed_cascade",
        "test_flow_is_as_declared_per_loss",
    ),
    "one_gradient_scaled_by_1.001": (
        "impl_torch/strategies.py",
        "_add(problem, dict(zip(reached, grads, strict=True)))",
        "_add(problem, dict(zip(reached, (grads[0] * 1.001, *grads[1:]), strict=True)))",
        "linear_cascade",
        "test_every_strategy_gives_the_reference",
    ),
    "square_weight_transposed": (
        "impl_jax/layout.py",
        "axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1 else (0,)",
        "axes = (*range(2, array.ndim), 0, 1) if array.ndim > 1 else (0,)",
        "linear_cascade",
        "test_float64_references_agree_between_frameworks",
    ),
}


def copy_with(fault: tuple[str, ...], folder: Path) -> None:
    """The project with one line of it changed."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "runs", "reports")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    file = folder / fault[0]
    text = file.read_text()
    assert text.count(fault[1]) == 1, f"{fault[0]} no longer has the line that this fault changes"
    file.write_text(text.replace(fault[1], fault[2]))


@pytest.mark.parametrize("name", FAULTS)
def test_seeded_fault_turns_its_check_red(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    copy_with(fault, tmp_path)
    command = [sys.executable, "-m", "pytest", "benchmarks/test_equivalence.py", "-q", "-x"]
    command += [
        "--benchmark-skip",
        "-p",
        "no:cacheprovider",
        "--scenario",
        fault[3],
        "-k",
        fault[4],
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"FAILED benchmarks/test_equivalence.py::{fault[4]}" in done.stdout
