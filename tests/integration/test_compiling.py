"""Test that each program is compiled in a folder of its own, and that eager mode compiles none."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.machine.environment import installed
from benchmarks.paths import ROOT

TORCH = """
import json, os
from types import SimpleNamespace
import torch._functorch.config as functorch
from benchmarks.scenarios import CATALOGUE
from impl_torch import cascade, compiling, runtime, session

runtime.check_compiler = lambda where: None
spec = CATALOGUE["linear_cascade"]
weights, data = spec.draw("-", "seed")
opened = session.Session("cpu", "float32").open(
    cascade.linear_cascade, spec.problem_spec("-", "seed"), data)
opened.load(weights)
names = ("summed", "separate_retained")
programs = {name: opened.program("backward", name, "gradient", "compile") for name in names}
output = {"claimed": []}
for name in (*names, *names):
    programs[name].reset()
    output["claimed"].append(
        [name, os.environ.get("TORCHINDUCTOR_CACHE_DIR"), functorch.donated_buffer])

def metric(**fields):
    return SimpleNamespace(**fields)

one = metric(duration_us=5_000_000, inductor_cumulative_compile_time_us=3_000_000)
cached = metric(duration_us=5_000_000, inductor_cumulative_compile_time_us=None)
output["times"] = [
    compiling.compile_times(metrics)
    for metrics in ([one], [one, one], [one, cached], [], [one] * compiling.METRICS_KEPT)
]
print(json.dumps(output))
"""

JAX = """
import json
import jax.numpy as jnp
from impl_jax import compiling

calls = []
for mode in ("jit", "eager"):
    compiler = compiling.MODES[mode]()
    called = compiler.jit(lambda x: calls.append(mode) or x + 1)
    called(jnp.ones(2)), called(jnp.ones(2))
    calls.append(compiler.compile_seconds is None)
print(json.dumps(calls))
"""


def run_script(framework: str, script: str) -> Any:
    if installed(framework) is None:
        pytest.skip(f"{framework} is not installed")
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def torch_output() -> Any:
    return run_script("torch", TORCH)


@pytest.mark.slow
def test_each_program_has_a_cache_and_a_setting_of_its_own(torch_output: Any) -> None:
    """In a shared cache one setting would load what the other compiled, and be silently wrong."""
    first, second = torch_output["claimed"][:2], torch_output["claimed"][2:]
    assert first == second
    folders = {name: folder for name, folder, _ in first}
    assert None not in folders.values()
    assert folders["summed"] != folders["separate_retained"]
    donated = {name: setting for name, _, setting in first}
    assert donated == {"summed": True, "separate_retained": False}


@pytest.mark.slow
def test_compile_time_is_known_whole_or_not_at_all(torch_output: Any) -> None:
    """A cached program has no times of Inductor, and torch drops older metrics."""
    assert torch_output["times"] == [[2.0, 3.0], [4.0, 6.0]] + [[None, None]] * 3


def test_jax_operation_by_operation_traces_and_compiles_no_whole() -> None:
    """Under tracing Python runs once; operation by operation it runs at every call."""
    assert run_script("jax", JAX) == ["jit", False, "eager", "eager", True]
