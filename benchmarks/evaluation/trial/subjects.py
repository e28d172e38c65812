"""Run the trial's cells in workers.

Problems and their float64 reference gradients are computed once, for all workers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

from benchmarks.evaluation.trial import plan
from benchmarks.evaluation.trial.plan import Subject
from benchmarks.harness.launches import requests
from benchmarks.harness.launches.affinity import pin
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol.cells import DEFAULT_MODES, EAGER
from benchmarks.harness.protocol.messages import PrepareRequest

WORKER = "benchmarks.evaluation.trial.worker"


class WrongGradients(Exception):
    """A cell of the trial has wrong gradients; nothing is timed then."""


class Subjects:
    """Hold the problem files and float64 reference gradients of these cells.

    Use it as a context manager: entering computes the gradients, leaving removes the files.
    """

    def __init__(self, subjects: Iterable[Subject] = plan.SUBJECTS) -> None:
        self.subjects = list(subjects)
        self._cache = tempfile.TemporaryDirectory(prefix="cascade-bench-trial-")
        self.files: dict[tuple[str, str, str], ProblemFiles] = {}
        self._references: dict[tuple[tuple[str, str, str], str], dict[str, str]] = {}

    def __enter__(self) -> Subjects:
        launches = {f: self.launch(f, dtype="float64") for f in plan.FRAMEWORKS}
        try:
            for subject in self.subjects:
                self._add_reference(subject, launches)
        except BaseException:
            self._remove_files()  # without a successful __enter__ there is no __exit__
            raise
        finally:
            for launch in launches.values():
                launch.kill()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove_files()

    def _remove_files(self) -> None:
        """Remove the problems' files and JAX's cache of compiled programs."""
        for files in self.files.values():
            files.close()
        self._cache.cleanup()

    def _add_reference(self, subject: Subject, launches: Mapping[str, Launch]) -> None:
        """Compute the cell's reference gradients, and its problem's files if they are missing.

        ``launches`` has a worker in float64 for each framework.
        """
        key = subject.problem
        if key not in self.files:
            self.files[key] = ProblemFiles(*key)
        self._references[key, subject.phase] = self.files[key].references.compute(
            launches, "backward", subject.phase
        )

    def launch(self, framework: str, dtype: str = "float32", core: int = plan.CORE) -> Launch:
        """Start a fresh worker on one core; JAX programs come from the cache of this trial."""
        prefix = ("taskset", "-c", str(core))
        return Launch(framework, dtype=dtype, cache=self.cache, prefix=prefix, module=WORKER)

    @property
    def cache(self) -> str:
        """Return the path of the folder in which JAX keeps its compiled programs."""
        return self._cache.name

    def prepare(self, launches: Sequence[Launch], subject: Subject) -> int:
        """Open the cell in each worker, check its gradients, and warm it up on the trial's core.

        The workers prepare at the same time on all cores, as nothing is timed yet.

        Returns:
            The calls of a sample.

        Raises:
            WrongGradients: the gradients differ from the reference.
        """
        for i, launch in enumerate(launches):
            pin(launch, plan.CORES[i % len(plan.CORES)])
            self.files[subject.problem].open_in(launch)
            launch.send("prepare", **self._preparation(subject))
        for launch in launches:
            answer = launch.receive(300.0)[subject.strategy]
            if answer.get("equivalence") != "pass":
                raise WrongGradients(
                    f"{subject.id}: {answer.get('error') or answer['equivalence']}"
                )
            pin(launch, plan.CORE)
        warm = [launch.ask("warm", calls={subject.strategy: None}) for launch in launches]
        return max(sizes[subject.strategy] for sizes in warm)

    def _preparation(self, subject: Subject) -> PrepareRequest:
        """Return the arguments of the worker's request ``prepare`` for a cell."""
        cell = {
            "kind": "backward",
            "phase": subject.phase,
            "mode": DEFAULT_MODES.get(subject.framework, EAGER),
            "dtype": "float32",
        }
        reference = self._references[subject.problem, subject.phase][subject.framework]
        files = self.files[subject.problem]
        return requests.prepare_request(cell, files, reference, [subject.strategy])
