"""Work out how many bytes a rank of kind ``distributed`` reduces and gathers in one call."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from benchmarks.harness.protocol.ranks import SHARDING, split_mode

# Strategies of which each backward pass reduces what it has reached. XLA reduces the gradients of
# each `jax.grad` apart, also in one jit; `shard_map` has one mean at its end.
REDUCING_IN_EACH_PASS = ("separate_retained", "reforward", "sharded_jit/separate_grad")
OWN_FORWARD_PASSES = ("reforward", "reforward_no_sync")  # one in front of each backward pass

Parameters = Mapping[str, Collection[str]]  # loss → names of parameters
Shapes = Mapping[str, Sequence[int]]


def reduced_bytes(mode: str, strategy: str, flow: Parameters, shapes: Shapes, item: int) -> int:
    """Return the bytes of gradients that a rank reduces in one call.

    Summed, each gradient is reduced once. With a backward pass for each loss those of the networks
    in front are reduced by several passes.

    Args:
        mode: wrapper and ranks of the cell.
        strategy: of the cell.
        flow: loss → the parameters that it may change.
        shapes: parameter → shape.
        item: bytes of an element.
    """
    wrapper, _ = split_mode(mode)
    passes = [set(names) for names in flow.values()]
    if not {strategy, f"{wrapper}/{strategy}"} & set(REDUCING_IN_EACH_PASS):
        passes = [set[str]().union(*passes)]
    return item * sum(_elements(shapes[name], mode) for names in passes for name in names)


def gathered_bytes(
    mode: str, strategy: str, reach: Parameters, flow: Parameters, shapes: Shapes, item: int
) -> int:
    """Return the bytes of parameters that a rank gathers in one call; 0 where none are sharded.

    A pass gathers the networks that it comes to, unless they are whole. A backward pass shares out
    again what it has gone through. What none goes through, a frozen network in front of all that is
    trained, stays whole from the first call on.

    Args:
        mode: wrapper and ranks of the cell.
        strategy: of the cell.
        reach: loss → the parameters that it would reach if nothing were frozen.
        flow: loss → the parameters that it may change.
        shapes: parameter → shape, of the networks in series, first to last.
        item: bytes of an element.
    """
    if split_mode(mode)[0] not in SHARDING:
        return 0
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        sizes[_network(name)] = sizes.get(_network(name), 0) + _elements(shape, mode)
    whole, gathered = set[str](), list[str]()
    for _ in range(2):  # the second call is as all that follow it
        gathered.clear()
        for shares_out, networks in _passes(strategy, reach, flow, list(sizes)):
            gathered += [network for network in networks if network not in whole]
            whole = whole - set(networks) if shares_out else whole | set(networks)
    return item * sum(sizes[network] for network in gathered)


def _passes(
    strategy: str, reach: Parameters, flow: Parameters, networks: list[str]
) -> Iterator[tuple[bool, list[str]]]:
    """Yield the passes of a call: whether it is a backward pass, and the networks it goes through.

    A backward pass begins at the network of its loss, and ends at the first that is trained.
    """
    flow = {loss: names for loss, names in flow.items() if names}
    place = {network: number for number, network in enumerate(networks)}
    ends = {loss: max(place[_network(name)] for name in reach[loss]) + 1 for loss in flow}
    starts = {loss: min(place[_network(name)] for name in flow[loss]) for loss in flow}
    if strategy in OWN_FORWARD_PASSES:
        for loss in flow:
            yield False, networks[: ends[loss]]
            yield True, networks[starts[loss] : ends[loss]]
        return
    yield False, networks
    if strategy in REDUCING_IN_EACH_PASS:
        for loss in flow:
            yield True, networks[starts[loss] : ends[loss]]
    else:
        yield True, networks[min(starts.values()) : max(ends.values())]


def _network(parameter: str) -> str:
    """Return the name of the network that a parameter is of."""
    return parameter.partition(".")[0]


def _elements(shape: Sequence[int], mode: str) -> int:
    """Return the elements of a parameter, filled up to equal parts of rows where it is sharded."""
    wrapper, ranks = split_mode(mode)
    if wrapper not in SHARDING:
        return math.prod(shape)
    rows, *rest = shape
    return math.ceil(rows / ranks) * ranks * math.prod(rest)
