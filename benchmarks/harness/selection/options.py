"""What is measured by default, and what the options make of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.protocol.cells import (
    KINDS,
    MODES,
    OPTIONS,
    OWN_FORWARD,
    PHASES,
    RECIPES,
    STRATEGIES,
    UNFROZEN,
    Cell,
)
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, SIZES, Scenario

DEVICES = ("cpu", "cuda")
DEFAULT_SIZES = ("seed", "medium")
DEFAULT_VARIANTS = {
    "three_network_cascade": ("plain",),
    "stacked_cascade": ("n2", "n4"),
    "attention_on_frozen_backbone": ("gamma05",),
}
# asked for by name, all of them are taken
SHORTENED = {
    "two_player": ("turn_b",),
    "staged_unfreeze": ("phase2",),  # phase 1 is the network of `frozen_in_constructor`
}
DEFAULT_STRATEGIES = {
    "backward": ("summed", "separate_retained", "boundary_split"),
    "gradient": ("summed", "reforward"),
}
DEFAULT_RECIPES = {
    "torch": (UNFROZEN, "requires_grad_false", "no_grad_forward", "optimizer_only"),
    "jax": (UNFROZEN, "grad_of_trainable", "partition", "chain_freeze"),
}
ALL = "all"


class SelectionError(ValueError):
    """A name that is not in the catalogue: what was given, what is allowed."""


@dataclass(frozen=True)
class Selection:
    """What was asked for; None stands for the default, ``("all",)`` for everything.

    The user's own scenarios, where there are any, are the default ones.
    """

    kind: tuple[str, ...] | None = None
    scenario: tuple[str, ...] | None = None
    variant: tuple[str, ...] | None = None
    size: tuple[str, ...] | None = None
    framework: tuple[str, ...] | None = None
    mode: tuple[str, ...] | None = None
    strategy: tuple[str, ...] | None = None
    phase: tuple[str, ...] | None = None
    device: str = "cpu"
    everything: bool = False

    def __post_init__(self) -> None:
        for name, allowed in self.allowed().items():
            for value in getattr(self, name) or ():
                check_name(name, value, (*allowed, ALL))
        if "gpu" in (self.size or ()) and self.device == "cpu":
            raise SelectionError(
                "--size 'gpu' is never on a CPU; use --device cuda, or --size large"
            )

    def demand(self) -> list[Cell]:
        """The cells; raises `SelectionError` where there are none."""
        found = self.cells()
        if not found:
            chosen = {n: ",".join(getattr(self, n)) for n in OPTIONS if getattr(self, n)}
            options = " ".join(f"--{name} {names}" for name, names in chosen.items())
            raise SelectionError(f"{options} leaves no cell to measure; see `cascade-bench list`")
        return found

    def allowed(self) -> dict[str, list[str]]:
        """The names that each option takes, given the scenarios chosen."""
        scenarios = self.scenarios() or list(CATALOGUE.values())  # a name may be unknown
        return {
            "kind": list(KINDS),
            "scenario": list(CATALOGUE),
            "variant": _unique(v for scenario in scenarios for v in scenario.variants),
            "size": [size for size in SIZES if any(size in s.sizes for s in scenarios)],
            "framework": list(FRAMEWORKS),
            "mode": _unique(mode for modes in MODES.values() for mode in modes),
            "strategy": _unique(
                s for ways in (STRATEGIES, RECIPES) for names in ways.values() for s in names
            ),
            "phase": list(PHASES),
        }

    def problems(self) -> Iterator[tuple[Scenario, str, str]]:
        """(scenario, variant, size) of everything chosen, in the catalogue's order."""
        for scenario in self.scenarios():
            for variant in self._variants(scenario):
                for size in self._sizes():
                    if size in scenario.sizes:
                        yield scenario, variant, size

    def scenarios(self) -> list[Scenario]:
        """The scenarios chosen; by default the user's own, or else every one."""
        everything = list(CATALOGUE.values())
        if self.scenario is None:
            return [scenario for scenario in everything if scenario.file] or everything
        return [scenario for scenario in everything if _takes(self.scenario, scenario.name)]

    def cells(self) -> list[Cell]:
        """Every cell chosen, those included that cannot exist; a group's baseline comes along."""
        found: dict[Cell, None] = {}
        for scenario, variant, size in self.problems():
            for framework in FRAMEWORKS:
                if not _takes(self.framework, framework):
                    continue
                for mode in self._modes(framework):
                    where = (scenario.name, variant, size, framework, mode)
                    for kind, phase, way in self._ways(scenario, variant, framework):
                        found[Cell(kind, *where, way, phase, self.device)] = None
        return list(found)

    def _variants(self, scenario: Scenario) -> list[str]:
        known = DEFAULT_VARIANTS if self.scenario else DEFAULT_VARIANTS | SHORTENED
        default = known.get(scenario.name, tuple(scenario.variants))
        chosen = (ALL,) if self.everything and self.variant is None else self.variant
        if chosen is None:
            return list(default)
        return [v for v in scenario.variants if _takes(chosen, v)]

    def _sizes(self) -> list[str]:
        fitting = [size for size in SIZES if size != "gpu" or self.device != "cpu"]
        chosen = (ALL,) if self.everything and self.size is None else self.size
        return [s for s in fitting if _takes(chosen if chosen else DEFAULT_SIZES, s)]

    def _modes(self, framework: str) -> list[str]:
        """The framework's own mode; others only where they are asked for."""
        chosen = (ALL,) if self.everything and self.mode is None else self.mode
        return [m for m in MODES[framework] if _takes(chosen or MODES[framework][:1], m)]

    def _ways(
        self, scenario: Scenario, variant: str, framework: str
    ) -> Iterator[tuple[str, str, str]]:
        """(kind, phase, strategy or recipe) of everything chosen for this variant."""
        if _takes(self.kind, "backward") and self._compares(scenario, variant):
            for phase, strategy in self._strategies(scenario, variant, framework):
                yield "backward", phase, strategy
        if _takes(self.kind, "freeze") and scenario.variants[variant].frozen:
            for phase, recipe in self._recipes(framework):
                yield "freeze", phase, recipe

    def _strategies(
        self, scenario: Scenario, variant: str, framework: str
    ) -> list[tuple[str, str]]:
        """(phase, strategy) pairs; a strategy asked for without a phase takes its natural one.

        With one loss all strategies are the same: the baseline alone.
        """
        strategies: tuple[str, ...] = STRATEGIES[framework]
        if len(scenario.variants[variant].flow) < 2:
            strategies = (scenario.baseline,)
        phases = (ALL,) if self.everything and self.phase is None else self.phase
        chosen = (ALL,) if self.everything and self.strategy is None else self.strategy
        if phases is None and chosen is None:
            pairs = [(p, s) for p, names in DEFAULT_STRATEGIES.items() for s in names]
        elif phases is None:
            own = OWN_FORWARD[framework]
            picked = [s for s in strategies if _takes(chosen, s)]
            pairs = [("gradient" if s in own else "backward", s) for s in picked]
        else:
            picked = [s for s in strategies if _takes(chosen, s)]
            pairs = [(p, s) for p in PHASES if _takes(phases, p) for s in picked]
            if chosen is None:
                pairs = [(p, s) for p, s in pairs if s in _default_for(p)]
        return _with_baseline(pairs, strategies, scenario.baseline)

    def _compares(self, scenario: Scenario, variant: str) -> bool:
        """By default only where several losses meet and nothing is frozen; else if asked for.

        A user's own with a single loss is timed all the same: it would else leave nothing at all.
        """
        chosen = scenario.variants[variant]
        asked = self.everything or self.kind or scenario.name in (self.scenario or ())
        meeting = len(chosen.flow) > 1 or scenario.file is not None
        return bool(asked) or (meeting and not chosen.frozen)

    def _recipes(self, framework: str) -> list[tuple[str, str]]:
        """(phase, recipe) pairs; phase ``step`` unless another is asked for."""
        recipes = RECIPES[framework]
        phases = (ALL,) if self.everything and self.phase is None else self.phase or ("step",)
        chosen = (ALL,) if self.everything and self.strategy is None else self.strategy
        picked = [r for r in recipes if _takes(chosen or DEFAULT_RECIPES[framework], r)]
        pairs = [(p, r) for p in PHASES[1:] if _takes(phases, p) for r in picked]
        return _with_baseline(pairs, recipes, UNFROZEN)


def _with_baseline(
    pairs: list[tuple[str, str]], ways: Sequence[str], baseline: str
) -> list[tuple[str, str]]:
    used = _unique(phase for phase, _ in pairs)
    return [(p, s) for p in used for s in ways if (p, s) in pairs or s == baseline]


def _default_for(phase: str) -> Sequence[str]:
    known = [s for names in DEFAULT_STRATEGIES.values() for s in names]
    return DEFAULT_STRATEGIES[phase] if phase == "backward" else _unique(known)


def check_name(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raises `SelectionError` with the nearest name where ``value`` is not allowed."""
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SelectionError(
            f"--{option} {value!r} is unknown{hint} (allowed: {', '.join(allowed)})"
        )


def _takes(chosen: Sequence[str] | None, name: str) -> bool:
    return chosen is None or ALL in chosen or name in chosen


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def check_positive(option: str, value: float) -> None:
    """Raises `SelectionError` unless ``value`` is a finite number above 0."""
    if not 0 < value < float("inf"):
        raise SelectionError(f"--{option} {value}: must be a finite number above 0")


def default_device() -> str:
    """``cuda`` where the driver shows a device file, else ``cpu``; asking a framework is slow."""
    return "cuda" if Path("/dev/nvidia0").exists() else "cpu"
