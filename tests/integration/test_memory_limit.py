"""Workers that get no memory: the limit that a user sets, and a system that has no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import memory_limit
from benchmarks.machine import environment
from benchmarks.paths import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_framework_that_gets_no_memory_from_the_system_says_so(
    framework: str, tmp_path: Path
) -> None:
    """Accept an exception, as torch raises it, or an abort, as XLA may end."""
    if environment.installed(framework) is None:
        pytest.skip(f"{framework} is not installed")
    problem = ProblemFiles("linear_cascade", "-", "medium")
    # the framework alone needs more than that, so that its first allocation fails
    worker = launch.Launch(framework, environment={memory_limit.VARIABLE: "64MiB"})
    try:
        with pytest.raises(launch.WorkerError) as caught:
            run_gradients(worker, problem)
        assert caught.value.outcome == "out_of_memory", caught.value
    finally:
        worker.kill()
        problem.close()


def run_gradients(worker: launch.Launch, problem: ProblemFiles) -> None:
    problem.open_in(worker)
    problem.gradients(worker, "backward", "separate_retained", "gradient")


@pytest.mark.slow
def test_xla_says_want_of_memory_on_the_cpu_as_an_internal_error() -> None:
    script = (
        "import jax; from impl_jax.runtime import is_out_of_memory;"
        "text = 'INTERNAL: Error dispatching computation: Out of memory allocating 16777216 bytes';"
        "print(is_out_of_memory(jax.errors.JaxRuntimeError(text)),"
        " is_out_of_memory(jax.errors.JaxRuntimeError('INTERNAL: something else')))"
    )
    if environment.installed("jax") is None:
        pytest.skip("jax is not installed")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["True", "False"]


def test_group_whose_reference_finds_no_memory_is_out_of_memory(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(memory_limit.VARIABLE, "8MiB")
    outcomes = measured("summed", size="medium")
    assert outcomes["summed"]["outcome"] == "out_of_memory"
    assert "the float64 reference" in outcomes["summed"]["why"]


@pytest.mark.parametrize("text", ["8", "8GB", "-1GiB", "much"])
def test_memory_limit_that_says_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(memory_limit.VARIABLE, text)
    with pytest.raises(memory_limit.LimitError, match="give whole MiB or GiB, such as 512MiB"):
        memory_limit.worker_memory()
