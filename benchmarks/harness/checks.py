"""Workers and problems for the checks: no clock here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import environment
from benchmarks.harness.arrays import read_arrays, under
from benchmarks.harness.launch import Launch
from benchmarks.harness.problems import ProblemFiles

Problem = tuple[str, str, str]

# Nothing is timed here, and what is timed is checked again as it was compiled: most of the time
# would otherwise go into making fast code of a program that runs once.
QUICK_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


class Laboratory:
    """One worker for each framework and precision, and the problem that is open in each."""

    def __init__(self) -> None:
        self._launches: dict[tuple[str, str], Launch] = {}
        self._open: dict[tuple[str, str], Problem] = {}
        self._files: dict[Problem, ProblemFiles] = {}
        self._gradients: dict[tuple[Any, ...], dict[str, Any]] = {}

    def files(self, problem: Problem) -> ProblemFiles:
        """Weights, data and facts of a problem, drawn once."""
        if problem not in self._files:
            self._files[problem] = ProblemFiles(*problem)
        return self._files[problem]

    def worker(self, framework: str, dtype: str = "float64") -> Launch:
        """A worker with nothing particular open; skips the test without its framework."""
        if environment.installed(framework) is None:
            pytest.skip(f"{framework} is not installed")
        key = framework, dtype
        if key not in self._launches:
            flags = " ".join(filter(None, (os.environ.get("XLA_FLAGS"), QUICK_COMPILE)))
            self._launches[key] = Launch(framework, dtype=dtype, environment={"XLA_FLAGS": flags})
        return self._launches[key]

    def shown(self, framework: str, fact: str) -> dict[str, Any]:
        """What the framework's implementation saw when it showed the fact, in float32."""
        return self.worker(framework, "float32").ask("fact", name=fact)

    def at(self, problem: Problem, framework: str, dtype: str = "float64") -> Launch:
        """A worker with this problem open, fresh from its weights."""
        launch, key = self.worker(framework, dtype), (framework, dtype)
        if self._open.get(key) != problem:
            self.files(problem).open_in(launch)
            self._open[key] = problem
        return launch

    def gradients(
        self, problem: Problem, framework: str, strategy: str, phase: str, dtype: str
    ) -> dict[str, Any]:
        """Canonical gradients of one run of the strategy."""
        key = (problem, framework, strategy, phase, dtype)
        if key not in self._gradients:
            launch = self.at(problem, framework, dtype)
            arrays = self.files(problem).gradients(launch, strategy, phase)
            self._gradients[key] = under(arrays, "gradient")
        return self._gradients[key]

    def loss_gradients(self, problem: Problem, framework: str) -> tuple[Any, dict[str, Any]]:
        """(loss → parameter → absent, zero or value; loss → parameter → array), in float64."""
        out = str(self.files(problem).folder / f"losses-{framework}.npz")
        states = self.at(problem, framework).ask("loss_gradients", out=out)
        arrays = read_arrays(out)
        return states, {loss: under(arrays, loss) for loss in states}

    def train(
        self,
        problem: Problem,
        framework: str,
        *,
        steps: int,
        losses: tuple[str, ...],
        arrangement: str,
        dtype: str = "float64",
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """(weights, outputs) after training; the problem is opened afresh before and after."""
        self._open.pop((framework, dtype), None)
        launch = self.at(problem, framework, dtype)
        out = str(self.files(problem).folder / f"trained-{framework}.npz")
        launch.ask("train", steps=steps, losses=list(losses), arrangement=arrangement, out=out)
        self._open.pop((framework, dtype), None)
        arrays = read_arrays(out)
        return under(arrays, "weights"), under(arrays, "outputs")

    def scratch(self, problem: Problem, name: str) -> Path:
        """A path beside the problem's files."""
        return self.files(problem).folder / name

    def close(self) -> None:
        """End the workers and remove the files."""
        for launch in self._launches.values():
            launch.close()
        for files in self._files.values():
            files.close()


def assert_raised(found: dict[str, str] | None, kind: str, message: str) -> None:
    """The fact raised this type of error, and its message matches the pattern."""
    assert found is not None, f"nothing was raised; expected {kind} with {message!r}"
    assert found["type"] == kind, found
    assert re.search(message, found["message"]), found["message"]
