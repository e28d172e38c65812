"""Choose the cells of kind ``distributed``: measured only where the kind is named."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness.protocol import ranks
from benchmarks.harness.selection.choices import Names, includes
from benchmarks.scenarios import Scenario

DEFAULT_PHASES = ("gradient",)


def choose(
    scenario: Scenario, framework: str, number: int, modes: Names, phases: Names, names: Names
) -> Iterator[tuple[str, str, str]]:
    """Yield mode, phase and strategy of every cell of one variant, each with its baseline.

    Args:
        scenario: what is differentiated.
        framework: whose wrappers and strategies.
        number: of ranks.
        modes: names given for ``--mode``: wrappers; None for all.
        phases: names given for ``--phase``.
        names: given for ``--strategy``; None for all.
    """
    if scenario.name not in ranks.SCENARIOS:
        return
    strategies = ranks.STRATEGIES[framework]
    chosen = [name for name in strategies if includes(names, name)]
    for wrapper in ranks.WRAPPERS[framework]:
        for phase in ranks.PHASES:
            if includes(modes, wrapper) and includes(phases or DEFAULT_PHASES, phase) and chosen:
                for name in strategies:
                    if name in chosen or name == scenario.baseline:
                        yield ranks.mode_name(wrapper, number), phase, name
