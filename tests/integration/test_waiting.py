"""Test that a call is waited for on all of its outputs, by counting them; a clock is too coarse."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.paths import ROOT

JAX = """
import json
import jax
import jax.numpy as jnp
from benchmarks.scenarios import CATALOGUE
from impl_jax import cascade, compiling, session

waited = []
jax.block_until_ready = lambda tree: waited.append(len(jax.tree.leaves(tree)))
spec = CATALOGUE["linear_cascade"]
weights, data = spec.draw("-", "seed")
opened = session.Session("cpu", "float32").open(
    cascade.linear_cascade, spec.problem_spec("-", "seed"), data)
opened.load(weights)
output = {}
for phase in ("backward", "gradient", "step"):
    cell = opened.program("backward", "summed", phase)
    waited.clear()
    carry = cell.prepare()
    prepared = [len(jax.tree.leaves(carry)), list(waited)]
    result = cell.run(carry)
    waited.clear()
    cell.wait(result)
    output[phase] = {"prepared": prepared, "ran": [len(jax.tree.leaves(result)), list(waited)]}

clock = iter((0.0, 1.0, 5.0))
compiling.time.perf_counter = lambda: next(clock)
compiled = compiling.CompiledFunction(lambda x: x + 1)
compiled(jnp.ones(2))
output["seconds"] = [compiled.trace_seconds, compiled.compile_seconds]
try:
    compiled(jnp.ones(3))
except TypeError:
    output["another shape"] = "TypeError"
print(json.dumps(output))
"""

TORCH = """
import json
from types import SimpleNamespace
import torch
from impl_torch import program, runtime

waited = []
torch.cuda.synchronize = lambda where: waited.append(str(where))
for where in ("cpu", "cuda"):
    program.Program.wait(SimpleNamespace(device=torch.device(where)), None)
print(json.dumps(waited))
"""


def run_script(script: str) -> Any:
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def jax_output() -> Any:
    return run_script(JAX)


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


def test_jax_tracing_and_compiling_are_told_apart(jax_output: Any) -> None:
    assert jax_output["seconds"] == [1.0, 4.0]


def test_jax_recompilation_cannot_hide_in_a_timed_loop(jax_output: Any) -> None:
    assert jax_output.get("another shape") == "TypeError"


def test_torch_waits_for_the_device_where_there_is_one_to_wait_for() -> None:
    assert run_script(TORCH) == ["cuda"]
