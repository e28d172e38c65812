"""Find the counterpart in PyTorch of each array of a JAX network, by its name and its shape.

A pair is taken where nothing else fits; what stays open is an error that says what to write. The
gradients of the two frameworks are held to each other later, which finds a wrong pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from benchmarks.harness.worker.case_files import CaseMistakeError

Shape = tuple[int, ...]
NameTest = Callable[[str, str], bool]
AS_IT_IS, TRANSPOSED, RESHAPED = "as it is", "transposed", "reshaped"
# name in torch → names in flax, equinox and haiku
LEAVES = {
    "weight": ("kernel", "embedding", "scale", "weight", "w"),
    "bias": ("bias", "b", "offset"),
    "running_mean": ("mean", "running_mean"),
    "running_var": ("var", "running_var"),
}
# These keep torch's layout also where their transpose would fit; a kernel is transposed.
SAME_LAYOUT = ("embedding", "scale", "weight", "bias", "b", "offset", "mean", "var")
CONTAINERS = ("params", "layers", "module", "modules", "batch_stats")  # names that wrap others
MEND = (
    "give the JAX case weights=lambda w: {{{entry}}}, where w maps torch's names to arrays, or "
    "measure one framework alone: --framework jax"
)


class Pair(NamedTuple):
    """Name an array of JAX, the tensor of torch that it is filled from, and how."""

    jax: str
    torch: str
    how: str


def paired(
    torch: Mapping[str, Shape], jax: Mapping[str, Shape], required: Iterable[str]
) -> list[Pair]:
    """Return the pair of each array of JAX that has one.

    Args:
        torch: name → shape of each parameter and buffer that is still free.
        jax: name → shape of each array that is still to be filled.
        required: names in JAX that must be filled.

    Raises:
        CaseMistakeError: one of these has no counterpart, or several.
    """
    pairs_by_name: dict[str, Pair] = {}
    for may_match in (_same_place, _same_leaf, _any_two):
        while _add_only_choices(pairs_by_name, torch, jax, may_match):
            pass
    free = _free(torch, pairs_by_name)
    for name in required:
        if name not in pairs_by_name:
            _check_network(name, torch)
            raise _open_question(name, jax[name], {n: torch[n] for n in free})
    return [pairs_by_name[name] for name in jax if name in pairs_by_name]


def _add_only_choices(
    pairs_by_name: dict[str, Pair],
    torch: Mapping[str, Shape],
    jax: Mapping[str, Shape],
    may_match: NameTest,
) -> bool:
    """Add every pair that is alike and fits, where each is the other's only choice.

    Returns:
        Whether there was one.
    """
    free = _free(torch, pairs_by_name)
    choices = {
        name: [
            Pair(name, other, how)
            for other in free
            if _together(other, name) and may_match(other, name)
            if (how := fitting(torch[other], shape, name))
        ]
        for name, shape in jax.items()
        if name not in pairs_by_name
    }
    rivals = [pair.torch for pairs in choices.values() for pair in pairs]
    taken = {
        name: pairs[0]
        for name, pairs in choices.items()
        if len(pairs) == 1 and rivals.count(pairs[0].torch) == 1
    }
    pairs_by_name |= taken
    return bool(taken)


def _free(torch: Iterable[str], pairs_by_name: Mapping[str, Pair]) -> list[str]:
    """Return the names in torch that no pair holds."""
    taken = {pair.torch for pair in pairs_by_name.values()}
    return [name for name in torch if name not in taken]


def _together(torch: str, jax: str) -> bool:
    """Return whether two names are of the same network."""
    return _network(torch) == _network(jax)


def _network(name: str) -> str:
    """Return the network that a name begins with."""
    return name.partition(".")[0]


def _same_place(torch: str, jax: str) -> bool:
    """Return whether two names differ in nothing but what the frameworks call the same."""
    return _same_leaf(torch, jax) and _modules(torch) == _modules(jax)


def _same_leaf(torch: str, jax: str) -> bool:
    """Return whether the last parts of two names mean the same."""
    leaf, other = torch.rpartition(".")[2], jax.rpartition(".")[2]
    return leaf == other or other in LEAVES.get(leaf, ())


def _any_two(torch: str, jax: str) -> bool:
    """Return that any two names may mean the same: the shape alone decides."""
    return True


def _modules(name: str) -> list[str]:
    """Return the modules on the way to a parameter, without those that only wrap others."""
    return [part for part in name.split(".")[:-1] if part and part not in CONTAINERS]


def fitting(torch: Shape, jax: Shape, name: str) -> str | None:
    """Return how a tensor of torch fills an array of JAX; None where it does not, or in two ways.

    Args:
        torch: shape of the tensor.
        jax: shape of the array.
        name: of the array; its last part tells the layout.
    """
    leaf = name.rpartition(".")[2]
    if len(torch) < 2 or len(jax) != len(torch):
        if torch == jax:
            return AS_IT_IS
        return RESHAPED if _without_ones(torch) == _without_ones(jax) else None
    same, moved = torch == jax, transposed(torch) == jax
    if same and moved and leaf != "kernel" and leaf not in SAME_LAYOUT:
        return None
    if moved and (leaf == "kernel" or not same):
        return TRANSPOSED
    return AS_IT_IS if same else None


def transposed(shape: Shape) -> Shape:
    """Return a shape [outputs, inputs, *kernel] as [*kernel, inputs, outputs]."""
    return (*shape[2:], shape[1], shape[0])


def _without_ones(shape: Shape) -> Shape:
    """Return a shape without its axes of length 1."""
    return tuple(size for size in shape if size != 1)


def _check_network(name: str, torch: Iterable[str]) -> None:
    """Raise `CaseMistakeError` where torch has no network of the name that JAX's has."""
    own, networks = _network(name), list(dict.fromkeys(map(_network, torch)))
    if networks and own not in networks:
        raise CaseMistakeError(
            f"the JAX network {own!r} has no namesake in torch, whose networks are "
            f"{', '.join(networks)}",
            f"give both the same names, or {MEND.format(entry=f'{name!r}: …')}",
        )


def _open_question(name: str, shape: Shape, free: Mapping[str, Shape]) -> CaseMistakeError:
    """Return the error that a parameter of JAX has no counterpart, or several."""
    own = {n: s for n, s in free.items() if _together(n, name)}
    fits = [n for n, s in own.items() if shape in (s, transposed(s) if len(s) > 1 else s)]
    subject = f"the JAX parameter {name} {list(shape)}"
    if not fits:
        free_names = ", ".join(f"{n} {list(s)}" for n, s in list(own.items())[:3]) or "nothing"
        return CaseMistakeError(
            f"{subject} has no counterpart in torch, where {free_names} is left",
            MEND.format(entry=f"{name!r}: …"),
        )
    ways = f"{fits[0]} as it is or transposed" if len(fits) == 1 else " or ".join(fits[:3])
    entry = f"{name!r}: w[{fits[0]!r}]" + (".T" if len(shape) == 2 else "")
    return CaseMistakeError(f"{subject} may be torch's {ways}", MEND.format(entry=entry))
