"""Hold what every request to a worker needs: the framework's session and the open problem."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks.harness.protocol import messages
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.busy_time import BusyTimer
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.worker import process_switches
from benchmarks.scenarios.external import errors, parts

# an environment may stand in a repository, with all of Python in it
INSTALLED = {"site-packages", "dist-packages"}
OF_PYTHON = tuple(os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


class Base:
    """Add the operations that open, check and close a problem.

    Each method ``do_<operation>`` carries out one operation of `operations.OPERATIONS`: its
    parameters are the keys of the request, its return value is the result of the answer.

    Args:
        framework: name of the implementation's package without ``impl_``.
        session: the framework's ``Session``, from ``impl_<framework>/session.py``.
        heartbeat: where the parent reads which cell this worker is at.
        send: writes a message to the parent.
    """

    def __init__(
        self,
        framework: str,
        session: Any,
        heartbeat: Heartbeat,
        send: Callable[[messages.Answer | messages.CellEvent], None],
    ) -> None:
        self.framework = framework
        self.session = session
        self.heartbeat, self.send = heartbeat, send
        self.problem: Any = None  # the framework's `OpenProblem`
        self.problem_spec: messages.ProblemSpec | None = None
        self.inputs: list[str] = []  # names of the data
        self.programs: dict[str, Any] = {}  # prepared cells: name → the framework's `Program`
        self.switches_at_start: dict[str, Any] = {}  # see `note_switches`
        self.reference_file = ""  # that the cells prepared last were compared with
        self.busy_timer = BusyTimer()
        self.working = self.busy_timer.working

    def answer(self, request: dict[str, Any]) -> messages.Answer:
        """Carry out one request and return the answer to send to the parent.

        An exception inside the operation becomes an answer with the error.

        Args:
            request: ``op``, the name of the operation, and its arguments.
        """
        answer: messages.Answer
        try:
            operation = getattr(self, f"do_{request.pop('op')}")
            answer = {"ok": True, "result": operation(**request)}
        # a user's file may call sys.exit: report the line, and live on
        except (Exception, SystemExit) as error:
            answer = {"ok": False, "error": self._error_message(error)}
        finally:
            self.heartbeat.set_cell(None)
        answer["worked"] = self.busy_timer.take_spans()
        return answer

    def do_hello(self) -> messages.Hello:
        """Describe this process, the protocol it speaks, and its framework."""
        described = {"pid": os.getpid(), "protocol": messages.VERSION, **self.session.describe()}
        return cast("messages.Hello", described)

    def do_shapes(
        self,
        family: str,
        build: str,
        arguments: dict[str, Any],
        names: list[str] | None = None,
    ) -> dict[str, list[int]]:
        """Return parameter or buffer → shape, of what a scenario's ``build`` function builds.

        Args:
            family, build, arguments: as of a problem.
            names: that the scenario gives to parameters; they decide the name of a tied one.
        """
        builder = parts.find_builder(self.framework, family, build)
        return cast("dict[str, list[int]]", self.session.shapes(builder, arguments, names or ()))

    def do_open(self, facts: messages.ProblemSpec, weights: str, data: str) -> messages.NoResult:
        """Build a problem, compare names, shapes and losses with its spec, and load its weights.

        It is then the open problem, to which later requests refer.

        Args:
            facts: the problem: scenario, networks, losses and optimizer.
            weights: ``.npz`` file, parameter or buffer → array.
            data: ``.npz`` file, input or target → array.
        """
        self.do_close()
        self.problem_spec = facts
        self._announce("importing")
        build = parts.find_builder(self.framework, facts["family"], facts["build"])
        self._announce("open")
        arrays, inputs = read_arrays(weights), read_arrays(data)
        opened = self.session.open(build, facts, inputs)
        parts.check_fit(
            self._builder_name(),
            opened.shapes(),
            opened.loss_names,
            arrays,
            facts["reach"],
            opened.tied,
        )
        parts.check_dtypes(
            self._builder_name(), opened.input_dtypes(), inputs, self.session.precision
        )
        opened.load(arrays)
        self.problem, self.inputs = opened, list(inputs)
        return {}

    def do_probe(self) -> messages.NoResult:
        """Run forward, and check that each loss is a single finite number, the same each time.

        A key that the data lacks is reported as the user's mistake, unless the user's own code
        raised the KeyError.
        """
        try:
            shapes = self.problem.loss_shapes()
        except KeyError as error:
            if error.args[0] in self.inputs or self._comes_from_user(error):
                raise
            raise errors.PartError(
                f"{self._builder_name()}: a loss or a link asks the data for {error}; "
                f"the spec's data is {', '.join(self.inputs)}"
            ) from None
        parts.check_scalars(self._builder_name(), shapes)
        parts.check_repeatable(self._builder_name(), self.problem.random_part())
        parts.check_finite(self._builder_name(), self.problem.losses())
        return {}

    def do_loaded(self, folder: str) -> list[str]:
        """List the files under a folder that modules were loaded from, without what is installed.

        A comparison of two versions checks by it that a user's network comes from its own tree. A
        file that was found by way of a link is the one that the link leads to.
        """
        modules, top = list(sys.modules.values()), os.path.realpath(folder)
        files = {Path(os.path.realpath(file)) for module in modules if (file := _file_of(module))}
        inside = [file for file in files if file.is_relative_to(top) and not _is_installed(file)]
        return sorted(map(str, inside))

    def note_switches(self) -> None:
        """Note the switches of the process and its framework, before a user's code is imported."""
        self.switches_at_start = self._switches()

    def do_switched(self) -> list[messages.SwitchChange]:
        """List the switches that differ from those noted at the start.

        By these a user's code changes how fast or how exactly its own process computes.
        """
        changed = process_switches.changed(self.switches_at_start, self._switches())
        return [{"switch": name, "before": one, "after": two} for name, one, two in changed]

    def _switches(self) -> dict[str, Any]:
        """Return the name of every switch of the framework and of the process, and its value."""
        return {**self.session.switches(), **process_switches.read()}

    def do_close(self) -> messages.NoResult:
        """Drop the open problem and its programs, so that their memory is freed."""
        self.problem, self.programs = None, {}
        return {}

    def _announce(self, part: str) -> None:
        """Tell the parent which part of a user's own code runs now: each has the whole limit."""
        if self._user_file:
            self.send({"event": "at", "cell": None, "part": part})

    def _program(
        self, kind: str, name: str, phase: str, mode: str | None, precision_mode: str = IEEE
    ) -> Any:
        """Return the framework's `Program` of a strategy or recipe of the open problem.

        Args:
            kind: ``backward`` for a strategy, ``freeze`` for a recipe.
            name: of the strategy or recipe.
            phase: ``backward``, ``gradient`` or ``step``.
            mode: of the framework; None for its default.
            precision_mode: in what the networks compute.
        """
        options = {"mode": mode} if mode else {}
        options |= {} if precision_mode == IEEE else {"precision_mode": precision_mode}
        return self.problem.program(kind, name, phase, **options)

    @property
    def _user_file(self) -> Path | None:
        """Return the framework's part of a user's own scenario; None where the scenario is ours."""
        family = self.problem_spec["family"] if self.problem_spec else ""
        return parts.external_part(self.framework, family)

    def _comes_from_user(self, error: Exception) -> bool:
        """Return whether a line of the user's file raised the error."""
        return self._user_file is not None and errors.comes_from(error, self._user_file)

    def _builder_name(self) -> str:
        """Return what built the open problem, as ``<file>: <function>``, for messages."""
        spec, file = self.problem_spec, self._user_file
        if spec is None:
            raise errors.PartError("no problem is open in this worker; the harness must open one")
        name = file.name if file else f"impl_{self.framework}/{spec['family']}.py"
        return f"{name}: {spec['build']}"

    def _unsupported(self, error: BaseException) -> str | None:
        """Return why the framework, or the user's part, rules this out; None for other errors."""
        if isinstance(error, errors.UnsupportedPart):
            return str(error)
        return cast("str | None", self.session.unsupported(error))

    def _error_message(self, error: BaseException) -> messages.ErrorMessage:
        """Return an exception as the ``error`` of an answer.

        Call it where the exception is handled: the traceback is that of the current exception.
        """
        return {
            "line": errors.format_error(error, self._user_file) if self._user_file else None,
            "case": None,
            "cell": self.heartbeat.cell,
            "type": type(error).__name__,
            "message": str(error),
            "unsupported": self._unsupported(error),
            "out_of_memory": bool(self.session.is_out_of_memory(error)),
            "traceback": traceback.format_exc(limit=-6),
        }


def _file_of(module: Any) -> str | None:
    """Return the path of a module's source file; None for a module without one."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def _is_installed(file: Path) -> bool:
    """Return whether a file is of an installed package, or of Python itself."""
    of_python = any(file.is_relative_to(folder) for folder in OF_PYTHON)
    return of_python or bool(INSTALLED & set(file.parts))
