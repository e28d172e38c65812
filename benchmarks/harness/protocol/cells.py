"""What a cell is, how it is named, and which ways there are to measure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.scenarios import CATALOGUE, Scenario

KINDS = ("backward", "freeze")
# the first is how the framework is used by default
MODES = {"torch": ("eager", "compile", "compile_networks"), "jax": ("jit", "eager")}
EAGER = "eager"
PHASES = ("backward", "gradient", "step")
STRATEGIES = {
    "torch": (
        "summed",
        "multi_root",
        "separate_retained",
        "separate_grad",
        "boundary_split",
        "reforward",
        "batched",
        "functional",
    ),
    "jax": (
        "summed",
        "separate_retained",
        "separate_grad",
        "separate_pullbacks",
        "boundary_split",
        "reforward",
        "batched",
    ),
}
# these run a forward pass of their own, so a backward phase without one cannot exist for them
OWN_FORWARD = {"torch": ("reforward",), "jax": ("reforward", "separate_grad")}
RECIPES = {
    "torch": (
        "unfrozen",
        "requires_grad_false",
        "no_grad_forward",
        "detach",
        "grad_of_trainable",
        "optimizer_only",
    ),
    "jax": (
        "unfrozen",
        "stop_gradient",
        "grad_of_trainable",
        "partition",
        "selective_transform",
        "masked",
        "chain_freeze",
        "all_gradients",
    ),
}
# found by trying, in the one graph and in a graph for each network
NOT_COMPILED = {
    "batched": "torch.vmap of a compiled backward pass: the compiled code wants real memory",
    "functional": "torch.func differentiates what it traces itself, not what is compiled already",
}
NOT_IN_ONE_GRAPH = {
    "boundary_split": "one graph over all networks has no boundary left to cut at",
}
UNFROZEN = "unfrozen"
FRONT_ONLY = ("no_grad_forward", "detach")  # they cut between networks
# these compute the gradients of what is frozen as well, and throw them away
WASTEFUL = (UNFROZEN, "optimizer_only", "chain_freeze", "all_gradients")
OPTIONS = ("kind", "scenario", "variant", "size", "framework", "mode", "strategy", "phase")


@dataclass(frozen=True)
class Cell:
    """One thing to measure; every field is a plain string and stands in the test's name.

    ``strategy`` is a recipe where ``kind`` is ``freeze``.
    """

    kind: str
    scenario: str
    variant: str
    size: str
    framework: str
    mode: str
    strategy: str
    phase: str
    device: str
    dtype: str = "float32"

    @property
    def id(self) -> str:
        """As it stands in a test's brackets."""
        return "-".join(value for name, value in asdict(self).items() if name != "kind")

    @property
    def group(self) -> tuple[str, ...]:
        """What is measured interleaved: all that differs in nothing but the strategy."""
        return tuple(value for name, value in asdict(self).items() if name != "strategy")

    @property
    def spec(self) -> Scenario:
        return CATALOGUE[self.scenario]

    def unsupported(self) -> str | None:
        """Why this cell cannot exist; None if it can."""
        variant, lacking = self.spec.variants[self.variant], self.spec.lacks(self.framework)
        if lacking:
            return lacking
        if self.phase == "backward" and self.strategy in OWN_FORWARD[self.framework]:
            return f"{self.strategy} runs a forward pass of its own inside the backward phase"
        if self.strategy in FRONT_ONLY and not variant.frozen_in_front:
            return "what is frozen does not stand in front of all that is trained"
        return self._uncompilable() or variant.reason_against(
            self.framework, self.strategy, self.mode
        )

    def _uncompilable(self) -> str | None:
        if self.framework != "torch" or self.mode == EAGER:
            return None
        joint = NOT_IN_ONE_GRAPH if self.mode == "compile" else {}
        return (NOT_COMPILED | joint).get(self.strategy)

    @property
    def baseline(self) -> str:
        """The strategy or recipe of its group that ratios refer to."""
        return UNFROZEN if self.kind == "freeze" else self.spec.baseline

    def rerun(self) -> str:
        """The command that measures this cell again, beside what its ratio refers to."""
        own = [f"--scenario-path={shlex.quote(_typed(self.spec.file))}"] if self.spec.file else []
        chosen = own + [f"--{name}={shlex.quote(getattr(self, name))}" for name in OPTIONS]
        return " ".join(["pytest benchmarks --benchmark-only", *chosen, f"--device={self.device}"])


def built(name: str) -> str:
    """What is built for a cell of this name: ``summed@again`` is ``summed``, a second time.

    Such copies are checked and timed as if they were strategies or recipes of their own; what they
    differ by is noise.
    """
    return name.partition("@")[0]


def groups(cells: Iterable[Cell]) -> dict[tuple[str, ...], list[Cell]]:
    """Cells by the group they are measured in."""
    found: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.group, []).append(cell)
    return found


def _typed(file: Path) -> str:
    """A path as short as it can be typed from here."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
