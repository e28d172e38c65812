"""What every request to a worker stands on: the framework's session and the open problem."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.busy_time import BusyTimer
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.scenarios.external import errors, parts

INSTALLED = {"site-packages", "dist-packages"}  # an environment may stand in a repository


class Base:
    """One framework's session, the problem that is open in it, and its prepared programs."""

    def __init__(
        self, framework: str, session: Any, mark: Heartbeat, say: Callable[[dict[str, Any]], None]
    ) -> None:
        self.framework = framework
        self.session = session
        self.mark, self.say = mark, say
        self.opened: Any = None
        self.facts: dict[str, Any] = {}
        self.inputs: list[str] = []  # names of the data
        self.programs: dict[str, Any] = {}
        self.notes = BusyTimer()
        self.working = self.notes.working

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request; an exception inside becomes an answer that names it.

        Beside the result ``worked`` tells when this process was `working`: see `effort`.
        """
        try:
            operation = getattr(self, f"do_{request.pop('op')}")
            found = {"ok": True, "result": operation(**request)}
        except (Exception, SystemExit) as error:  # a user's part may end itself: say where
            found = {"ok": False, "error": self._described(error)}
        finally:
            self.mark.at(None)
        return found | {"worked": self.notes.told()}

    def do_hello(self) -> dict[str, Any]:
        return {"pid": os.getpid(), **self.session.describe()}

    def do_shapes(self, family: str, build: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self.session.shapes(parts.builder(self.framework, family, build), arguments)

    def do_open(self, facts: dict[str, Any], weights: str, data: str) -> dict[str, Any]:
        """Build the scenario, hold its names, shapes and losses to the spec, load the weights."""
        self.do_close()
        self.facts = facts
        build = parts.builder(self.framework, facts["family"], facts["build"])
        arrays, inputs = read_arrays(weights), read_arrays(data)
        opened = self.session.open(build, facts, inputs)
        parts.check_fit(self._who(), opened.shapes(), opened.loss_names, arrays, facts["reach"])
        opened.load(arrays)
        self.opened, self.inputs = opened, list(inputs)
        return {}

    def do_probe(self) -> dict[str, Any]:
        """Run forward, and see that each loss is a single finite number."""
        try:
            shapes = self.opened.loss_shapes()
        except KeyError as error:
            if error.args[0] in self.inputs or self._blames_part(error):
                raise
            raise errors.PartError(
                f"{self._who()}: a loss or a link asks the data for {error}; "
                f"the spec's data is {', '.join(self.inputs)}"
            ) from None
        parts.check_scalars(self._who(), shapes)
        parts.check_finite(self._who(), self.opened.losses())
        return {}

    def do_loaded(self, folder: str) -> list[str]:
        """The files under a folder that modules were loaded from; installed packages not."""
        files = {Path(file) for m in list(sys.modules.values()) if (file := _file_of(m))}
        return sorted(
            str(file) for file in files
            if file.is_relative_to(folder) and not INSTALLED & set(file.parts)
        )  # fmt: skip

    def do_close(self) -> dict[str, Any]:
        self.opened, self.programs = None, {}
        return {}

    def _program(self, kind: str, name: str, phase: str, mode: str | None) -> Any:
        """The strategy or recipe in this phase, and in this mode or the framework's own."""
        return self.opened.program(kind, name, phase, **({"mode": mode} if mode else {}))

    @property
    def _part(self) -> Path | None:
        """The user's file, where the scenario is the user's."""
        return parts.own_part(self.framework, self.facts.get("family", ""))

    def _blames_part(self, error: Exception) -> bool:
        return self._part is not None and errors.reached(error, self._part)

    def _who(self) -> str:
        """The file and function that built what is open."""
        file = self._part.name if self._part else f"impl_{self.framework}/{self.facts['family']}.py"
        return f"{file}: {self.facts['build']}"

    def _described(self, error: BaseException) -> dict[str, Any]:
        return {
            "line": errors.told(error, self._part) if self._part else None,
            "cell": self.mark.cell,
            "type": type(error).__name__,
            "message": str(error),
            "unsupported": self.session.unsupported(error),
            "out_of_memory": bool(self.session.is_out_of_memory(error)),
            "traceback": traceback.format_exc(limit=-6),
        }


def _file_of(module: Any) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None
