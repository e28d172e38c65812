"""Hold a user's case whose own training step is run: its tensors by name, its losses, its step.

Nothing is converted or copied: the step closes over these very modules and optimizers.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch.case import (
    aliases,
    build,
    check_networks,
    frozen_names,
    is_lazy,
    losses_of_stages,
    named_or_lazy,
    networks_in_order,
    stages_of,
)
from impl_torch.case_values import CaseError, takes_networks
from impl_torch.graph_problem import seed_everything
from impl_torch.step_changes import groups_of

STATED, UNREQUIRED = "stated", "unrequired"  # why a tensor counts as frozen
STEP = "def step(): …, which does one whole training step, and Case(…, step=step)"


class StepCase:
    """Build a case anew and take its training steps.

    Args:
        make: the user's function; it is called once, and must build the same each time.
        seed: is set before it, and again before the first step.

    Attributes:
        networks: by name.
        parameters: name → parameter; tied ones once.
        frozen: name → `STATED` (the case names it) or `UNREQUIRED` (it required no gradient at
            the start), of parameters.
        buffers: name → (module, attribute) of every floating-point buffer that is saved.

    Raises:
        CaseError: the case has no step, or cannot be run.
    """

    def __init__(self, make: Callable[[], Any], seed: int) -> None:
        self.case, self.seed = build(make, seed), seed
        check_networks(self.case.networks)
        self.networks = networks_in_order(self.case)
        self.arguments = self._arguments(self._step())
        self._fill_lazy()
        self.parameters: dict[str, nn.Parameter] = dict(named_or_lazy(self.networks))
        self.aliases = aliases(self.networks)
        stated = frozen_names(self.case.frozen or (), list(self.parameters), self.aliases)
        self.frozen = {n: UNREQUIRED for n, p in self.parameters.items() if not p.requires_grad}
        self.frozen |= dict.fromkeys(stated, STATED)
        self.buffers = self._saved_buffers()
        seed_everything(seed)

    def _step(self) -> Callable[..., Any]:
        """Return the user's step."""
        step = getattr(self.case, "step", None)
        if step is None:
            raise CaseError("the case has no step", f"write {STEP}")
        if not callable(step):
            raise CaseError(f"step is {type(step).__name__}, not a function", f"write {STEP}")
        if getattr(self.case, "state", None) is not None:
            raise CaseError(
                "state is given, and torch trains in place",
                "leave state= out, and let step() change the modules",
            )
        return step

    def _arguments(self, step: Callable[..., Any]) -> tuple[Any, ...]:
        """Return what the step is called with: nothing, or the batch."""
        needed = required(step)
        if needed is None or needed == 1:
            return (self.case.batch,)
        if needed == 0:
            return ()
        raise CaseError(f"step takes {needed} arguments", "write step() or step(batch)")

    def _fill_lazy(self) -> None:
        """Run forward once if a parameter or a buffer gets its shape only then."""
        if any(map(is_lazy, self.networks.values())):
            with torch.no_grad():
                self.losses()

    def _saved_buffers(self) -> dict[str, tuple[nn.Module, str]]:
        """Return every floating-point buffer that a saved state holds: no caches, no counters."""
        buffers: dict[str, tuple[nn.Module, str]] = {}
        for network, module in self.networks.items():
            saved = set(module.state_dict(keep_vars=True))
            for name, buffer in module.named_buffers():
                path, _, leaf = name.rpartition(".")
                if name in saved and buffer.is_floating_point():
                    buffers[f"{network}.{name}"] = (module.get_submodule(path), leaf)
        return buffers

    def buffer(self, name: str) -> Tensor:
        """Return a buffer as it is now; a pass may have put another tensor there."""
        module, leaf = self.buffers[name]
        tensor: Tensor = getattr(module, leaf)
        return tensor

    def take(self) -> Any:
        """Take one training step, and return what the user's function returns."""
        return self.case.step(*self.arguments)

    def losses(self) -> Any:
        """Run the losses of the case forward, from the seed."""
        seed_everything(self.seed)
        case = self.case
        if case.losses is None:
            return losses_of_stages(stages_of(case), case.batch)
        if takes_networks(case.losses):
            return case.losses(dict(self.networks), case.batch)
        return case.losses(case.batch)

    def frozen_buffers(self) -> dict[str, list[str]]:
        """Return buffer → the frozen parameters beside it, of buffers that are frozen with them.

        A buffer belongs to the parameters of its module, or of the smallest module around it that
        has any.
        """
        parameters_by_buffer = {}
        for name in self.buffers:
            beside = self._parameters_beside(name)
            if beside and all(n in self.frozen for n in beside):
                parameters_by_buffer[name] = beside
        return parameters_by_buffer

    def _parameters_beside(self, buffer: str) -> list[str]:
        """Return the parameters of the smallest module around a buffer that has any."""
        path = buffer.rpartition(".")[0]
        while path:
            under = [n for n in self.parameters if n.startswith(f"{path}.")]
            if under:
                return under
            path = path.rpartition(".")[0]
        return []

    def owners(self) -> Iterator[tuple[nn.Module, list[str]]]:
        """Yield each module that holds parameters of its own, with their names."""
        names = {id(p): n for n, p in self.parameters.items()}
        seen: set[int] = set()
        for network in self.networks.values():
            for module in network.modules():
                own = [names[id(p)] for p in module.parameters(recurse=False) if id(p) in names]
                if own and id(module) not in seen:
                    seen.add(id(module))
                    yield module, own


def required(function: Callable[..., Any]) -> int | None:
    """Return how many arguments a function must be given; None where that cannot be read."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def held_by(
    parameters: dict[str, nn.Parameter], stepped: Iterable[torch.optim.Optimizer]
) -> dict[str, list[torch.optim.Optimizer]]:
    """Return name → the optimizers that hold the parameter: those that stepped, or are alive.

    One that hands its groups on to another, as wrappers do, counts once: the first.
    """
    names = {id(p): n for n, p in parameters.items()}
    holders: dict[str, list[torch.optim.Optimizer]] = {n: [] for n in parameters}
    groups: dict[str, set[int]] = {n: set() for n in parameters}
    everyone = {id(one): one for one in (*stepped, *_optimizers())}
    for optimizer in everyone.values():
        for group in groups_of(optimizer):
            for parameter in group["params"]:
                name = names.get(id(parameter))
                if name and id(group) not in groups[name]:
                    groups[name].add(id(group))
                    holders[name].append(optimizer)
    return holders


def strangers(
    optimizers: Iterable[torch.optim.Optimizer], parameters: dict[str, nn.Parameter]
) -> list[Tensor]:
    """Return the tensors that these optimizers hold and no network has."""
    known_ids = {id(p) for p in parameters.values()}
    stepped_parameters = [p for o in optimizers for group in groups_of(o) for p in group["params"]]
    return [p for p in stepped_parameters if id(p) not in known_ids]


def _optimizers() -> list[torch.optim.Optimizer]:
    """Return every optimizer that is alive in this process."""
    kind = torch.optim.Optimizer
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]


def label(optimizer: torch.optim.Optimizer) -> str:
    """Return the name of an optimizer's class, for a message."""
    return type(optimizer).__name__
