"""Compute the float64 gradients of a problem that every timed cell is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness.launches import zero_gradients
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.unreliable import (
    IncompleteReference,
    ReferencesDisagree,
    WrongFlow,
    WronglyDeclared,
)
from benchmarks.harness.launches.worker_errors import WorkerFailed, WorkerTimeout
from benchmarks.harness.protocol import equivalence, flow
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix, write_arrays
from benchmarks.harness.protocol.cells import UNFROZEN
from benchmarks.scenarios import Scenario
from benchmarks.scenarios.spec import part_of
from results.records.texts import first_names

if TYPE_CHECKING:
    from benchmarks.harness.launches.problems import ProblemFiles
    from benchmarks.harness.launches.reference_store import ReferenceStore

Matrix = dict[str, dict[str, str]]  # loss → network → value, zero or absent
Flows = dict[tuple[str, str], dict[str, Matrix]]  # (scenario, variant) → framework → its matrix


class Float64References:
    """Compute the float64 gradients of a problem that every timed cell is compared with.

    Each framework computes a reference of its own, and the two must agree. Before its reference is
    taken, a framework must show that each loss changes the networks that the scenario declares,
    and no others. The scenarios of this suite are examined once for each variant, at whatever size
    comes first; a user's own scenario is examined in every problem.

    Args:
        files: the problem.
        flows: the flows proven so far, of this problem and of others.
        store: where references are kept from session to session; None: nowhere.

    Attributes:
        failures: framework → why its part of a user's own scenario is wrong, or takes too long. It
            has no reference then, but the other framework's part can still be measured.
    """

    def __init__(
        self,
        files: ProblemFiles,
        flows: Flows | None = None,
        store: ReferenceStore | None = None,
    ) -> None:
        self.files, self._store = files, store
        self.failures: dict[str, Exception] = {}
        self._flows: Flows = {} if flows is None else flows
        self._paths: dict[tuple[str, str, bool], str] = {}  # framework, kind, whether of a step
        self._examined: set[str] = set()
        self._agreeing: set[tuple[Any, ...]] = set()

    @property
    def flows(self) -> dict[str, Matrix]:
        """Return the flows proven so far for this scenario and variant, at whatever size.

        Framework → loss → network → ``value``, ``zero`` or ``absent``.
        """
        return self._flows.setdefault((self.files.spec.name, self.files.variant), {})

    def compute(self, launches: Mapping[str, Launch], kind: str, phase: str) -> dict[str, str]:
        """Return the reference file of each framework for the cells of one kind and phase.

        Args:
            launches: framework → a float64 worker. Workers compute the references that are still
                missing, all at once.
            kind: ``backward`` or ``freeze``. The reference of ``freeze`` has nothing frozen.
            phase: of the cells.

        Returns:
            Framework → path of an .npz file with ``gradient/…``; with ``zero/…``, the elements
            whose true gradient is 0, of parameters that have any; and in phase ``step`` with
            ``start/…`` before the step and ``updated/…`` after it. Without those in `failures`.

        Raises:
            ReferencesDisagree: the references of two frameworks differ by more than rounding.
            IncompleteReference: a reference lacks a gradient that it must have.
            WronglyDeclared: a gradient that the scenario declares to be 0 is not.
            WrongFlow: the flow of a scenario of this suite is not the one declared.
            WorkerError: a worker failed over a scenario of this suite, or is gone.
        """
        step = phase == "step"
        self._load_stored(launches, kind, step)
        computed = self._compute_missing(launches, kind, step)
        sound = [framework for framework in launches if framework not in self.failures]
        paths = {framework: self._paths[framework, kind, step] for framework in sound}
        self._demand_agreement(paths, kind, step)
        if self._store:
            for framework in computed:
                proven, path = self.flows[framework], paths[framework]
                self._store.save(framework, kind, step=step, path=path, flow=proven)
        return paths

    def _load_stored(self, frameworks: Iterable[str], kind: str, step: bool) -> None:
        """Take over the references, with their flows, that an earlier session has stored."""
        if self._store is None:
            return
        for framework in frameworks:
            if (framework, kind, step) not in self._paths:
                path = self._path(framework, kind, step)
                proven = self._store.load(framework, kind, step=step, path=path)
                if proven is not None:
                    self._paths[framework, kind, step] = str(path)
                    self.flows[framework] = proven

    def _path(self, framework: str, kind: str, step: bool) -> Path:
        """Return the file of a reference in the folder of the problem."""
        return self.files.folder / f"reference-{framework}-{kind}{'-step' if step else ''}.npz"

    def _compute_missing(self, launches: Mapping[str, Launch], kind: str, step: bool) -> list[str]:
        """Compute and save the missing references; a user's own part may fail, see `failures`.

        Args:
            launches: framework → a float64 worker.
            kind: ``backward`` or ``freeze``.
            step: whether the reference includes the parameters after an optimizer step.

        Returns:
            The frameworks whose reference was computed.
        """
        computed = []
        for framework, future in self._run_missing(launches, kind, step).items():
            try:
                path = self._save(launches[framework], kind, step, future.result())
                self._paths[framework, kind, step] = path
                computed.append(framework)
            except (WorkerFailed, WorkerTimeout, WrongFlow, IncompleteReference) as error:
                if self.files.spec.file is None:
                    raise
                self.failures[framework] = error
        return computed

    def _run_missing(
        self, launches: Mapping[str, Launch], kind: str, step: bool
    ) -> dict[str, Future[dict[str, Any]]]:
        """Run the baseline in every framework that lacks this reference, all at once.

        Returns:
            Framework → future of its arrays ``gradient/<parameter>``.
        """
        self._fail_known_time_outs(launches)
        missing = [
            framework
            for framework in launches
            if (framework, kind, step) not in self._paths and framework not in self.failures
        ]
        with ThreadPoolExecutor(max(1, len(missing))) as pool:
            return {f: pool.submit(self._run_baseline, launches[f], kind) for f in missing}

    def _fail_known_time_outs(self, frameworks: Iterable[str]) -> None:
        """Fail the frameworks in which the scenario took too long before, in another problem."""
        for framework in frameworks:
            known = self.files.time_outs.find(self.files.spec, framework)
            if known:
                self.failures[framework] = known

    def _run_baseline(self, launch: Launch, kind: str) -> dict[str, Any]:
        """Open the problem in a worker, check its flow if need be, and run the baseline.

        Returns:
            ``gradient/<parameter>`` in float64, which is the reference.
        """
        self.files.open_in(launch)
        with self.files.limited(launch):
            if self._must_examine(launch.framework):
                self.check_flow(launch)
            return self.files.gradients(launch, kind, self._baseline(kind), "gradient")

    def _baseline(self, kind: str) -> str:
        """Return the strategy or recipe whose float64 gradients are the reference for this kind."""
        return self.files.spec.baseline if kind == "backward" else UNFROZEN

    def _save(self, launch: Launch, kind: str, step: bool, arrays: dict[str, Any]) -> str:
        """Write a reference to a file, close the problem in the worker, and return the file's path.

        Args:
            launch: the worker that computed the reference, with the problem still open.
            kind: ``backward`` or ``freeze``.
            step: whether to add the parameters before and after an optimizer step.
            arrays: ``gradient/<parameter>``.
        """
        self._demand_complete(launch.framework, kind, arrays)
        with self.files.limited(launch):
            if step:
                arrays |= self._updated(launch, kind)
                start = read_arrays(self.files.weights)
                arrays |= {f"start/{name}": array for name, array in start.items()}
            launch.ask("close")
        path = self._path(launch.framework, kind, step)
        write_arrays(path, arrays)
        return str(path)

    def _demand_complete(self, framework: str, kind: str, arrays: Mapping[str, Any]) -> None:
        """Raise `IncompleteReference` unless a reference has exactly the gradients that it must.

        Those are of every parameter that a loss reaches; of kind ``backward`` the trained ones. By
        itself a framework's reference would agree with cells that leave the same ones out.

        Args:
            framework: whose reference it is.
            kind: ``backward`` or ``freeze``.
            arrays: ``gradient/<parameter>``.
        """
        problem_spec = self.files.problem_spec
        flow_of = problem_spec["flow" if kind == "backward" else "reach"]
        demanded, there = set(reached(flow_of)), set(select_prefix(arrays, "gradient"))
        place = f"{_implementation(self.files.spec, framework)}: the float64 reference"
        if demanded - there:
            raise IncompleteReference(
                f"{place} lacks the gradient of {first_names(sorted(demanded - there))}"
            )
        if there - demanded:
            raise IncompleteReference(
                f"{place} has a gradient of {first_names(sorted(there - demanded))}, "
                "which no loss reaches or which is frozen"
            )

    def _updated(self, launch: Launch, kind: str) -> dict[str, Any]:
        """Return the parameters after one step, as ``updated/<parameter>``.

        They come from the other framework's reference if that has made the step already. That is as
        good: the gradients of both must agree here, and checks prove that the optimizers agree. One
        more compiled step would cost JAX a second. Running statistics are left out then, as they
        differ between the frameworks by design.
        """
        for (framework, of_kind, step), path in self._paths.items():
            if step and of_kind == kind and framework != launch.framework:
                names = self.files.spec.parameters_of(self.files.variant, self.files.size)
                updated = select_prefix(read_arrays(path), "updated")
                return {f"updated/{name}": updated[name] for name in names}
        arrays = self.files.gradients(launch, kind, self._baseline(kind), "step")
        return {name: array for name, array in arrays.items() if name.startswith("updated/")}

    def _must_examine(self, framework: str) -> bool:
        """Return whether `check_flow` must run before this framework's reference is computed.

        A scenario of this suite is examined once for each variant, a user's own in every problem.
        """
        if self.files.spec.file:
            return framework not in self._examined
        return framework not in self.flows

    def check_flow(self, launch: Launch) -> None:
        """Compare the flow of the problem that is open in a worker with the scenario's spec.

        The losses of a user's own scenario are run first.

        Raises:
            WorkerFailed: forward fails, or a loss is no scalar.
            WrongFlow: a loss has a gradient where it must have none, or has none.
        """
        spec, variant = self.files.spec, self.files.variant
        if spec.file:
            launch.ask("probe")
        states = launch.ask("flow")
        wrong = list(flow.mistakes(states, spec, variant, launch.framework))
        if wrong:
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            place = _implementation(spec, launch.framework)
            raise WrongFlow(f"{place}: the flow does not hold: {wrong[0]}{more}")
        self.flows[launch.framework] = flow.matrix(states, spec.variants[variant].networks)
        self._examined.add(launch.framework)

    def _demand_agreement(self, paths: Mapping[str, str], kind: str, step: bool) -> None:
        """Check the references against each other and the spec, and mark their zero elements.

        Args:
            paths: framework → file of its reference.
            kind: ``backward`` or ``freeze``.
            step: whether the references include an optimizer step.

        Raises:
            ReferencesDisagree, WronglyDeclared: see `compute`.
        """
        key = (*sorted(paths), kind, step)
        if not paths or key in self._agreeing:
            return
        references = {path: read_arrays(path) for path in paths.values()}
        problem = disagreement(self.files, *references.values()) if len(references) == 2 else None
        if problem:
            raise ReferencesDisagree(f"the frameworks' float64 references differ: {problem}")
        problem = zero_gradients.mark(*self.files.place, references)
        if problem:
            raise WronglyDeclared(problem)
        self._agreeing.add(key)


def reached(reach: Mapping[str, Iterable[str]]) -> list[str]:
    """Return every parameter that any loss reaches, each once; ``reach`` is loss → parameters."""
    return list(dict.fromkeys(name for names in reach.values() for name in names))


def _implementation(spec: Scenario, framework: str) -> str:
    """Return where a framework implements a scenario, as ``file: scenario``, for messages."""
    if spec.file:
        return f"{part_of(spec.file, framework).name}: {spec.name}"
    return f"impl_{framework}/{spec.family}.py: {spec.name}"


def disagreement(
    files: ProblemFiles, one: Mapping[str, Any], other: Mapping[str, Any]
) -> str | None:
    """Return a sentence about where two float64 references of a problem differ; None if they agree.

    Args:
        files: the problem.
        one: ``gradient/<parameter>`` of every parameter.
        other: the same, of another framework or version.
    """
    first, second = (select_prefix(arrays, "gradient") for arrays in (one, other))
    return equivalence.compare(
        first,
        second,
        allowed=equivalence.REFERENCES_AGREE,
        dtype="float64",
        networks=list(files.spec.variants[files.variant].networks),
        zero_gradient=files.spec.zero_gradient,
        zero_elements=zero_gradients.find(*files.place, first, second),
        long_sums=equivalence.long_sums(files.spec.kink_margin(files.variant, files.size)),
    ).problem
