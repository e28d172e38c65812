"""Run the computations that the tests of correctness compare, in workers and without a clock.

`CheckWorkers` keeps the workers and returns what they compute: gradients, flows, trained weights,
observations of traps. `plan` describes a training for it; `assert_raised` tests a recorded error.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.launch import (
    ANSWER_SECONDS,
    Launch,
    WorkerFailed,
    WorkerTimeout,
)
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix
from benchmarks.machine import frameworks
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.spec import Optimizer, Scenario, Segment

Problem = tuple[str, str, str]  # scenario, variant, size
Method = tuple[str, str]  # kind, and name of the strategy or recipe
Plan = dict[str, Any]  # of a training, see `plan`
Key = tuple[str, str, str | None]  # framework, dtype, and path of the user's spec, see `Launch`

# The programs of the checks are not timed, and run a few times: full optimization would cost more
# than it gains. Without any, five steps of a small convolution in float64 take longer than
# compiling at level 1 does, and programs out of the cache run as slowly. Timed programs are checked
# again, as they were compiled.
QUICK_COMPILE = "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"


def quick_compile_flags() -> str:
    """Return ``XLA_FLAGS`` of a worker that checks and times nothing: it compiles in less time."""
    return " ".join(filter(None, (os.environ.get("XLA_FLAGS"), QUICK_COMPILE)))


class CheckLaunch(Launch):
    """A worker of the checks: where a user's own scenario takes too long, the check fails at once.

    Attributes:
        files: of the problem that is open in it, or being opened; None: there was none yet.
    """

    files: ProblemFiles | None = None

    def ask(self, op: str, timeout: float | None = None, **arguments: Any) -> Any:
        """Send a request and wait for its result, see `Launch.ask`."""
        try:
            return super().ask(op, timeout, **arguments)
        except WorkerTimeout as error:
            if self.files is None or self.files.spec.file is None:
                raise
            known = self.files.time_outs.add(error, self.files.spec, self.framework)
            pytest.fail(str(known), pytrace=False)


class CheckWorkers:
    """Hold one worker for each framework and precision, and the problem that is open in each.

    A file of the user's gets workers of its own, beside those of this suite's scenarios. They end
    when another file comes.

    Args:
        limit: seconds for each part of working with a user's own scenario, see `ProblemFiles`.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, limit: float = ANSWER_SECONDS, device: str = "cpu") -> None:
        self._limit, self._device = limit, device
        self._time_outs = TimeOuts()
        self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-checks-")
        self._launches: dict[Key, CheckLaunch] = {}
        self._open: dict[Key, Problem] = {}
        self._files: dict[Problem, ProblemFiles] = {}
        self._runs: dict[tuple[Any, ...], dict[str, Any]] = {}

    def files(self, problem: Problem) -> ProblemFiles:
        """Return the files of a problem's weights and data, which are drawn once for all checks."""
        if problem not in self._files:
            try:
                self._files[problem] = ProblemFiles(
                    *problem, limit=self._limit, time_outs=self._time_outs
                )
            except (SpecError, disk.DiskError) as error:
                pytest.fail(str(error), pytrace=False)
        return self._files[problem]

    def worker(
        self, framework: str, dtype: str = "float64", owner: str | None = None
    ) -> CheckLaunch:
        """Return the worker of a framework and dtype; any problem, or none, is open in it.

        It is started at the first call, and anew if it is dead: one check that was too slow, or
        killed its worker, costs no other. The test is skipped if the framework is not installed.

        Args:
            framework: of the worker.
            dtype: of its weights and data.
            owner: path of the user's spec that it runs; None: this suite's own scenarios.
        """
        if reason := frameworks.why_missing(framework):
            pytest.skip(reason)
        key = framework, dtype, owner
        if key in self._launches and self._launches[key].dead:
            del self._launches[key]
            self._open.pop(key, None)
        if key not in self._launches:
            self._end_other_files(owner)
            flags = quick_compile_flags()
            self._launches[key] = CheckLaunch(
                framework,
                device=self._device,
                dtype=dtype,
                cache=self._compile_cache(framework, flags),
                environment={"XLA_FLAGS": flags},
                owner=owner,
            )
        return self._launches[key]

    def borrow(self, framework: str, dtype: str = "float64") -> CheckLaunch:
        """Return a worker for requests that open problems in it past `open`, which knows of none.

        Args:
            framework: of the worker.
            dtype: of its weights and data.
        """
        launch = self.worker(framework, dtype)
        self._open.pop((framework, dtype, None), None)
        return launch

    def _end_other_files(self, owner: str | None) -> None:
        """End the workers of every file of the user's but this one; those of this suite stay."""
        for key in [key for key in self._launches if key[-1] not in (None, owner)]:
            self._launches.pop(key).kill()
            self._open.pop(key, None)

    def _compile_cache(self, framework: str, flags: str) -> str:
        """Return the folder in which a worker keeps compiled programs.

        For JAX it is a folder that earlier runs have filled, for torch one of this run alone:
        torch.compile keys a graph by less than what decides its code, as the trap of a cache that
        two settings share shows.

        Args:
            framework: of the worker.
            flags: XLA's flags of the worker, which decide how JAX compiles.
        """
        lasting = check_cache.folder(flags) if framework == "jax" else None
        return str(lasting or self._cache.name)

    def demonstrate(self, framework: str, fact: str) -> dict[str, Any]:
        """Run a trap's demonstration in a framework, in float32, and return the values it observed.

        Args:
            framework: ``torch`` or ``jax``.
            fact: name of the demonstration, a function in one of the framework's trap modules.
        """
        return self.worker(framework, "float32").ask("fact", name=fact)

    def open(self, problem: Problem, framework: str, dtype: str = "float64") -> Launch:
        """Return a worker in which this problem is open with its initial weights.

        The test is skipped if the scenario has no part for the framework, and fails with one line
        if a user's own part does not fit its spec.
        """
        reason = CATALOGUE[problem[0]].lacks(framework)
        if reason:
            pytest.skip(reason)
        known = self._time_outs.find(CATALOGUE[problem[0]], framework)
        if known:
            pytest.fail(str(known), pytrace=False)
        file = CATALOGUE[problem[0]].file
        key = framework, dtype, str(file) if file else None
        launch = self.worker(*key)
        if self._open.get(key) != problem:
            self._open.pop(key, None)
            self._open_problem(problem, launch)
            self._open[key] = problem
        return launch

    def _open_problem(self, problem: Problem, launch: CheckLaunch) -> None:
        """Build a problem in a worker; fail the test where a user's own part of it is wrong."""
        files = launch.files = self.files(problem)
        try:
            files.open_in(launch)
            if files.spec.file:
                launch.ask("probe")
        except WorkerFailed as error:
            if files.spec.file is None:
                raise
            pytest.fail(str(error), pytrace=False)

    def frameworks(self, problem: Problem) -> list[str]:
        """Return the installed frameworks that have a part of this scenario.

        The test is skipped if there is none.
        """
        spec = CATALOGUE[problem[0]]
        names = [
            f for f in FRAMEWORKS if not frameworks.missing_packages(f) and spec.lacks(f) is None
        ]
        if not names:
            pytest.skip("no framework is installed that has a part of this scenario")
        return names

    def gradients(
        self, problem: Problem, framework: str, method: Method, phase: str, dtype: str
    ) -> dict[str, Any]:
        """Return parameter → gradient of a run of a strategy or recipe; see `run`."""
        return select_prefix(self.run(problem, framework, method, phase, dtype), "gradient")

    def run(
        self, problem: Problem, framework: str, method: Method, phase: str, dtype: str
    ) -> dict[str, Any]:
        """Run a strategy or recipe twice in a worker, and return the arrays of the second run.

        A second run is what a timed block repeats. The arrays are computed once for all checks.

        Returns:
            ``gradient/<parameter>``, and in phase ``step`` also ``updated/<parameter>``.
        """
        key = (problem, framework, method, phase, dtype)
        if key not in self._runs:
            launch = self.open(problem, framework, dtype)
            self._runs[key] = self.files(problem).gradients(launch, *method, phase, again=True)
        return self._runs[key]

    def loss_gradients(self, problem: Problem, framework: str) -> dict[str, dict[str, Any]]:
        """Return loss → parameter → gradient of this loss alone, in float64.

        Parameters that a loss does not reach are left out, and so are losses that reach none.
        """
        out = str(self.files(problem).folder / f"losses-{framework}.npz")
        losses = self.open(problem, framework).ask("loss_gradients", out=out)
        arrays = read_arrays(out)
        return {loss: select_prefix(arrays, loss) for loss in losses}

    def flow(self, problem: Problem, framework: str) -> dict[str, dict[str, str]]:
        """Return loss → parameter → state of its gradient: ``absent``, ``zero`` or ``value``.

        It is computed in float64.
        """
        states: dict[str, dict[str, str]] = self.open(problem, framework).ask("flow")
        return states

    def train(
        self, problem: Problem, framework: str, plan: Plan, dtype: str = "float64"
    ) -> dict[str, Any]:
        """Train from the problem's initial weights by a plan, and return the final state.

        Returns:
            ``weights``, ``buffers``, ``outputs`` and ``moments``, each name → array; the number of
            ``steps``; and ``state_bytes``, the size of the optimizer's state.
        """
        launch = self.open(problem, framework, dtype)
        out = str(self.files(problem).folder / f"trained-{framework}.npz")
        counts = launch.ask("train", plan=plan, out=out)
        arrays = read_arrays(out)
        kinds = ("weights", "buffers", "outputs", "moments")
        return {kind: select_prefix(arrays, kind) for kind in kinds} | counts

    def scratch(self, problem: Problem, name: str) -> Path:
        """Return a path for a file of the caller's, removed together with the problem's files."""
        return self.files(problem).folder / name

    def close(self) -> None:
        """End the workers and remove all files."""
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
    """Return the plan of a training, as the operation ``train`` of a worker takes it.

    Args:
        scenario: what is trained.
        size: of the scenario.
        segments: stretches of training, each of some steps whose turns are variants.
        losses: those to train with; None for all.
        optimizer: None for the scenario's own.
        recipe: how frozen parameters are frozen; None for the framework's default.
    """

    def turn(variant: str) -> dict[str, Any]:
        """Return the problem of a variant, with only the chosen losses."""
        problem = scenario.problem_spec(variant, size)
        if losses:
            reach = problem["reach"].items()
            problem["reach"] = {loss: names for loss, names in reach if loss in losses}
        return problem

    first = segments[0].turns[0]
    return {
        "optimizer": (optimizer or scenario.optimizer_of(first)).as_dict(),
        "recipe": recipe,
        "segments": [
            {**asdict(segment), "turns": [turn(variant) for variant in segment.turns]}
            for segment in segments
        ],
    }


def assert_raised(error: dict[str, str] | None, kind: str, message: str) -> None:
    """Assert that an error of this type was raised, whose message matches the pattern.

    Args:
        error: ``type`` and ``message`` of the exception; None if there was none.
        kind: name of the exception's class.
        message: a regular expression.
    """
    assert error is not None, f"nothing was raised; expected {kind} with {message!r}"
    assert error["type"] == kind, error
    assert re.search(message, error["message"]), error["message"]
