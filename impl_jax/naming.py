"""Name every parameter of a series of networks once, and find those that are tied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from flax import nnx

Path = tuple[Any, ...]  # nnx's path to a variable

# nnx's name of a variable → its canonical name, which is torch's
TABLE = "embedding"
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    TABLE: "weight",
    "mean": "running_mean",
    "var": "running_var",
}


def name_once(
    networks: Mapping[str, nnx.Module], known: Collection[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return every parameter of the networks once, by its canonical name, and its other names.

    A variable that occurs at several places is tied: it is one array. Its canonical name is that
    of its names which is known, or else the first.

    Args:
        networks: name of each stage → its network, first to last.
        known: names that the scenario gives to parameters.

    Returns:
        Name → variable, and each other name → the name of the same variable.
    """
    variables, names = {}, dict[int, list[str]]()
    for stage, network in networks.items():
        split: Any = nnx.split(network, (nnx.BatchStat, nnx.RngState), ...)
        for path, variable in [*nnx.to_flat_state(split[2]), *_occurrences(network)]:
            if isinstance(variable, (nnx.BatchStat, nnx.RngState)):
                continue
            variables[id(variable)] = variable
            own, name = names.setdefault(id(variable), []), f"{stage}.{canonical(path)}"
            own += [] if name in own else [name]
    named: dict[str, Any] = {}
    tied: dict[str, str] = {}
    for identity, own in names.items():
        chosen = next((name for name in own if name in known), own[0])
        named[chosen] = variables[identity]
        tied |= {name: chosen for name in own if name != chosen}
    return named, tied


def _occurrences(node: Any, path: Path = (), around: tuple[int, ...] = ()) -> Iterator[Any]:
    """Yield (path, variable) for each place at which a variable occurs in a network.

    Args:
        node: the network, or a part of it.
        path: to the part.
        around: identities of the parts that hold this one, which may refer back to them.
    """
    if isinstance(node, nnx.Variable):
        yield path, node
        return
    if id(node) in around:
        return
    if isinstance(node, Mapping):
        children = list(node.items())
    elif isinstance(node, (list, tuple, nnx.List)):
        children = list(enumerate(node))
    else:
        children = list(vars(node).items()) if isinstance(node, nnx.Module) else []
    for name, child in children:
        yield from _occurrences(child, (*path, name), (*around, id(node)))


def canonical(path: Iterable[Any]) -> str:
    """Turn nnx's path to a variable into a canonical name.

    >>> canonical(("linear", "kernel"))
    'linear.weight'
    """
    *layers, leaf = (str(part) for part in path)
    return ".".join([*layers, LEAVES.get(leaf, leaf)])
