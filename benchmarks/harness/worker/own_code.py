"""Open and examine a case of a user's own: any networks, any function of their losses."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from benchmarks.harness.protocol import case_messages, messages
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays
from benchmarks.harness.worker.base import Base
from benchmarks.harness.worker.case_files import (
    CaseFunction,
    CaseMistakeError,
    leave_process_to,
    mistake,
    place_of,
)
from benchmarks.harness.worker.slopes import described
from benchmarks.harness.worker.weight_moves import Moves, Start


class OwnCode(Base):
    """Add the operations ``open_case``, ``examine_case`` and ``check_case``."""

    _case_source: case_messages.CaseSource | None = None
    _case_function: CaseFunction | None = None
    _case_folder = ""
    _moves: Moves | None = None  # of a case that starts from another's weights
    _taken: list[str]  # and the parts of its batch that were replaced by the other's

    def do_open_case(
        self, case: case_messages.CaseJob, facts: case_messages.CaseFacts
    ) -> messages.NoResult:
        """Build the user's case; it is then the open problem, to which later requests refer.

        Args:
            case: where the function that builds it stands.
            facts: what an examination in another process has found out.
        """
        opened = self._open(case, facts)
        differing = [n for n, p in facts["prints"].items() if opened.prints.get(n) != p]
        if differing or set(opened.prints) != set(facts["prints"]):
            name = differing[0] if differing else "the set of tensors"
            raise CaseMistakeError(
                f"{name} differs from process to process: the function builds another case each "
                "time it is called",
                "draw weights and data from torch's or JAX's generators, or from a seed of your "
                "own, and read no changing file",
            )
        self.problem, self.inputs = opened, []
        return {}

    def do_examine_case(
        self,
        case: case_messages.CaseJob,
        out: str,
        kinds: list[str],
        seconds: float | None,
        hand_over: bool = False,
    ) -> case_messages.CaseFacts:
        """Build the user's case, and find out what its losses reach; see `case_messages.CaseFacts`.

        Args:
            case: where the function that builds it stands.
            out: the folder for the references, ``reference.npz`` and ``reference-<kind>.npz``.
            kinds: those whose reference includes an optimizer step.
            seconds: after which no central difference is begun; None: no limit.
            hand_over: whether to write ``start.npz`` too: weights and batch, for the other
                framework's case. A case that starts from such a file writes
                `case_messages.BY_TORCH_PARAMETERS` too.
        """
        until = math.inf if seconds is None else time.monotonic() + seconds
        module = importlib.import_module(f"impl_{self.framework}.case_examination")
        opened = self._open(case, None)
        with self.working(), module.precision(self.session.dtype):
            confirm = partial(described, until=until)
            untyped_facts, gradient = module.examine(opened, case["seed"], confirm)
        assert self._case_function is not None
        place = {"file": self._case_function.file, "line": self._case_function.line}
        untyped_facts |= place | self._moved_weights(gradient, out) | {"prints": opened.prints}
        facts = cast("case_messages.CaseFacts", untyped_facts)
        if hand_over:
            weights = importlib.import_module(f"impl_{self.framework}.case_weights")
            write_arrays(f"{out}/start.npz", weights.handed_over(opened, facts["untouched"]))
        arrays = {f"gradient/{name}": array for name, array in gradient.items()}
        write_arrays(f"{out}/reference.npz", arrays)
        for kind in kinds:
            if kind == "freeze" and not facts["frozen"]:
                continue
            with self.working(), module.precision(self.session.dtype):
                step = module.step(opened, kind, facts)
            write_arrays(f"{out}/reference-{kind}.npz", arrays | step)
        return facts

    def do_check_case(
        self, case: case_messages.CaseJob, steps: int
    ) -> case_messages.CaseObservation:
        """Take training steps of the user's own, and observe what they do.

        Args:
            case: where the function that builds it stands.
            steps: how many to take.
        """
        observation = importlib.import_module(f"impl_{self.framework}.step_observation")
        with self._own_process(case):
            function = CaseFunction(case["source"], case["folder"], case.get("path", ()))
            self._case_function = function
            place: tuple[str, int | None] = ("", None)

            def make() -> Any:
                nonlocal place
                built = function.check(function.make())
                if callable(step := getattr(built, "step", None)):
                    place = place_of(step)
                return built

            with self.working():
                seen = observation.observe(make, case["seed"], steps)
        return {
            "file": function.file,
            "line": function.line,
            "step_file": place[0] or function.file,
            "step_line": place[1] or function.line,
            "observation": seen,
        }

    def _moved_weights(self, gradient: Mapping[str, Any], out: str) -> dict[str, Any]:
        """Return what became of the other framework's weights and batch.

        Where there are any, the gradient by them is written to a file of its own.
        """
        if self._moves is None:
            return {"weights": [], "filled": "", "taken": []}
        weights = importlib.import_module(f"impl_{self.framework}.case_weights")
        gradients = self._moves.pulled_back(weights.by_parameter(gradient))
        arrays = {f"gradient/{name}": array for name, array in gradients.items()}
        write_arrays(f"{out}/{case_messages.BY_TORCH_PARAMETERS}", arrays)
        write_arrays(f"{out}/filled.npz", self._moves.values)
        return {
            "weights": self._moves.described(),
            "filled": f"{out}/filled.npz",
            "taken": self._taken,
        }

    def _from_start(self, built: Any, file: str, facts: case_messages.CaseFacts | None) -> Any:
        """Return a case with the weights and the batch of the other framework's case.

        Args:
            built: what the user's function returned.
            file: what the other case was examined to; see `do_examine_case`.
            facts: None where it is not known yet how weights become those of this case.

        Raises:
            CaseMistakeError: the weights of one do not become those of the other.
        """
        implementation = importlib.import_module(f"impl_{self.framework}.case_weights")
        start = Start(read_arrays(file))
        if facts is not None:
            values = read_arrays(facts["filled"])
        else:
            shapes, parameters = implementation.shapes(built)
            function = getattr(built, "weights", None)
            self._moves = Moves(start, shapes, parameters, function, implementation.derived)
            values = self._moves.values
        built, self._taken = implementation.filled(built, values, start.batch)
        return built

    def _open(self, case: case_messages.CaseJob, facts: case_messages.CaseFacts | None) -> Any:
        """Return the framework's ``OpenCase``."""
        implementation = importlib.import_module(f"impl_{self.framework}.case")
        with self._own_process(case):
            function = CaseFunction(case["source"], case["folder"], case.get("path", ()))
            self._case_function = function
            built = function.check(implementation.build(function.make, case["seed"]))
            if start := case.get("start"):
                built = self._from_start(built, start, facts)
            return implementation.OpenCase(self.session, built, case["seed"], facts)

    @contextlib.contextmanager
    def _own_process(self, case: case_messages.CaseJob) -> Iterator[None]:
        """Let a user's code run here: in its folder, without requests to read, in one process."""
        self.do_close()
        self.problem_spec, process = None, os.getpid()
        self._moves, self._taken = None, []
        self._case_source, self._case_function = case["source"], None
        self._case_folder = case["folder"]
        # the user's code must not read the requests that are still to come
        sys.stdin = open(os.devnull)  # noqa: SIM115
        leave_process_to(case["source"])
        with contextlib.suppress(OSError):  # a version's tree may have no file of that folder
            os.chdir(case["folder"])
        try:
            yield
        finally:
            if os.getpid() != process:  # the user's code forked: only one may answer
                os._exit(1)

    def _error_message(self, error: BaseException) -> messages.ErrorMessage:
        """Return an exception as the ``error`` of an answer, with its place in the user's code."""
        message = super()._error_message(error)
        if self._case_source is not None:
            fault = mistake(error, self._case_function, self._case_source, self._case_folder)
            message["case"] = fault
            place = f"{fault['file']}:{fault['line']}" if fault["line"] else fault["file"]
            message["line"] = f"{place}: {fault['message']}"
        return message
