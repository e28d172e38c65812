"""Workers and problems for the checks: no clock here."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol.arrays import read_arrays, under
from benchmarks.machine import environment
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.spec import Optimizer, Scenario, Segment

Problem = tuple[str, str, str]
Way = tuple[str, str]  # kind, and strategy or recipe
Plan = dict[str, Any]

# Nothing is timed here, and what is timed is checked again as it was compiled: most of the time
# would otherwise go into making fast code of a program that runs once.
QUICK_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


class CheckWorkers:
    """One worker for each framework and precision, and the problem that is open in each."""

    def __init__(self) -> None:
        self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-checks-")
        self._launches: dict[tuple[str, str], Launch] = {}
        self._open: dict[tuple[str, str], Problem] = {}
        self._files: dict[Problem, ProblemFiles] = {}
        self._runs: dict[tuple[Any, ...], dict[str, Any]] = {}

    def files(self, problem: Problem) -> ProblemFiles:
        """Weights, data and facts of a problem, drawn once."""
        if problem not in self._files:
            try:
                self._files[problem] = ProblemFiles(*problem)
            except SpecError as error:
                pytest.fail(str(error), pytrace=False)
        return self._files[problem]

    def worker(self, framework: str, dtype: str = "float64") -> Launch:
        """A worker with nothing particular open; skips the test without its framework."""
        if environment.installed(framework) is None:
            pytest.skip(f"{framework} is not installed")
        key = framework, dtype
        if key not in self._launches:
            flags = " ".join(filter(None, (os.environ.get("XLA_FLAGS"), QUICK_COMPILE)))
            self._launches[key] = Launch(
                framework,
                dtype=dtype,
                cache=self._compile_cache(framework, flags),
                environment={"XLA_FLAGS": flags},
            )
        return self._launches[key]

    def _compile_cache(self, framework: str, flags: str) -> str:
        """Return JAX's folder of earlier runs, and a folder of this run alone for torch.

        torch.compile keys a graph by less than what decides its code: the trap of a cache that two
        settings share shows it.
        """
        lasting = check_cache.folder(flags) if framework == "jax" else None
        return str(lasting or self._cache.name)

    def shown(self, framework: str, fact: str) -> dict[str, Any]:
        """What the framework's implementation saw when it showed the fact, in float32."""
        return self.worker(framework, "float32").ask("fact", name=fact)

    def at(self, problem: Problem, framework: str, dtype: str = "float64") -> Launch:
        """A worker with this problem open, fresh from its weights.

        Skips the test where the scenario has no part for the framework; fails it, with one line,
        where a user's own part does not fit its spec.
        """
        lacking = CATALOGUE[problem[0]].lacks(framework)
        if lacking:
            pytest.skip(lacking)
        launch, key = self.worker(framework, dtype), (framework, dtype)
        if self._open.get(key) != problem:
            self._open.pop(key, None)
            self._opened(problem, launch)
            self._open[key] = problem
        return launch

    def _opened(self, problem: Problem, launch: Launch) -> None:
        files = self.files(problem)
        try:
            files.open_in(launch)
            if files.spec.file:
                launch.ask("probe")
        except WorkerFailed as error:
            if files.spec.file is None:
                raise
            pytest.fail(str(error), pytrace=False)

    def frameworks(self, problem: Problem) -> list[str]:
        """Those that are installed and have a part of this scenario; skips where there is none."""
        spec = CATALOGUE[problem[0]]
        found = [f for f in FRAMEWORKS if environment.installed(f) and spec.lacks(f) is None]
        if not found:
            pytest.skip("no framework is installed that has a part of this scenario")
        return found

    def gradients(
        self, problem: Problem, framework: str, way: Way, phase: str, dtype: str
    ) -> dict[str, Any]:
        """Canonical gradients of one run of the strategy or recipe."""
        return under(self.run(problem, framework, way, phase, dtype), "gradient")

    def run(
        self, problem: Problem, framework: str, way: Way, phase: str, dtype: str
    ) -> dict[str, Any]:
        """``gradient/…`` and, in phase ``step``, ``updated/…`` of a run that is not the first."""
        key = (problem, framework, way, phase, dtype)
        if key not in self._runs:
            launch = self.at(problem, framework, dtype)
            self._runs[key] = self.files(problem).gradients(launch, *way, phase, again=True)
        return self._runs[key]

    def loss_gradients(self, problem: Problem, framework: str) -> dict[str, dict[str, Any]]:
        """Loss → parameter → its gradient, in float64, of what is there."""
        out = str(self.files(problem).folder / f"losses-{framework}.npz")
        losses = self.at(problem, framework).ask("loss_gradients", out=out)
        arrays = read_arrays(out)
        return {loss: under(arrays, loss) for loss in losses}

    def flow(self, problem: Problem, framework: str) -> dict[str, dict[str, str]]:
        """Loss → parameter → ``absent``, ``zero`` or ``value``, in float64."""
        states: dict[str, dict[str, str]] = self.at(problem, framework).ask("flow")
        return states

    def train(
        self, problem: Problem, framework: str, plan: Plan, dtype: str = "float64"
    ) -> dict[str, Any]:
        """What training from the problem's start came to.

        ``weights``, ``buffers``, ``outputs`` and ``moments`` by name, ``steps`` and
        ``state_bytes``.
        """
        launch = self.at(problem, framework, dtype)
        out = str(self.files(problem).folder / f"trained-{framework}.npz")
        counts = launch.ask("train", plan=plan, out=out)
        arrays = read_arrays(out)
        kinds = ("weights", "buffers", "outputs", "moments")
        return {kind: under(arrays, kind) for kind in kinds} | counts

    def scratch(self, problem: Problem, name: str) -> Path:
        """A path beside the problem's files."""
        return self.files(problem).folder / name

    def close(self) -> None:
        """End the workers and remove the files."""
        for launch in self._launches.values():
            launch.close()
        for files in self._files.values():
            files.close()
        self._cache.cleanup()


def plan(
    scenario: Scenario,
    size: str,
    segments: tuple[Segment, ...],
    *,
    losses: tuple[str, ...] | None = None,
    optimizer: Optimizer | None = None,
    recipe: str | None = None,
) -> Plan:
    """A training as the workers take it: the facts of each turn spelled out."""

    def turn(variant: str) -> dict[str, Any]:
        facts = scenario.facts(variant, size)
        if losses:
            facts["reach"] = {n: names for n, names in facts["reach"].items() if n in losses}
        return facts

    first = segments[0].turns[0]
    return {
        "optimizer": (optimizer or scenario.optimizer_of(first)).facts(),
        "recipe": recipe,
        "segments": [
            {**asdict(segment), "turns": [turn(variant) for variant in segment.turns]}
            for segment in segments
        ],
    }


def assert_raised(found: dict[str, str] | None, kind: str, message: str) -> None:
    """The fact raised this type of error, and its message matches the pattern."""
    assert found is not None, f"nothing was raised; expected {kind} with {message!r}"
    assert found["type"] == kind, found
    assert re.search(message, found["message"]), found["message"]
