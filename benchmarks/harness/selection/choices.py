"""Choose the strategies and recipes of a problem, each with the phases to measure it in.

The names given for an option are None where the option was left out, which stands for the default,
and ``("all",)`` for everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.harness.protocol.cells import OWN_FORWARD, PHASES, RECIPES, STRATEGIES, UNFROZEN
from benchmarks.scenarios import Scenario

ALL = "all"
DEFAULT_STRATEGIES = {
    "backward": ("summed", "separate_retained", "boundary_split"),
    "gradient": ("summed", "reforward"),
}
DEFAULT_RECIPES = {
    "torch": (UNFROZEN, "requires_grad_false", "no_grad_forward", "optimizer_only"),
    "jax": (UNFROZEN, "grad_of_trainable", "partition", "chain_freeze"),
}

Names = Sequence[str] | None  # given for an option
Choice = tuple[str, str]  # phase, and strategy or recipe


def includes(names: Names, name: str) -> bool:
    """Return whether the names given for an option include this one."""
    return names is None or ALL in names or name in names


def unique(names: Iterable[str]) -> list[str]:
    """Return each name once, in the order of first appearance."""
    return list(dict.fromkeys(names))


def choose_strategies(
    scenario: Scenario, variant: str, framework: str, phases: Names, names: Names
) -> list[Choice]:
    """Return the strategies to measure, and the baseline in each of their phases.

    With one loss all strategies do the same work, and only the baseline is measured.

    Args:
        scenario: what is differentiated.
        variant: of the scenario.
        framework: whose strategies.
        phases: names given for ``--phase``. With None, a strategy given by name is measured in its
            natural phase.
        names: given for ``--strategy``; None chooses `DEFAULT_STRATEGIES`.

    Returns:
        Pairs (phase, strategy).
    """
    strategies: tuple[str, ...] = STRATEGIES[framework]
    if len(scenario.variants[variant].flow) < 2:
        strategies = (scenario.baseline,)
    chosen = [name for name in strategies if includes(names, name)]
    if phases is not None:
        pairs = _in_phases(chosen, phases, only_defaults=names is None)
    elif names is not None:
        pairs = [(_natural_phase(framework, name), name) for name in chosen]
    else:
        pairs = [(phase, name) for phase, named in DEFAULT_STRATEGIES.items() for name in named]
    return _with_baseline(pairs, strategies, scenario.baseline)


def choose_recipes(framework: str, phases: Names, names: Names) -> list[Choice]:
    """Return the recipes to measure, and training without freezing in each of their phases.

    The default phase is ``step``. No recipe is measured in phase ``backward``.

    Args:
        framework: whose recipes.
        phases: names given for ``--phase``.
        names: given for ``--strategy``; None chooses `DEFAULT_RECIPES`.

    Returns:
        Pairs (phase, recipe).
    """
    recipes = RECIPES[framework]
    chosen = [name for name in recipes if includes(names or DEFAULT_RECIPES[framework], name)]
    included = [phase for phase in PHASES[1:] if includes(phases or ("step",), phase)]
    pairs = [(phase, name) for phase in included for name in chosen]
    return _with_baseline(pairs, recipes, UNFROZEN)


def _in_phases(strategies: Sequence[str], phases: Names, *, only_defaults: bool) -> list[Choice]:
    """Return (phase, strategy) for each phase given and each strategy.

    With ``only_defaults`` a phase has its default strategies alone.
    """
    included = [phase for phase in PHASES if includes(phases, phase)]
    return [
        (phase, name)
        for phase in included
        for name in strategies
        if not only_defaults or name in _defaults_of(phase)
    ]


def _defaults_of(phase: str) -> Sequence[str]:
    """Return the strategies that are measured in a phase that was given without strategies.

    In the phases with a forward pass these are the defaults of both phases that have defaults.
    """
    if phase == "backward":
        return DEFAULT_STRATEGIES[phase]
    return unique(name for names in DEFAULT_STRATEGIES.values() for name in names)


def _natural_phase(framework: str, strategy: str) -> str:
    """Return phase ``backward``, or ``gradient`` for a strategy with a forward pass of its own."""
    return "gradient" if strategy in OWN_FORWARD[framework] else "backward"


def _with_baseline(pairs: list[Choice], names: Sequence[str], baseline: str) -> list[Choice]:
    """Add the baseline to each phase, and order the strategies or recipes within a phase."""
    phases = unique(phase for phase, _ in pairs)
    return [
        (phase, name)
        for phase in phases
        for name in names
        if (phase, name) in pairs or name == baseline
    ]
