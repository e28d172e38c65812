"""Hold the references and the bounds of a case of a user's own, for all its workers."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix
from benchmarks.harness.protocol.case_messages import CaseFacts, CaseJob
from benchmarks.harness.protocol.cells import UNFROZEN, shows_frozen_gradients, strategy_of
from benchmarks.harness.protocol.messages import GateRules

# A strategy may be this much further from the reference than the summed loss in float32: it adds
# up in another order.
TIMES_THE_SUM = 8.0
OPEN_SECONDS = 60.0  # that the user's function and a few passes may take


class CaseFiles:
    """Hold what is known about one case in one framework.

    It has the interface of `benchmarks.harness.launches.problems.ProblemFiles` as far as a group
    is measured by it.

    Args:
        case: where the function that builds it stands.
        framework: ``torch`` or ``jax``.

    Attributes:
        facts: what the examination found out; None before `examine`.
        dtype: of the reference: float64, or float32 where the case does not run in float64.
        allowed: largest relative difference of a tensor from the reference.
        sum_error: the relative error of the summed loss's gradient in float32; None where the
            reference is of float32 itself.
        limit: seconds that a worker may take to open the case.
    """

    def __init__(self, case: CaseJob, framework: str, limit: float = OPEN_SECONDS) -> None:
        self.case, self.framework, self.limit = case, framework, limit
        self._folder = tempfile.TemporaryDirectory(prefix="cascade-bench-")
        self.folder = Path(self._folder.name)
        self.facts: CaseFacts | None = None
        self.dtype = "float64"
        self.allowed = equivalence.ROUNDING
        self.sum_error: float | None = None
        self.zero_gradient: list[str] = []
        self.failures: dict[str, Exception] = {}  # see `Float64References`; a case has none
        self.flows: dict[str, Any] = {}

    @property
    def references(self) -> CaseFiles:
        """Return this object, which computes the references too."""
        return self

    @property
    def known_facts(self) -> CaseFacts:
        """Return the facts; `examine` must have been called."""
        assert self.facts is not None
        return self.facts

    def examine(
        self,
        launch: Launch,
        dtype: str,
        kinds: list[str],
        seconds: float | None = None,
        *,
        hand_over: bool = False,
    ) -> CaseFacts:
        """Have a worker find out what the case is, and compute its references.

        Args:
            launch: a worker of this dtype.
            dtype: of the reference.
            kinds: those whose reference includes an optimizer step.
            seconds: after which no central difference is begun; None: no limit.
            hand_over: whether it writes the file that the other framework's case starts from.

        Raises:
            WorkerError: the case cannot be run.
        """
        self.dtype = dtype
        out = str(self.folder)
        arguments: dict[str, Any] = {"case": self.case, "out": out, "kinds": kinds}
        arguments["seconds"] = seconds
        if hand_over:
            arguments["hand_over"] = True
        self.facts = launch.ask("examine_case", self.limit, **arguments)
        gradient = select_prefix(read_arrays(self.folder / "reference.npz"), "gradient")
        networks = list(self.known_facts["networks"])
        self.zero_gradient = equivalence.dead_tensors(gradient, networks, ())
        if dtype == "float32":
            self.allowed = equivalence.ROUNDING_OF_LONG_SUMS
        return self.known_facts

    @property
    def off_from_float64(self) -> str:
        """Return in words how far the gradient of the summed loss in float32 is off, as a verb."""
        if self.sum_error is None:
            return "has a gradient that is not finite, or not of the same parameters as in float64"
        return f"is off by {self.sum_error:.2g} from float64"

    def judge_the_sum(self, launch: Launch) -> float:
        """Have a float32 worker run the summed loss, and set the bound of all cells by its error.

        The bound is never above that of a network with kinks. Where the sum itself is further off,
        float32 cannot be held to float64 here, and float32 becomes the reference.

        Returns:
            Seconds that the first pass took, the case being built: JAX compiles in it.
        """
        self.open_in(launch)
        start = time.monotonic()
        out = str(self.folder / "sum.npz")
        arguments = {"kind": "backward", "name": "summed", "phase": "gradient", "out": out}
        launch.ask("gradients", self.limit, **arguments)
        seconds = time.monotonic() - start
        true = select_prefix(read_arrays(self.folder / "reference.npz"), "gradient")
        trained = {n: a for n, a in true.items() if n not in self.unchanged}
        difference = equivalence.compare(
            select_prefix(read_arrays(out), "gradient"),
            trained,
            allowed=float("inf"),
            dtype="float32",
            networks=list(self.known_facts["networks"]),
            zero_gradient=tuple(self.zero_gradient),
        )
        if np.isfinite(difference.relative):
            self.sum_error = difference.relative
            wanted = max(equivalence.ROUNDING, TIMES_THE_SUM * difference.relative)
            self.allowed = min(equivalence.KINKS, wanted)
        return seconds

    def pass_seconds(self, launch: Launch) -> tuple[float, float]:
        """Return the seconds of one forward and backward pass, and of the first beside it.

        Args:
            launch: a worker in which the case is open.

        Raises:
            WorkerError: the case cannot be run.
        """
        out = str(self.folder / "call.npz")
        arguments = {"kind": "backward", "name": "summed", "phase": "gradient", "out": out}
        start = time.monotonic()
        launch.ask("gradients", self.limit, **arguments)
        once = time.monotonic() - start
        start = time.monotonic()
        launch.ask("gradients", self.limit, again=True, **arguments)
        call = max(0.0, time.monotonic() - start - once)
        return call, max(0.0, once - call)

    @property
    def start(self) -> Path:
        """Return the file of weights and batch, which the other framework's case starts from."""
        return self.folder / "start.npz"

    def gradient(self, file: str = "reference.npz") -> dict[str, Any]:
        """Return name → gradient of the summed loss, of one of the files of an examination."""
        return select_prefix(read_arrays(self.folder / file), "gradient")

    @property
    def unchanged(self) -> list[str]:
        """Return the parameters that are frozen, or that no loss reaches."""
        return [*self.known_facts["frozen"], *self.known_facts["untouched"]]

    def compute(self, launches: Mapping[str, Launch], kind: str, phase: str) -> dict[str, str]:
        """Return framework → file of the reference; see `Float64References.compute`.

        `examine` has computed all references already.
        """
        name = f"reference-{kind}.npz" if phase == "step" else "reference.npz"
        return {self.framework: str(self.folder / name)}

    def open_in(self, launch: Launch, timeout: float | None = None) -> None:
        """Have a worker build the case."""
        launch.ask("open_case", timeout or self.limit, case=self.case, facts=self.known_facts)

    def rules_of_group(self, group: Mapping[str, Any]) -> GateRules:
        """Return the bounds by which the gate judges every cell of a group.

        Args:
            group: ``phase`` and ``dtype`` of the group.
        """
        return {
            "allowed": self.allowed,
            "dtype": group["dtype"],
            "phase": group["phase"],
            "networks": list(self.known_facts["networks"]),
            "zero_gradient": self.zero_gradient,
            "exact_zero": [],
            "optimizer": "adam",  # whatever it is: some scale a gradient near 0 to a whole step
        }

    def rules_of_cell(self, name: str, phase: str) -> GateRules:
        """Return the parameters that a cell must leave unchanged, and those without a gradient."""
        way = strategy_of(name)
        return {
            "still": [] if way == UNFROZEN else self.unchanged,
            "no_gradient": [] if shows_frozen_gradients(way, phase) else self.unchanged,
        }

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()


def key_of(case: CaseJob, framework: str) -> str:
    """Return a text that is the same for the same case in the same framework."""
    return json.dumps([case, framework], sort_keys=True)
