"""Turn the options of a session into the cells that it measures."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.protocol import ranks
from benchmarks.harness.protocol.cells import (
    KINDS,
    MODES,
    OPTIONS,
    PHASES,
    RECIPES,
    STRATEGIES,
    Cell,
)
from benchmarks.harness.protocol.precision import IEEE, NO_TF32, PRECISION_MODES, TF32
from benchmarks.harness.selection import choices, over_ranks
from benchmarks.harness.selection.choices import choose_recipes, choose_strategies, includes, unique
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, SIZES, Scenario

DEVICES = ("cpu", "cuda")
# One size is enough to say which strategy costs what: at `small` a call takes 0.5 to 2 ms, so that
# arithmetic more than dispatch decides, and six launches decided 25 of 26 comparisons of 20 %.
# docs/method.md shows what the other sizes would add, and what they cost.
DEFAULT_SIZES = {"cpu": ("small",), "cuda": ("seed", "medium")}
DEFAULT_SIZES_OF_EXTERNAL = ("seed", "medium")
DEFAULT_VARIANTS = {
    "three_network_cascade": ("plain",),
    "stacked_cascade": ("n2", "n4"),
    "attention_on_frozen_backbone": ("gamma05",),
}
# variants measured by default unless the user names the scenario, which measures all its variants
DEFAULT_VARIANTS_OF_UNNAMED = {
    "two_player": ("turn_b",),
    "gan": ("turn_d", "turn_g"),  # a fresh draw of noise costs what the other one does
    "autoencoder": ("joint", "decoder_only"),  # scaling the codewords costs next to nothing
    "low_rank_adapters": ("b05",),  # an adapter of zeros costs what another one does
    "early_exit": ("n2",),  # twice as many exits cost three times as much compiling
    "shared_backbone": ("plain",),  # freezing convolutions is timed elsewhere
    "staged_unfreeze": ("phase2",),  # phase 1 is the network of `frozen_in_constructor`
}
# scenarios whose networks are those of another one, or like them: by default their backward pass
# alone is timed
LIKE_ANOTHER = (
    "conv_cascade_single",
    "scaled_cascade",
    "severed_cascade",
    "shared_backbone",
    "straight_through",
)
ALL = choices.ALL


class SelectionError(ValueError):
    """Raised when an option has a value that is not allowed, or when no cell is selected."""


@dataclass(frozen=True)
class Selection:
    """Hold the names given for each option, and select cells by them.

    None stands for an option's default. ``all`` among the names of an option stands for every name
    that it accepts: it is replaced by these names here, once, and nothing behind this class sees
    it. By default the scenarios are the user's own, or those of this suite if there are none.

    Args:
        everything: whether an option without names selects every name rather than its default; of
            kinds the two that need one process.
        ranks: how many measure each cell of kind ``distributed``.
        precision_mode: of every cell; see `benchmarks.harness.protocol.precision`.

    Raises:
        SelectionError: a name is unknown.
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
    precision_mode: str = IEEE
    ranks: int = ranks.DEFAULT_RANKS

    def __post_init__(self) -> None:
        for name, allowed in self.allowed().items():
            for value in getattr(self, name) or ():
                check_name(name, value, (*allowed, ALL))
        check_precision_mode(self.precision_mode, self.device)
        if "gpu" in (self.size or ()) and self.device == "cpu":
            raise SelectionError(
                "--size 'gpu' is never on a CPU; use --device cuda, or --size large"
            )
        for name in OPTIONS:
            if ALL in (getattr(self, name) or ()):
                object.__setattr__(self, name, self._every(name))

    def _every(self, option: str) -> tuple[str, ...]:
        """Return every name that an option accepts, without the size that no CPU is given."""
        names = self.allowed()[option]
        return tuple(name for name in names if (name, self.device) != ("gpu", "cpu"))

    def require_cells(self) -> list[Cell]:
        """Return `cells`, of which there must be at least one.

        Raises:
            SelectionError: the options leave no cell.
        """
        cells = self.cells()
        if not cells:
            given = {n: ",".join(getattr(self, n)) for n in OPTIONS if getattr(self, n)}
            options = " ".join(f"--{name} {names}" for name, names in given.items())
            raise SelectionError(f"{options} leaves no cell to measure; see `cascade-bench list`")
        return cells

    def allowed(self) -> dict[str, list[str]]:
        """Return option → the names that it accepts, given the selected scenarios."""
        scenarios = self.scenarios() or list(CATALOGUE.values())  # a name may be unknown
        strategies = [*STRATEGIES.values(), *RECIPES.values(), *ranks.STRATEGIES.values()]
        named_modes = [*MODES.values(), *ranks.WRAPPERS.values()]
        return {
            "kind": list(KINDS),
            "scenario": list(CATALOGUE),
            "variant": unique(v for scenario in scenarios for v in scenario.variants),
            "size": [size for size in SIZES if any(size in s.sizes for s in scenarios)],
            "framework": list(FRAMEWORKS),
            "mode": unique(mode for modes in named_modes for mode in modes),
            "strategy": unique(name for names in strategies for name in names),
            "phase": list(PHASES),
        }

    def problems(self) -> Iterator[tuple[Scenario, str, str]]:
        """Yield scenario, variant and size of every selected problem, in the catalogue's order."""
        for scenario in self.scenarios():
            for variant in self._variants(scenario):
                for size in self._sizes(scenario):
                    yield scenario, variant, size

    def scenarios(self) -> list[Scenario]:
        """Return the selected scenarios."""
        catalogue = list(CATALOGUE.values())
        if self.scenario is None:
            return [scenario for scenario in catalogue if scenario.file] or catalogue
        return [scenario for scenario in catalogue if includes(self.scenario, scenario.name)]

    def cells(self) -> list[Cell]:
        """Return every selected cell, and the baseline of its group.

        Cells that cannot exist are among them, see `Cell.unsupported`.
        """
        cells: dict[Cell, None] = {}
        on = {"device": self.device, "precision_mode": self.precision_mode}
        for scenario, variant, size in self.problems():
            for framework in FRAMEWORKS:
                if not includes(self.framework, framework):
                    continue
                for mode in self._modes(framework):
                    where = (scenario.name, variant, size, framework, mode)
                    for kind, phase, name in self._methods(scenario, variant, framework):
                        cells[Cell(kind, *where, name, phase, **on)] = None
                for mode, phase, name in self._over_ranks(scenario, framework):
                    fields = (scenario.name, variant, size, framework, mode, name, phase)
                    cells[Cell(ranks.DISTRIBUTED, *fields, **on)] = None
        return list(cells)

    def _names(self, option: str) -> tuple[str, ...] | None:
        """Return the names given for an option, with ``everything`` taken into account."""
        names: tuple[str, ...] | None = getattr(self, option)
        return (ALL,) if self.everything and names is None else names

    def _variants(self, scenario: Scenario) -> list[str]:
        """Return the variants of a scenario to measure: those given, else its default ones."""
        names = self._names("variant")
        if names is not None:
            return [variant for variant in scenario.variants if includes(names, variant)]
        defaults = DEFAULT_VARIANTS
        if not self.scenario:
            defaults = DEFAULT_VARIANTS | DEFAULT_VARIANTS_OF_UNNAMED
        return list(defaults.get(scenario.name, tuple(scenario.variants)))

    def _sizes(self, scenario: Scenario) -> list[str]:
        """Return the sizes of a scenario to measure: those given, else the default ones.

        Size ``gpu`` is never measured on a CPU.
        """
        names = self._names("size") or default_sizes(scenario, self.device)
        possible = [size for size in SIZES if size != "gpu" or self.device != "cpu"]
        return [size for size in possible if size in scenario.sizes and includes(names, size)]

    def _modes(self, framework: str) -> list[str]:
        """Return the modes of a framework to measure: those given, else its default mode alone."""
        names = self._names("mode") or MODES[framework][:1]
        return [mode for mode in MODES[framework] if includes(names, mode)]

    def _methods(
        self, scenario: Scenario, variant: str, framework: str
    ) -> Iterator[tuple[str, str, str]]:
        """Yield kind, phase, and strategy or recipe of every cell of this variant."""
        names, phases = self._names("strategy"), self._names("phase")
        if includes(self.kind, "backward") and self._compares_strategies(scenario, variant):
            for choice in choose_strategies(scenario, variant, framework, phases, names):
                if not self._repeats(scenario, choice):
                    yield "backward", *choice
        if includes(self.kind, "freeze") and scenario.variants[variant].frozen:
            for choice in choose_recipes(framework, phases, names):
                yield "freeze", *choice

    def _over_ranks(self, scenario: Scenario, framework: str) -> Iterator[tuple[str, str, str]]:
        """Yield mode, phase and strategy of every cell of several ranks, if that kind is named."""
        if self.kind and includes(self.kind, ranks.DISTRIBUTED):
            given = self._names("mode"), self._names("phase"), self._names("strategy")
            yield from over_ranks.choose(scenario, framework, self.ranks, *given)

    def _repeats(self, scenario: Scenario, choice: choices.Choice) -> bool:
        """Return whether a default choice would only time another scenario's networks again.

        Args:
            scenario: of the choice.
            choice: phase and strategy.
        """
        named = self.everything or self.scenario or self.size or self.strategy or self.phase
        return not named and scenario.name in LIKE_ANOTHER and choice[0] == "gradient"

    def _compares_strategies(self, scenario: Scenario, variant: str) -> bool:
        """Return whether strategies are measured: by default for several losses, nothing frozen.

        A user's own scenario with a single loss is measured too: nothing would be left of it
        otherwise.
        """
        named = self.everything or self.kind or scenario.name in (self.scenario or ())
        chosen = scenario.variants[variant]
        worthwhile = len(chosen.flow) > 1 or scenario.file is not None
        return bool(named) or (worthwhile and not chosen.frozen)


