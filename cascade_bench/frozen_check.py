"""Assert that training steps leave what is frozen as it is, bit by bit.

Everything runs in the caller's process, on the caller's own networks; the framework is the one that
the caller has imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_STATE: Any = object()  # stands for "no state was given", as None is a pytree
SHOWN = 5  # tensors that a message names
Values = dict[str, tuple[str, NDArray[Any]]]  # name → type as written in the framework, bytes


def assert_frozen(
    step: Callable[..., Any],
    frozen: Any,
    *,
    trained: Any = None,
    state: Any = NO_STATE,
    batch: Any = NO_STATE,
    steps: int = 3,
) -> None:
    """Fail unless everything in ``frozen`` keeps its bits over some training steps.

    Parameters and buffers count alike: a frozen BatchNorm whose running mean moves is not frozen.

    Where ``step`` trains in place, as torch and nnx modules do, it is called as ``step()`` (or
    ``step(batch)``), and ``frozen`` is the module. Where it is a pure function, it is called as
    ``state = step(state, batch)``, and ``frozen`` is a function that picks the frozen part of a
    state.

    Args:
        step: one training step.
        frozen: a module, a tensor, or a pytree of them; or a function from a state to a pytree.
        trained: the same for what must move; without it a step that does nothing passes.
        state: where training starts; left out where ``step`` trains in place.
        batch: what the step is called with; left out where it has its own.
        steps: how many are taken. Momentum and decay need a second one to show.

    Raises:
        AssertionError: names what moved, by how much, and in which step; or what did not move.
        ValueError: ``frozen`` or ``trained`` holds no tensor, or ``steps`` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}; give at least 1")
    before = _snapshot("frozen", frozen, state)
    start = None if trained is None else _snapshot("trained", trained, state)
    for number in range(1, steps + 1):
        state = _take(step, state, batch)
        _demand_still(before, _snapshot("frozen", frozen, state), number)
    if start is not None:
        _demand_moved(start, _snapshot("trained", trained, state), steps)


def _take(step: Callable[..., Any], state: Any, batch: Any) -> Any:
    """Take one step and return the state after it; `NO_STATE` where it trains in place."""
    arguments = [one for one in (state, batch) if one is not NO_STATE]
    after = step(*arguments)
    if state is NO_STATE:
        return NO_STATE
    if after is None:
        raise ValueError("step returned None; a pure step must return the next state")
    return after


def _snapshot(role: str, part: Any, state: Any) -> Values:
    """Return the values of a part, copied.

    Raises:
        ValueError: there is no tensor in it.
    """
    if state is not NO_STATE:
        if not callable(part):
            raise ValueError(
                f"{role} must be a function that picks a part of the state, such as "
                f"{role}=lambda state: state['encoder'], as state= is given"
            )
        part = part(state)
    values = {name: _copied(value) for name, value in leaves(part)}
    if not values:
        raise ValueError(f"{role} holds no tensor: it is a {type(part).__name__}")
    return values


def leaves(part: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of every tensor or array in a part: a module, a container, a leaf.

    A torch module's are its parameters and buffers, an nnx module's its variables without the
    states of random numbers, which a frozen Dropout moves rightly.
    """
    torch, nnx, jax = (sys.modules.get(one) for one in ("torch", "flax.nnx", "jax"))
    if torch and isinstance(part, torch.nn.Module):
        named = [*part.named_parameters(), *part.named_buffers()]
        yield from ((_joined(name, key), value) for key, value in named)
    elif nnx and isinstance(part, nnx.Module):
        yield from leaves(nnx.to_pure_dict(nnx.state(part, nnx.Not(nnx.RngState))), name)
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from leaves(value, _joined(name, str(key)))
    elif isinstance(part, list | tuple):
        for index, value in enumerate(part):
            yield from leaves(value, _joined(name, str(index)))
    elif hasattr(part, "dtype") and hasattr(part, "shape"):
        yield name or "it", part
    elif jax and part is not None:
        yield from _pytree_leaves(jax, part, name)


def _pytree_leaves(jax: Any, part: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the arrays of any other pytree, such as an equinox module."""
    for path, value in jax.tree_util.tree_flatten_with_path(part)[0]:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            yield _joined(name, jax.tree_util.keystr(path).lstrip(".")), value


def _joined(name: str, key: str) -> str:
    """Return the name of a part of something that has a name itself."""
    return f"{name}.{key}" if name else key


def _copied(value: Any) -> tuple[str, NDArray[Any]]:
    """Return type and bytes of a tensor or array, copied out of the framework's memory."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    kind = f"{value.dtype}{tuple(value.shape)}"
    if torch and isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)  # one dimension can be viewed as bytes
        return kind, flat.view(torch.uint8).numpy().copy()
    if jax and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    flat = np.array(value).reshape(-1)
    return kind, np.frombuffer(flat.tobytes(), np.uint8)


def _demand_still(before: Values, after: Values, number: int) -> None:
    """Demand the same tensors with the same bits.

    Raises:
        AssertionError: names those that differ.
    """
    missing = [name for name in before if name not in after]
    moved = [name for name in before if name in after and not _same(before[name], after[name])]
    if missing:
        raise AssertionError(f"gone after step {number}: {_listed(missing)}")
    if moved:
        differences = [f"{name} ({_difference(before[name], after[name])})" for name in moved]
        raise AssertionError(f"not frozen: moved in step {number}: {_listed(differences)}")


def _demand_moved(before: Values, after: Values, steps: int) -> None:
    """Demand that every tensor has other bits than before.

    Raises:
        AssertionError: names those that have not.
    """
    still = [name for name in before if name in after and _same(before[name], after[name])]
    if still:
        raise AssertionError(f"not trained: the same after {steps} steps: {_listed(still)}")


def _same(one: tuple[str, NDArray[Any]], other: tuple[str, NDArray[Any]]) -> bool:
    """Return whether type, shape and every bit agree."""
    return one[0] == other[0] and np.array_equal(one[1], other[1])


def _difference(one: tuple[str, NDArray[Any]], other: tuple[str, NDArray[Any]]) -> str:
    """Return how two values of a tensor differ, for a message."""
    if one[0] != other[0]:
        return f"{one[0]} became {other[0]}"
    kind = one[0].partition("(")[0].removeprefix("torch.")
    if kind not in ("float16", "float32", "float64"):
        return f"{int(np.count_nonzero(one[1] != other[1]))} of its bytes"
    old, new = (np.frombuffer(each[1].tobytes(), kind).astype(np.float64) for each in (one, other))
    return f"by up to {np.max(np.abs(new - old)):.2g}"


def _listed(names: list[str]) -> str:
    """Return names for a message, the first few of many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
