"""Remember which parts of a user's own files took longer than the time limit, to try none twice.

A file that takes minutes to import would otherwise take them again for every group of its cells.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness.launches.worker_errors import WorkerTimeout
from benchmarks.scenarios import Scenario
from benchmarks.scenarios.external.errors import SpecTimeout
from benchmarks.scenarios.external.time_limit import Late, call_within
from benchmarks.scenarios.spec import part_of

OPTION = "--cell-limit"
IMPORTING = "importing"
# part, as `WorkerTimeout` has it → what a message calls it
PARTS = {
    "open": "building it",
    "probe": "running it forward",
    "flow": "finding out which loss reaches what",
    "gradients": "computing its float64 reference",
    "prepare": "preparing its cells",
    "time": "warming up and timing its cells",
    "close": "closing it",
}


class TimeOuts:
    """Hold the time-outs of a session: those of its workers, and those of drawing arrays.

    An import that took too long rules out every scenario of the file in that framework, any other
    part its own scenario. Scenarios of this suite are not remembered: their code is known to end.
    """

    def __init__(self) -> None:
        # framework, part file, and scenario (None: all of the file) → what is told
        self._messages: dict[tuple[str, str, str | None], str] = {}
        self._drawings: dict[tuple[str, str], str] = {}  # spec file and scenario → what is told

    def find(self, spec: Scenario, framework: str) -> WorkerTimeout | None:
        """Return the time-out that rules out a scenario in a framework; None if there is none."""
        for scenario in (None, spec.name):
            message = self._messages.get((framework, str(spec.file), scenario))
            if message:
                return WorkerTimeout(0.0, message=message)
        return None

    def add(self, error: WorkerTimeout, spec: Scenario, framework: str) -> WorkerTimeout:
        """Remember a time-out at no cell, and return it with a message that names file and part.

        Args:
            error: as the worker's launch raised it; that of a cell is returned as it is.
            spec: of the problem that was open, or being opened.
            framework: of the worker.
        """
        if error.cell is not None:
            return error
        importing = error.part == IMPORTING
        message = _message(error, spec, framework)
        if spec.file:
            self._messages[framework, str(spec.file), None if importing else spec.name] = message
        return WorkerTimeout(error.seconds, None, error.part, message)

    def draw(
        self, spec: Scenario, limit: float, variant: str, size: str
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Draw the weights and data of a problem, see `Scenario.draw`, within the limit.

        Raises:
            SpecTimeout: a user's own spec takes longer, or took longer before.
        """
        if spec.file is None:
            return spec.draw(variant, size)
        key = str(spec.file), spec.name
        if key not in self._drawings:
            try:
                return call_within(limit, spec.draw, variant, size)
            except Late:
                self._drawings[key] = (
                    f"{spec.file.name}: {spec.name}: drawing its arrays took longer than "
                    f"{limit:g} s ({OPTION}), and is not tried again in this session"
                )
        raise SpecTimeout(self._drawings[key])


def _message(error: WorkerTimeout, spec: Scenario, framework: str) -> str:
    """Return one line that names what took too long: the file, the part of the work, the limit."""
    doing = PARTS.get(error.part, error.part)
    if spec.file is None:
        return f"impl_{framework}: {spec.name}: {doing} took longer than {error.seconds:g} s"
    file = part_of(spec.file, framework).name
    subject = file if error.part == IMPORTING else f"{file}: {spec.name}"
    doing = "importing it" if error.part == IMPORTING else doing
    return (
        f"{subject}: {doing} took longer than {error.seconds:g} s ({OPTION}), "
        "and is not tried again in this session"
    )
