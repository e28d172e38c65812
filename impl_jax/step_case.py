"""Hold a user's case whose own training step is run: its arrays by name, its losses, its step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from impl_jax.case import (
    build,
    check_networks,
    check_sharing,
    frozen_names,
    networks_in_order,
    stage_data,
    stages_of,
)
from impl_jax.case_values import CaseError
from impl_jax.graph_problem import Network, RepeatableProblem
from impl_jax.step_changes import bits

STATED = "stated"  # why a tensor counts as frozen: the case names it
STATISTICS = "batch_stats"  # linen's collection of running statistics
VALUES = {"value", "raw_value", "_value"}  # last parts of paths that name no parameter
PURE = "def step(state, batch): … return state, and Case(…, step=step, state=state)"


class StepCase:
    """Build a case anew and take its training steps.

    Args:
        make: the user's function; it is called once, and must build the same each time.
        seed: is set before it.

    Attributes:
        networks: by name.
        parameters: name → array at the start.
        frozen: name → `STATED`, of parameters.
        buffers: name → floating-point array at the start that is no parameter.
        pure: whether the step is a function of a state; else it changes nnx modules in place.
        state: of a pure step, as it is now.

    Raises:
        CaseError: the case has no step, or cannot be run.
    """

    def __init__(self, make: Callable[[], Any], seed: int) -> None:
        self.case, self.seed = build(make, seed), seed
        check_networks(self.case.networks)
        self.networks = self._read()
        check_sharing(self.networks)
        self.state = getattr(self.case, "state", None)
        self.pure = self.state is not None
        self.arguments = self._arguments(self._step())
        self.parameters, self.buffers = self._sorted()
        names = list(self.parameters)
        self.stated = list(self.case.frozen or ())
        frozen = frozen_names(self.stated, [*names, *self.buffers], {})
        self.frozen = {n: STATED for n in frozen if n in self.parameters}
        self.places = self._places() if self.pure else {}

    def _read(self) -> dict[str, Network]:
        """Return the networks with their arrays as they are now."""
        plain = networks_in_order(self.case)
        return {name: Network(name, one, None) for name, one in plain.items()}

    def _step(self) -> Callable[..., Any]:
        """Return the user's step."""
        step = getattr(self.case, "step", None)
        if step is None:
            raise CaseError("the case has no step", f"write {PURE}")
        if not callable(step):
            raise CaseError(f"step is {type(step).__name__}, not a function", f"write {PURE}")
        if not self.pure and not all(n.is_module for n in self.networks.values()):
            raise CaseError(
                "networks that are no nnx modules cannot be trained in place, and state is missing",
                f"write {PURE}",
            )
        return step

    def _arguments(self, step: Callable[..., Any]) -> tuple[Any, ...]:
        """Return what the step is called with behind the state: nothing, or the batch."""
        needed, first = required(step), int(self.pure)
        if needed is None or needed == first + 1:
            return (self.case.batch,)
        if needed == first:
            return ()
        raise CaseError(
            f"step takes {needed} arguments",
            "write step(state, batch)" if self.pure else "write step() or step(batch)",
        )

    def _sorted(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return parameters and floating-point buffers, copied out of the device's memory."""
        parameters: dict[str, Any] = {}
        buffers: dict[str, Any] = {}
        for network in self.networks.values():
            for name, array in network.parameters.items():
                target = buffers if STATISTICS in name.split(".") else parameters
                target[name] = np.array(array)
            for name, array in network.rest.items():
                if jnp.issubdtype(array.dtype, jnp.floating):
                    buffers[name] = np.array(array)
        return parameters, buffers

    def _places(self) -> dict[str, int]:
        """Return name → position of the leaf of the state that holds the array.

        Raises:
            CaseError: a network's parameters are not in the state.
        """
        leaves = [(_path(path), leaf) for path, leaf in _leaves(self.state)]
        places: dict[str, int] = {}
        for name, network in self.networks.items():
            arrays = {**network.parameters, **network.rest}
            own_arrays = {
                n: a for n, a in arrays.items() if n in self.parameters or n in self.buffers
            }
            positions = _matched(own_arrays, leaves)
            missing = [n for n in own_arrays if n in self.parameters and n not in positions]
            if missing:
                raise CaseError(
                    f"the state does not hold {missing[0]}",
                    f"build it of the very arrays of networks[{name!r}]: state={{'params': …}}",
                )
            places |= positions
        return places

    def current(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return parameters and buffers as they are now, copied."""
        if not self.pure:
            self.networks = self._read()
            return self._sorted()
        leaves = [leaf for _, leaf in _leaves(self.state)]
        now = {name: np.array(leaves[place]) for name, place in self.places.items()}
        return (
            {n: now[n] for n in self.parameters},
            {n: now[n] for n in self.buffers if n in now},
        )

    def other_arrays(self) -> list[tuple[str, Any]]:
        """Return (path, array) of what the state holds beside parameters and buffers."""
        taken = set(self.places.values())
        return [
            (_path(path), leaf)
            for i, (path, leaf) in enumerate(_leaves(self.state) if self.pure else [])
            if i not in taken and hasattr(leaf, "dtype")
        ]

    def prints(self) -> list[bytes]:
        """Return the bytes of every leaf of the state."""
        return [bits(leaf) for _, leaf in _leaves(self.state) if hasattr(leaf, "dtype")]

    def take(self) -> None:
        """Take one training step; a pure one's state is replaced by the next."""
        if not self.pure:
            self.case.step(*self.arguments)
            return
        after = self.next_state(self.state, *self.arguments)
        self.state = after

    def next_state(self, state: Any, *arguments: Any) -> Any:
        """Return the state after a pure step from any state.

        Raises:
            CaseError: what the step returns has another structure.
        """
        after = self.case.step(state, *arguments)
        wanted: Any = jax.tree.structure(state)
        if jax.tree.structure(after) == wanted:
            return after
        if isinstance(after, tuple) and after and jax.tree.structure(after[0]) == wanted:
            return after[0]
        kind = "None" if after is None else f"{type(after).__name__} of another structure"
        raise CaseError(
            f"step returns {kind}, not the next state",
            "return the state in the structure that it came in, or (state, anything)",
        )

    def losses(self, arrays: Mapping[str, Any]) -> Any:
        """Return the losses at these arrays, by name of the loss.

        Args:
            arrays: parameters by name; whatever is missing is as at the start.
        """
        case = self.case
        whole = {n: a for one in self.networks.values() for n, a in _everything(one).items()}
        whole |= arrays
        if case.losses is None:
            every = [name for stage in case.stages for name in stage.losses]
            data = stage_data(case.batch)
            problem = RepeatableProblem(self.networks, stages_of(case), data, {}, [])
            own = {n: whole[n] for n in problem.names}
            return problem.forward(own, {**problem.constants, "frozen": {}}, among=every)[0]
        built = {n: network.rebuilt(whole) for n, network in self.networks.items()}
        return case.losses(built, case.batch)

    def frozen_buffers(self) -> list[str]:
        """Return the buffers that the case names as frozen, by themselves or with their network."""
        known = list(self.buffers)
        return [n for n in known if any(n == s or n.startswith(f"{s}.") for s in self.stated)]


def required(function: Callable[..., Any]) -> int | None:
    """Return how many arguments a function must be given; None where that cannot be read."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in parameters)


def held_by(case: StepCase) -> dict[str, bool | None]:
    """Return name → whether the state holds an array of its path and shape beside it: a moment.

    None for all where it holds none for any: plain gradient descent keeps nothing.
    """
    others = [(path, leaf.shape) for path, leaf in case.other_arrays()]
    is_held = {
        name: any(_ends(path, name) and shape == array.shape for path, shape in others)
        for name, array in case.parameters.items()
    }
    return {n: holds if any(is_held.values()) else None for n, holds in is_held.items()}


def _everything(network: Network) -> dict[str, Any]:
    """Return every array of a network, by name."""
    return {**network.rest, **network.parameters}


def _leaves(state: Any) -> list[tuple[Any, Any]]:
    """Return (path, leaf) of a state."""
    if isinstance(state, nnx.Module):
        state = nnx.state(state)
    return jax.tree_util.tree_flatten_with_path(state)[0]


def _path(path: Any) -> str:
    """Return a path as a dotted text, without the parts that name no parameter."""
    parts = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
    while parts and parts[-1] in VALUES:
        parts.pop()
    return ".".join(parts)


def _ends(path: str, name: str) -> bool:
    """Return whether a path ends as a parameter's name does, the network's own part left out."""
    own = name.partition(".")[2] or name
    return path == own or path.endswith(f".{own}")


def _matched(arrays: Mapping[str, Any], leaves: list[tuple[str, Any]]) -> dict[str, int]:
    """Return name → position of the leaf with the same elements, all of them below one path.

    Of several places with the same elements (a copy, zeros) it is the one where most names are
    found together, objects that are the very same counting most.
    """
    candidates: dict[str, list[tuple[int, str]]] = {}
    votes: dict[str, float] = {}
    for name, array in arrays.items():
        own = bits(array)
        for i, (path, leaf) in enumerate(leaves):
            if getattr(leaf, "shape", None) != array.shape or bits(leaf) != own:
                continue
            prefix = _prefix(path, name)
            candidates.setdefault(name, []).append((i, prefix))
            votes[prefix] = votes.get(prefix, 0.0) + 1.0 + 1e3 * (leaf is array)
    return {
        name: max(places, key=lambda place: (votes[place[1]], -place[0]))[0]
        for name, places in candidates.items()
    }


def _prefix(path: str, name: str) -> str:
    """Return what stands in a path before the longest common ending with a name."""
    one, other = path.split("."), name.split(".")[1:]
    while one and other and one[-1] == other[-1]:
        one.pop()
        other.pop()
    return ".".join(one)
