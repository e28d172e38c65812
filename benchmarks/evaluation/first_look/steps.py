"""List the steps of a first look at a machine: what each runs, and how long it may take.

The order is that of what would be missed most if the machine were gone the next moment. The times
are those of eight minutes; what a step leaves over, the next ones may use.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTEST = ("-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider")
COMMAND = ("-m", "benchmarks.cli")
# of each kind of network one, and of each way to freeze
CHECKED = "linear_cascade,conv_cascade,gan,frozen_second_network,low_rank_adapters"
WHOLE = "default selection"
NOT_TOLD = 3  # exit code of a comparison that could not tell, as its time was short


@dataclass(frozen=True)
class Step:
    """Say what is run, and for how long.

    Attributes:
        name: of the step.
        arguments: of the Python interpreter.
        seconds: that it may take, of eight minutes.
        output: the file in the folder of results that its output becomes; empty: the log alone.
        fine: exit codes that are no failure.
        may_be_cut: whether it is expected to take longer: it measures as much as there is time for.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: float
    output: str = ""
    fine: tuple[int, ...] = (0,)
    may_be_cut: bool = False


@dataclass(frozen=True)
class Request:
    """Say what is looked at.

    Attributes:
        device: ``cpu`` or ``cuda``.
        work: the folder of runs, comparisons and traces.
        frameworks: those that are installed.
        scenarios: names, separated by commas, of what is checked and measured; empty: the default.
    """

    device: str
    work: Path
    frameworks: Sequence[str]
    scenarios: str = ""

    @property
    def size(self) -> str:
        """Return the size that is measured: that for a GPU, or in a rehearsal the smallest."""
        return "gpu" if self.device == "cuda" else "seed"


def steps(request: Request) -> list[Step]:
    """Return the steps in their order; the report is one of them, though it needs the others."""
    runs = f"--results={request.work / 'runs'}"
    return [
        Step("machine", (*COMMAND, "doctor", "--seconds=3", "--json", _device(request)), 30.0,
             output="machine.json"),
        *(_checks(request, framework) for framework in request.frameworks),
        _measured(request, "canaries", 40.0, "--size=seed", "--phase=gradient", "--strategy=summed",
                  "--launches=2", scenarios="linear_cascade"),
        _measured(request, WHOLE, 105.0, f"--size={request.size}",
                  scenarios=request.scenarios),
        _measured(request, "memory", 30.0, f"--size={request.size}", "--memory", "--launches=1",
                  "--phase=gradient", "--strategy=summed,reforward", scenarios="linear_cascade"),
        *_comparisons(request),
        *(_explained(request, framework) for framework in request.frameworks),
        Step("report in Markdown", (*COMMAND, "report", "--markdown", runs), 15.0,
             output="report.md"),
        Step("report", (*COMMAND, "report", f"--out={request.work / 'report'}", runs), 20.0),
    ]  # fmt: skip


def _device(request: Request) -> str:
    """Return the option that names the device."""
    return f"--device={request.device}"


def _checks(request: Request, framework: str) -> Step:
    """Return the step that checks gradients, freezes and trainings of one framework at `seed`."""
    chosen = f"--scenario={request.scenarios or CHECKED}"
    own = (f"--framework={framework}", "--size=seed", chosen, _device(request))
    return Step(f"checks {framework}", (*PYTEST, "--benchmark-skip", "-m", "not slow", *own), 45.0)


def _measured(
    request: Request, name: str, seconds: float, *options: str, scenarios: str = ""
) -> Step:
    """Return a step that times a selection."""
    chosen = [f"--scenario={scenarios}"] if scenarios else []
    own = [*options, *chosen, _device(request), f"--results={request.work / 'runs'}"]
    cut = name == WHOLE
    return Step(name, (*PYTEST, "--benchmark-only", *own), seconds, may_be_cut=cut)


def _comparisons(request: Request) -> list[Step]:
    """Return the steps that compare the files with themselves: by counts, then by the clock."""
    command = (*COMMAND, "regress", f"--base-python={sys.executable}", _device(request))
    cells = ("--scenario=linear_cascade", "--strategy=summed", f"--size={request.size}")
    results = f"--results={request.work / 'regressions'}"
    return [
        Step("regress, counts", (*command, *cells, results, "--counts-only"), 40.0),
        Step(
            "regress",
            (*command, *cells, results, "--phase=gradient", f"--framework={request.frameworks[0]}",
             "--budget=60s"),
            75.0,
            fine=(0, NOT_TOLD),
        ),
    ]  # fmt: skip


def _explained(request: Request, framework: str) -> Step:
    """Return the step that profiles a cell of one framework."""
    cell = f"{framework} linear_cascade {request.size} gradient separate_retained"
    folder = f"--out={request.work / 'profiles'}"
    return Step(
        f"explain {framework}", (*COMMAND, "explain", *cell.split(), folder, _device(request)), 15.0
    )
