"""The problem that is being measured: its arrays on disk and its float64 references."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.protocol import equivalence, flow
from benchmarks.harness.protocol.arrays import read_arrays, under, write_arrays
from benchmarks.harness.protocol.cells import UNFROZEN
from benchmarks.scenarios import CATALOGUE, Scenario
from benchmarks.scenarios.external import errors
from benchmarks.scenarios.spec import part_of

Matrix = dict[str, dict[str, str]]  # loss → network → value, zero or absent
Flows = dict[tuple[str, str], dict[str, Matrix]]  # (scenario, variant) → framework → its matrix


class Untrusted(Exception):
    """A reference that nothing can be held to."""

    outcome = "wrong_gradients"


class ReferencesDisagree(Untrusted):
    """The two float64 references do not agree."""


class WrongFlow(Untrusted):
    """A loss reaches what it should not, or does not reach what it should."""


class ProblemFiles:
    """Weights and data of (scenario, variant, size), drawn once, as files for the workers.

    ``unsound`` are the frameworks whose part of a user's own scenario was found wrong, and how.
    ``flows`` are the flows proven so far, of this problem and of any other: see `Flows`. Raises
    `SpecError` where a user's own spec cannot draw them.
    """

    def __init__(self, scenario: str, variant: str, size: str, flows: Flows | None = None) -> None:
        self.spec = CATALOGUE[scenario]
        self.variant, self.size = variant, size
        self.facts = self.spec.facts(variant, size)
        self.unsound: dict[str, Exception] = {}
        self._flows: Flows = {} if flows is None else flows
        weights, data = _drawn(self.spec, variant, size)
        self._folder = tempfile.TemporaryDirectory(prefix="cascade-bench-")
        self.folder = Path(self._folder.name)
        write_arrays(self.weights, weights)
        write_arrays(self.data, data)
        self._references: dict[tuple[str, str, bool], str] = {}
        self._probed: set[str] = set()
        self._agreed: set[tuple[Any, ...]] = set()

    @property
    def problem(self) -> tuple[str, str, str]:
        """Return scenario, variant and size."""
        return self.spec.name, self.variant, self.size

    @property
    def weights(self) -> str:
        return str(self.folder / "weights.npz")

    @property
    def data(self) -> str:
        return str(self.folder / "data.npz")

    def open_in(self, launch: Launch, timeout: float = 300.0) -> None:
        """Open the problem in a worker."""
        launch.ask("open", timeout, facts=self.facts, weights=self.weights, data=self.data)

    def gradients(
        self,
        launch: Launch,
        kind: str,
        name: str,
        phase: str,
        mode: str | None = None,
        *,
        again: bool = False,
    ) -> dict[str, Any]:
        """What one run of the strategy or recipe leaves: ``gradient/…`` and ``updated/…``.

        In the framework's own mode, unless another is named. With ``again`` what a second run
        leaves, as those of a timed block follow each other.
        """
        out = str(self.folder / f"gradients-{launch.framework}.npz")
        launch.ask("gradients", kind=kind, name=name, phase=phase, mode=mode, out=out, again=again)
        return read_arrays(out)

    def reference(self, launches: Mapping[str, Launch], kind: str, phase: str) -> dict[str, str]:
        """Framework → file with its float64 ``gradient/…``, to hold a cell of this phase to.

        For phase ``step`` also ``updated/…`` after one step and ``start/…`` before it. For kind
        ``freeze`` it is that of nothing frozen. Raises `ReferencesDisagree` where two frameworks'
        references differ by more than rounding. A framework whose part of a user's own scenario is
        wrong is left out, and `unsound` says how: the other part is no worse for it.
        """
        step = phase == "step"
        for framework, begun in self._all_begun(launches, kind, step).items():
            try:
                kept = self._kept(launches[framework], kind, step, begun.result())
                self._references[framework, kind, step] = kept
            except (WorkerFailed, WrongFlow) as error:
                if self.spec.file is None:
                    raise
                self.unsound[framework] = error
        sound = [framework for framework in launches if framework not in self.unsound]
        files = {framework: self._references[framework, kind, step] for framework in sound}
        agreeing = (*sorted(files), kind, step)
        if len(files) == 2 and agreeing not in self._agreed:
            problem = disagreement(self, *(read_arrays(path) for path in files.values()))
            if problem:
                raise ReferencesDisagree(f"the frameworks' float64 references differ: {problem}")
            self._agreed.add(agreeing)
        return files

    def _all_begun(
        self, launches: Mapping[str, Launch], kind: str, step: bool
    ) -> dict[str, Future[dict[str, Any]]]:
        """The gradients of every framework that lacks a reference; all at once, a core each."""
        lacking = [
            framework
            for framework in launches
            if (framework, kind, step) not in self._references and framework not in self.unsound
        ]
        with ThreadPoolExecutor(max(1, len(lacking))) as pool:
            return {f: pool.submit(self._begun, launches[f], kind) for f in lacking}

    def _begun(self, launch: Launch, kind: str) -> dict[str, Any]:
        self.open_in(launch)
        if self._to_be_probed(launch.framework):
            self.probe(launch)
        return self.gradients(launch, kind, self._baseline(kind), "gradient")

    def _baseline(self, kind: str) -> str:
        return self.spec.baseline if kind == "backward" else UNFROZEN

    def _kept(self, launch: Launch, kind: str, step: bool, arrays: dict[str, Any]) -> str:
        if step:
            arrays |= self._updated(launch, kind, self._baseline(kind))
            arrays |= {f"start/{n}": a for n, a in read_arrays(self.weights).items()}
        launch.ask("close")
        path = self.folder / f"reference-{launch.framework}-{kind}{'-step' if step else ''}.npz"
        write_arrays(path, arrays)
        return str(path)

    def _updated(self, launch: Launch, kind: str, baseline: str) -> dict[str, Any]:
        """``updated/…`` after one step; another framework's, where that has been taken.

        Their gradients must agree here, and their optimizers are proven to agree by the checks;
        compiling one more step would cost JAX a second. Running statistics differ between the
        frameworks by design and are left out then.
        """
        for (framework, of_kind, step), path in self._references.items():
            if step and of_kind == kind and framework != launch.framework:
                names = self.spec.parameters_of(self.variant, self.size)
                taken = under(read_arrays(path), "updated")
                return {f"updated/{name}": taken[name] for name in names}
        return _keeping(self.gradients(launch, kind, baseline, "step"), "updated")

    def _to_be_probed(self, framework: str) -> bool:
        """Ours once a session and variant, whatever the size; a user's own in every problem."""
        if self.spec.file:
            return framework not in self._probed
        return framework not in self.flows

    def probe(self, launch: Launch) -> None:
        """Hold the open problem's flow to the spec, and of a user's own its losses first.

        Raises `WorkerFailed` where forward fails or a loss is no scalar, `WrongFlow` where a
        gradient stands where it should not.
        """
        if self.spec.file:
            launch.ask("probe")
        states = launch.ask("flow")
        wrong = list(flow.mistakes(states, self.spec, self.variant, launch.framework))
        if wrong:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise WrongFlow(f"{self._part(launch)}: the flow does not hold: {wrong[0]}{more}")
        proven = flow.matrix(states, self.spec.variants[self.variant].networks)
        self.flows[launch.framework] = proven
        self._probed.add(launch.framework)

    @property
    def flows(self) -> dict[str, Matrix]:
        """Framework → the flow of this scenario and variant as it was proven, at whatever size."""
        return self._flows.setdefault((self.spec.name, self.variant), {})

    def _part(self, launch: Launch) -> str:
        """Where the scenario stands in this framework, and its name."""
        if self.spec.file:
            return f"{part_of(self.spec.file, launch.framework).name}: {self.spec.name}"
        return f"impl_{launch.framework}/{self.spec.family}.py: {self.spec.name}"

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()


def _drawn(spec: Scenario, variant: str, size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        return spec.draw(variant, size)
    except Exception as error:
        if spec.file is None:
            raise
        what = f"drawing {spec.name} at size {size!r}"
        raise errors.SpecError(f"{errors.told(error, spec.file)} ({what})") from error


def _keeping(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Those whose name starts with ``prefix/``, with it."""
    return {name: array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


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
        long_sums=equivalence.long_sums(files.spec.kink_margin(files.variant, files.size)),
    ).problem
