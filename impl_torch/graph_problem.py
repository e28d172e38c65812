"""Hold a problem whose losses are a user's own function, whatever graph that function builds.

A strategy or recipe sees the interface of `Problem`. What a forward pass changes beside its outputs
(buffers, the state of random number generators) is put back before each pass that must repeat an
earlier one, so that every strategy differentiates the very same function. A strategy that repeats
passes does so within its time, and pays there for what is put back: the buffers that a pass moves,
and where a pass draws random numbers the generators, which takes 15 to 30 microseconds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from impl_torch.problem import Data, Losses, Problem, Stage

LossFunction = Callable[[Any], Any]  # returns name → scalar; a user's, so it is checked


def generator_states() -> dict[str, Any]:
    """Return the state of every generator that `seed_everything` seeds, by the library's name."""
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = torch.cuda.get_rng_state_all() if cuda else []
    return {
        "torch": [state.numpy().tobytes() for state in (torch.get_rng_state(), *devices)],
        "python": random.getstate(),
        "numpy": str(np.random.get_state()),
    }


def seed_everything(seed: int) -> None:
    """Seed every generator of random numbers that user code draws from by default."""
    torch.default_generator.manual_seed(seed)  # `torch.manual_seed` takes 0.2 ms even on a CPU
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)
    np.random.seed(seed)


class RepeatableProblem(Problem):
    """Put buffers and random numbers back, and name a tensor that has several names once.

    Arguments are those of `Problem`, and the ``seed`` that is set before each repeated pass.

    Attributes:
        draws: whether a pass may draw random numbers. An examination sets it to False where it has
            seen none drawn: a repeated pass then seeds no generator. To seed takes time, and Dynamo
            cannot compile it.
    """

    def __init__(
        self,
        stages: list[Stage],
        data: Data,
        reach: Mapping[str, list[str]],
        frozen: list[str],
        seed: int,
    ) -> None:
        self.seed, self.draws = seed, True
        super().__init__(stages, data, reach, frozen)
        self._places = {  # buffer → the module that holds it, the attribute, the tensor
            f"{stage.name}.{name}": _place(stage.network, name)
            for stage in stages
            for name, _ in stage.network.named_buffers()
        }
        self.buffers = dict(self.every_buffer)  # each that a pass moves, see `keep_buffers`

    def moved_buffers(self) -> list[str]:
        """Return the names of the buffers that differ from their values at the start."""
        starts = self._buffers_at_start
        current = {n: getattr(module, leaf) for n, (module, leaf, _) in self._places.items()}
        return [n for n, tensor in current.items() if not _same(tensor, starts[n])]

    def keep_buffers(self, names: Collection[str]) -> None:
        """Put back these buffers alone from now on: the others never move."""
        self.restore_buffers()
        self._places = {n: place for n, place in self._places.items() if n in names}
        self.buffers = {n: b for n, b in self.buffers.items() if n in names}

    def restore_buffers(self) -> None:
        """Set buffers back to the values of the start, and the generators to the seed."""
        self._copy_buffers()
        seed_everything(self.seed)

    def _start_again(self) -> None:
        """Set back what a pass changes, before a pass that repeats another within the clock."""
        if self.draws:
            self.restore_buffers()
        else:
            self._copy_buffers()

    def _copy_buffers(self) -> None:
        """Copy the values of the start into the buffers.

        The copy goes past autograd's version counters: a graph that was built before and is still
        to be walked may have saved the buffer, whose value it does not read.
        """
        for name, (module, leaf, tensor) in self._places.items():
            setattr(module, leaf, tensor)  # a forward pass may have put another tensor there
            tensor.data.copy_(self._buffers_at_start[name])

    def losses(
        self,
        parameters: Mapping[str, Tensor] | None = None,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Return losses by name as `Problem.losses` does.

        A pass ``until`` a loss is one of several that must see the same function: it starts from
        the same buffers and random numbers as the others.
        """
        if until is not None:
            self._start_again()
        return super().losses(parameters, until=until, among=among)


class GraphProblem(RepeatableProblem):
    """Hold networks by name, and one function of a batch that returns all losses.

    There is no series of networks, and so no boundary to cut at; ``until`` ends no pass early.

    Args:
        networks: the modules that ``losses`` calls, by name.
        losses: (batch) → loss by name.
        batch: what ``losses`` is called with.
        reach, frozen, seed: as in `RepeatableProblem`.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        losses: LossFunction,
        batch: Any,
        reach: Mapping[str, list[str]],
        frozen: list[str],
        seed: int,
    ) -> None:
        stages = [Stage(name, network) for name, network in networks.items()]
        super().__init__(stages, {"batch": batch}, reach, frozen, seed)
        self.function = losses
        self._whole = _Whole(networks, losses)

    def losses(
        self,
        parameters: Mapping[str, Tensor] | None = None,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Call the function; return every loss that reaches a trained parameter, by name.

        Arguments are those of `RepeatableProblem.losses`.
        """
        if until is not None:
            self._start_again()
        batch = self.data["batch"]
        if parameters is None:
            values: Mapping[str, Tensor] = self.function(batch)
        else:
            own = {self._whole.renamed(name): tensor for name, tensor in parameters.items()}
            values = torch.func.functional_call(self._whole, own, (batch,))
        selected = self.flow if among is None else among
        return {name: value for name, value in values.items() if name in selected}


class _Whole(nn.Module):
    """Hold all networks as one module, for `torch.func.functional_call`."""

    def __init__(self, networks: Mapping[str, nn.Module], losses: LossFunction) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks.values())
        self._positions = {name: i for i, name in enumerate(networks)}
        self._losses = losses

    def renamed(self, name: str) -> str:
        """Return the name in this module of the parameter that the problem calls ``name``."""
        network, _, rest = name.partition(".")
        return f"networks.{self._positions[network]}.{rest}"

    def forward(self, batch: Any) -> Any:
        """Return the losses of the batch."""
        return self._losses(batch)


def _place(network: nn.Module, name: str) -> tuple[nn.Module, str, Tensor]:
    """Return the module that holds a buffer, the buffer's attribute there, and the buffer."""
    path, _, leaf = name.rpartition(".")
    module = network.get_submodule(path)
    return module, leaf, getattr(module, leaf)


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal; NaN is equal to NaN."""
    if one.shape != other.shape:
        return False
    differs = one != other
    return not bool((differs & ~((one != one) & (other != other))).any())
