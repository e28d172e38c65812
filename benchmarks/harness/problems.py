"""The problem that is being measured: its arrays on disk and its float64 references."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import equivalence
from benchmarks.harness.arrays import read_arrays, under, write_arrays
from benchmarks.harness.launch import Launch
from benchmarks.scenarios import CATALOGUE


class ReferenceError(Exception):
    """The float64 references cannot be had, or do not agree: nothing here can be checked."""


class ProblemFiles:
    """Weights and data of (scenario, variant, size), drawn once, as files for the workers."""

    def __init__(self, scenario: str, variant: str, size: str) -> None:
        self.spec = CATALOGUE[scenario]
        self.variant, self.size = variant, size
        self.facts = self.spec.facts(variant, size)
        self._folder = tempfile.TemporaryDirectory(prefix="cascade-bench-")
        self.folder = Path(self._folder.name)
        weights, data = self.spec.draw(variant, size)
        write_arrays(self.weights, weights)
        write_arrays(self.data, data)
        self._references: dict[str, str] = {}

    @property
    def weights(self) -> str:
        return str(self.folder / "weights.npz")

    @property
    def data(self) -> str:
        return str(self.folder / "data.npz")

    def open_in(self, launch: Launch, timeout: float = 300.0) -> None:
        """Open the problem in a worker."""
        launch.ask("open", timeout, facts=self.facts, weights=self.weights, data=self.data)

    def gradients(self, launch: Launch, strategy: str, phase: str) -> dict[str, Any]:
        """What one run of the strategy leaves: ``gradient/…`` and ``updated/…``."""
        out = str(self.folder / "gradients.npz")
        launch.ask("gradients", strategy=strategy, phase=phase, out=out)
        return read_arrays(out)

    def reference(self, launches: Mapping[str, Launch]) -> dict[str, str]:
        """Framework → file with its float64 ``gradient/…``, ``updated/…`` and ``start/…``.

        Raises `ReferenceError` where two frameworks' references differ by more than rounding.
        """
        for framework, launch in launches.items():
            if framework not in self._references:
                self._references[framework] = self._computed(framework, launch)
        files = [self._references[framework] for framework in launches]
        if len(files) == 2:
            problem = disagreement(self, read_arrays(files[0]), read_arrays(files[1]))
            if problem:
                raise ReferenceError(f"the frameworks' float64 references differ: {problem}")
        return {framework: self._references[framework] for framework in launches}

    def _computed(self, framework: str, launch: Launch) -> str:
        self.open_in(launch)
        baseline = self.spec.baseline
        arrays = {f"start/{n}": a for n, a in read_arrays(self.weights).items()}
        arrays |= self.gradients(launch, baseline, "step")  # torch's .grad is there afterwards
        arrays |= self.gradients(launch, baseline, "gradient")
        launch.ask("close")
        path = self.folder / f"reference-{framework}.npz"
        write_arrays(path, arrays)
        return str(path)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()


def disagreement(
    files: ProblemFiles, one: Mapping[str, Any], other: Mapping[str, Any]
) -> str | None:
    """What is wrong between two float64 references; None if they agree."""
    return equivalence.compare(
        under(one, "gradient"),
        under(other, "gradient"),
        allowed=equivalence.REFERENCES_AGREE,
        dtype="float64",
        networks=list(files.spec.variants[files.variant].networks),
        zero_gradient=files.spec.zero_gradient,
    ).problem
