"""Set every constant of the trial: its cells, times, conditions and folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.launches.affinity import available_cores
from benchmarks.paths import ROOT

FOLDER = ROOT / "results" / "reference" / "trial"  # a folder of raw traces for each machine
DOCS = ROOT / "docs"  # the report, and beside it the plots and the summary

CONDITIONS = ("quiet", "bursty")
HALVES = ("tuning", "report")
SLOWDOWNS = (0.02, 0.03, 0.05, 0.10)
FRAMEWORKS = ("torch", "jax")
METRICS = ("wall", "cpu")
OURS = "this suite"  # beside the names of the other tools

# In each set of launches, all of the same code. Their roles (base, head and control) are drawn anew
# for every replayed session, as unchanged code has no roles.
WORKERS = 3


@dataclass(frozen=True)
class Subject:
    """Name one cell of the trial; all are of kind ``backward`` and run on the CPU."""

    scenario: str
    variant: str
    size: str
    phase: str
    strategy: str
    framework: str

    @property
    def id(self) -> str:
        """Return the name of the cell in saved traces."""
        return f"{self.framework}-{self.scenario}-{self.size}-{self.strategy}-{self.phase}"

    @property
    def problem(self) -> tuple[str, str, str]:
        """Return scenario, variant and size."""
        return self.scenario, self.variant, self.size


_SHAPES = (
    ("conv_cascade", "-", "seed", "gradient", "summed"),  # dispatch: about 0.1 ms
    ("stacked_cascade", "n2", "seed", "step", "separate_retained"),  # some 0.4 ms
    ("conv_cascade", "-", "small", "gradient", "summed"),  # 1 to 2 ms
    ("stacked_cascade", "n2", "small", "step", "summed"),  # 3 to 5 ms
)
SUBJECTS = tuple(Subject(*shape, framework) for framework in FRAMEWORKS for shape in _SHAPES)

# The workers measure on one core, one thread each. With as many threads as cores, a neighbour that
# takes one core makes torch's threads wait for each other, for hundreds of times the cell's time.
CORES = available_cores()
CORE = CORES[-1]

# Seconds that each worker measures a cell, in turns with the other workers. The tuning half tries
# several lengths of a turn; the report half has the length with the smallest spread there.
CELL_SECONDS = 0.25
TURNS = (0.02, 0.008, 0.05)
# Seconds of a cell in one process, one sample after the other, as the other tools measure. For
# tools with many processes every worker measures every cell. For the tool with a single process one
# worker measures long, in each set a quarter of the cells.
SOLO_SECONDS = 0.42
LONG_SECONDS = 5.0
LONG_CYCLE = 4

# Wall time of one decision, and so of a whole-suite comparison, the same for every tool.
DECISION_SECONDS = 60.0
SUITE_SECONDS = DECISION_SECONDS * len(SUBJECTS)

# Shortest and longest burst of the second process, and pause, in seconds; drawn log-uniformly.
BURST = (0.2, 3.0)

MINUTES = 35.0  # of recording
LIVE_MINUTES = 12.0  # of the live subset
COMPARISONS = 150  # replayed with the command's own budget, for each figure
TRIALS = 2000  # replayed whole-suite comparisons for each figure
SEED = 11


def traces_at(folder: Path, index: int) -> Path:
    """Return the path of the file of the set of launches with this index."""
    return folder / f"set-{index:03d}.npz"


def condition_of(index: int) -> str:
    """Return the condition of the set with this index, ``quiet`` or ``bursty``.

    Conditions alternate, so that a drift of the machine affects both.
    """
    return CONDITIONS[index % 2]


def long_subjects(index: int) -> list[Subject]:
    """Return the cells that are measured long in the set with this index.

    They are one of each framework, in a cycle.
    """
    place = (index // len(CONDITIONS)) % LONG_CYCLE
    return [subject for i, subject in enumerate(SUBJECTS) if i % LONG_CYCLE == place]
