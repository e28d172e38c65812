"""Define a cell, the unit of measurement, and list the strategies, recipes and modes there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness.protocol import ranks
from benchmarks.harness.protocol.precision import IEEE, reason_against
from benchmarks.scenarios import CATALOGUE, Scenario

# "backward" measures strategies, which differ in how they walk back from several losses; "freeze"
# measures recipes, which differ in how they keep a part of the network from being trained;
# "distributed" measures strategies in several ranks at once, see `ranks`.
KINDS = ("backward", "freeze", ranks.DISTRIBUTED)
# How a framework runs a program. "compile" is torch.compile over networks and losses together,
# "compile_networks" of each network on its own. The first is how the framework is used by default.
MODES = {"torch": ("eager", "compile", "compile_networks"), "jax": ("jit", "eager")}
DEFAULT_MODES = {framework: modes[0] for framework, modes in MODES.items()}
EAGER = "eager"
# The timed part of a training step: the backward pass alone; forward and backward pass; both and
# the optimizer's update.
PHASES = ("backward", "gradient", "step")
# Strategy names; what each of them does stands in impl_<framework>/strategies.py.
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
        "checkpointed",
    ),
    "jax": (
        "summed",
        "separate_retained",
        "separate_grad",
        "separate_pullbacks",
        "boundary_split",
        "reforward",
        "batched",
        "checkpointed",
    ),
}
# Strategies whose forward passes happen inside the backward pass: they have no phase "backward",
# which would leave the forward pass out.
OWN_FORWARD = {"torch": ("reforward",), "jax": ("reforward", "separate_grad")}
# Recipe names; what each of them does stands in impl_<framework>/recipes.py.
RECIPES = {
    "torch": (
        "unfrozen",
        "requires_grad_false",
        "no_grad_forward",
        "detach",
        "grad_of_trainable",
        "optimizer_only",
        "rate_zero",
        "inference_mode",
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
        "rate_zero",
        "scale_zero",
        "traced_mask",
        "cond",
    ),
}
# Strategies that torch.compile cannot handle in any mode, with the reason; found by trying.
NOT_COMPILED = {
    "batched": "torch.vmap of a compiled backward pass: the compiled code wants real memory",
    "functional": "torch.func differentiates what it traces itself, not what is compiled already",
}
# More strategies that it cannot handle in mode "compile".
NOT_IN_ONE_GRAPH = {
    "boundary_split": "one graph over all networks has no boundary left to cut at",
}
UNFROZEN = "unfrozen"  # the recipe that freezes nothing: ratios of recipes refer to it
# Recipes that cut the graph between two networks, behind the frozen ones: these must stand in front
# of all that is trained.
FRONT_ONLY = ("no_grad_forward", "detach", "inference_mode")
# Recipes that compute the gradients of frozen parameters too, and drop them: the gate expects
# these gradients.
WASTEFUL = (
    UNFROZEN,
    "optimizer_only",
    "rate_zero",
    "chain_freeze",
    "all_gradients",
    "scale_zero",
    "traced_mask",
)
# Those of `WASTEFUL` whose optimizer has no state for a frozen parameter: a step in JAX returns no
# gradients, and leaves no moment that the gate could compute these gradients from.
STATELESS = ("scale_zero",)
# Ways that are measured only where they are named: each shows a price, and none is the one to take.
ON_REQUEST = ("checkpointed", "rate_zero", "inference_mode", "scale_zero", "traced_mask", "cond")
# Fields of a cell that are options of the command line, and so part of the command that reruns it.
OPTIONS = ("kind", "scenario", "variant", "size", "framework", "mode", "strategy", "phase")


@dataclass(frozen=True)
class Cell:
    """Name one thing to measure; every field but ``kind`` is a part of the test's name.

    Attributes:
        kind: one of `KINDS`.
        scenario: name of a scenario in the catalogue.
        variant: name of a variant of the scenario.
        size: name of a size of the scenario.
        framework: ``torch`` or ``jax``.
        mode: one of the framework's `MODES`; of kind ``distributed`` see `ranks.mode_name`.
        strategy: a strategy, or where ``kind`` is ``freeze`` a recipe.
        phase: one of `PHASES`.
        device: ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float64``, of weights and data.
        precision_mode: one of `precision.PRECISION_MODES`: in what the networks compute.
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
    precision_mode: str = IEEE

    @property
    def id(self) -> str:
        """Return the part of the test's name that stands in brackets; full float32 is not named."""
        return "-".join(value for name, value in self._named().items() if name != "kind")

    @property
    def group(self) -> tuple[str, ...]:
        """Return the fields that all cells of a group share: all but the strategy.

        The cells of a group are measured interleaved, in the same processes.
        """
        return tuple(value for name, value in self._named().items() if name != "strategy")

    def _named(self) -> dict[str, str]:
        """Return the fields by name, without the precision mode where it is full float32."""
        fields = asdict(self)
        return {n: v for n, v in fields.items() if (n, v) != ("precision_mode", IEEE)}

    @property
    def problem(self) -> tuple[str, str, str]:
        """Return what all cells share that are built from the same networks and data."""
        return self.scenario, self.variant, self.size

    @property
    def owner(self) -> str | None:
        """Return the path of the user's file whose code this cell runs; None for this suite's."""
        return str(self.spec.file) if self.spec.file else None

    @property
    def spec(self) -> Scenario:
        """Return the scenario itself."""
        return CATALOGUE[self.scenario]

    def unsupported_reason(self) -> str | None:
        """Return why this cell cannot exist; None if it can."""
        variant, lacking = self.spec.variants[self.variant], self.spec.lacks(self.framework)
        if lacking:
            return lacking
        if self.kind == ranks.DISTRIBUTED:
            if self.precision_mode != IEEE:
                return "several ranks compute in full float32 alone"
            batch = int(self.spec.sizes[self.size].get("batch", 1))
            where = self.scenario, batch, self.device, self.mode, self.strategy
            return ranks.reason_against(*where, variant.allowed)
        if self.phase == "backward" and self.strategy in OWN_FORWARD[self.framework]:
            return f"{self.strategy} runs a forward pass of its own inside the backward phase"
        if self.strategy in FRONT_ONLY and not variant.frozen_in_front:
            return "what is frozen does not stand in front of all that is trained"
        return (
            self._not_compilable()
            or variant.reason_against(self.framework, self.strategy, self.mode)
            or self._not_in_precision()
        )

    def _not_compilable(self) -> str | None:
        """Return why torch.compile does not take this strategy; None if it does."""
        if self.framework != "torch" or self.mode == EAGER:
            return None
        joint = NOT_IN_ONE_GRAPH if self.mode == "compile" else {}
        return (NOT_COMPILED | joint).get(self.strategy)

    def _not_in_precision(self) -> str | None:
        """Return why this cell cannot be computed in its precision mode; None if it can."""
        framework = (self.framework, self.mode)
        where = (self.dtype, self.device, *framework, self.scenario, self.variant)
        return reason_against(self.precision_mode, *where)

    @property
    def baseline(self) -> str:
        """Return the strategy or recipe of this group that ratios refer to."""
        return UNFROZEN if self.kind == "freeze" else self.spec.baseline

    def rerun_command(self) -> str:
        """Return the command that measures this cell again, together with its baseline."""
        file = self.spec.file
        options = [f"--scenario-path={shlex.quote(_relative_path(file))}"] if file else []
        fields = {name: getattr(self, name) for name in OPTIONS}
        if self.kind == ranks.DISTRIBUTED:
            fields["mode"], number = ranks.split_mode(self.mode)
            fields["ranks"] = str(number)
        options += [f"--{name}={shlex.quote(value)}" for name, value in fields.items()]
        options += [f"--device={self.device}"]
        lower = "" if self.precision_mode == IEEE else f" --precision-mode={self.precision_mode}"
        return " ".join(["pytest benchmarks --benchmark-only", *options]) + lower


def reference_kind(kind: str) -> str:
    """Return the kind whose float64 reference cells of a kind are held to.

    Several ranks are held to the gradients of one process over the whole batch.
    """
    return "backward" if kind == ranks.DISTRIBUTED else kind


def strategy_of(name: str) -> str:
    """Return the strategy or recipe that is built for a name: ``summed`` for ``summed@again``.

    A name with ``@`` is a copy of a strategy or recipe that is checked and timed as if it were one
    of its own. Its times differ from the original's by noise alone, which measures that noise.
    """
    return name.partition("@")[0]


def shows_frozen_gradients(way: str, phase: str) -> bool:
    """Return whether a recipe's gradients of frozen parameters can be compared after a call.

    Args:
        way: the strategy or recipe, without an alias.
        phase: of the call. A ``step`` shows gradients by the moments of its optimizer alone.
    """
    return way in WASTEFUL and not (phase == "step" and way in STATELESS)


def groups(cells: Iterable[Cell]) -> dict[tuple[str, ...], list[Cell]]:
    """Return the cells of each group, by `Cell.group`."""
    by_group: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        by_group.setdefault(cell.group, []).append(cell)
    return by_group


def _relative_path(file: Path) -> str:
    """Return a path relative to the working directory, where the file is below it."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