def check_name(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `SelectionError` if an option has a value that is not allowed.

    The message names the nearest allowed value.
    """
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SelectionError(
            f"--{option} {value!r} is unknown{hint} (allowed: {', '.join(allowed)})"
        )


def check_precision_mode(mode: str, device: str) -> None:
    """Raise `SelectionError` unless there is such a precision mode, and the device has it."""
    check_name("precision-mode", mode, PRECISION_MODES)
    if mode == TF32 and device == "cpu":
        raise SelectionError(
            f"--precision-mode 'tf32': {NO_TF32}; use --device cuda, or --precision-mode bf16"
        )


def check_not_empty(option: str, value: object) -> None:
    """Raise `SelectionError` if a text, or a name in a list separated by commas, is empty.

    An empty value is mostly a variable that was not set. Taken for "not given", it would select
    or compare something else than was meant, and end well.

    Args:
        option: as it was typed, such as ``--results`` or ``BASE``.
        value: a text, a list of texts, or anything else, which passes.
    """
    values = value if isinstance(value, list | tuple) else (value,)
    for text in (one for one in values if isinstance(one, str)):
        if not text.strip():
            raise SelectionError(
                f"{option} is empty (a variable that is not set?): give a value, or leave it out"
            )
        listed = text.split(",") if option.removeprefix("--") in OPTIONS else [text]
        if not all(map(str.strip, listed)):
            raise SelectionError(f"{option} {text!r}: there is no name beside one of the commas")


def check_positive(option: str, value: float) -> None:
    """Raise `SelectionError` unless a value is a finite number above 0."""
    if not 0 < value < float("inf"):
        raise SelectionError(f"--{option} {value}: must be a finite number above 0")


def check_ranks(number: int, kinds: Iterable[str] | None) -> None:
    """Raise `SelectionError` for a number of ranks that no cell can have, or that is for none.

    Args:
        number: given for ``--ranks``.
        kinds: names given for ``--kind``.
    """
    if not {ranks.DISTRIBUTED, ALL} & set(kinds or ()):
        raise SelectionError(
            f"--ranks {number} is for cells of several ranks: add --kind {ranks.DISTRIBUTED}"
        )
    if not 2 <= number <= ranks.MOST_RANKS:
        raise SelectionError(f"--ranks {number}: must be from 2 to {ranks.MOST_RANKS}")


def default_sizes(scenario: Scenario, device: str) -> tuple[str, ...]:
    """Return the sizes that are measured if none is named."""
    return DEFAULT_SIZES_OF_EXTERNAL if scenario.file else DEFAULT_SIZES[device]


def default_device() -> str:
    """Return ``cuda`` if the driver shows a device file, else ``cpu``.

    Asking a framework would be slow.
    """
    return "cuda" if Path("/dev/nvidia0").exists() else "cpu"
