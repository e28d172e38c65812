"""Predict how many bytes one rank reduces and gathers in one call of a cell of several ranks.

A call is what is timed: the forward and backward passes of one training step. Counted are whole
tensors, padding included, as they are handed to all-reduce, reduce-scatter and all-gather; how much
of that travels depends on the backend's algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from benchmarks.harness.protocol.ranks import SHARDING, split_mode

# Strategies that reduce gradients after every backward pass, as ``strategy``, or as
# ``wrapper/strategy`` where only that wrapper does. XLA reduces the gradients of each `jax.grad`
# separately, even inside one jit; under `shard_map` one mean at the end serves all.
REDUCING_IN_EACH_PASS = ("separate_retained", "reforward", "sharded_jit/separate_grad")
# Strategies that repeat the forward pass before the backward pass of each loss.
FORWARD_FOR_EACH_LOSS = ("reforward", "reforward_no_sync")

ByLoss = Mapping[str, Collection[str]]  # loss → names of parameters
Shapes = Mapping[str, Sequence[int]]  # parameter → shape


def reduced_bytes(mode: str, strategy: str, flow: ByLoss, shapes: Shapes, item: int) -> int:
    """Return the bytes of gradients that a rank reduces in one call.

    Most strategies reduce each gradient once. Those in `REDUCING_IN_EACH_PASS` reduce a gradient
    once for each loss that trains its parameter, so several times for the first networks.

    Args:
        mode: the cell's wrapper and number of ranks, such as ``ddp_one_x2``.
        strategy: how the losses are differentiated, one of `ranks.STRATEGIES`.
        flow: loss → the parameters that it trains.
        shapes: parameter → shape.
        item: bytes of an element.
    """
    wrapper, _ = split_mode(mode)
    passes = [set(names) for names in flow.values()]
    if not {strategy, f"{wrapper}/{strategy}"} & set(REDUCING_IN_EACH_PASS):
        passes = [set[str]().union(*passes)]
    return item * sum(_elements(shapes[name], mode) for names in passes for name in names)


def gathered_bytes(
    mode: str, strategy: str, reach: ByLoss, flow: ByLoss, shapes: Shapes, item: int
) -> int:
    """Return the bytes of parameters that a rank gathers in one call; 0 where none are sharded.

    A pass gathers each network that it uses and that is still sharded. The forward pass leaves it
    unsharded, as FSDP2 does for a module that is sharded by itself; the backward pass shards it
    again. No backward pass uses a frozen network in front of all that is trained, so that one is
    gathered in the first call alone.

    Args:
        mode: the cell's wrapper and number of ranks, such as ``fsdp_each_x2``.
        strategy: how the losses are differentiated, one of `ranks.STRATEGIES`.
        reach: loss → the parameters that it depends on, frozen ones among them.
        flow: loss → the parameters that it trains.
        shapes: parameter → shape, of the networks in series, first to last.
        item: bytes of an element.
    """
    if split_mode(mode)[0] not in SHARDING:
        return 0
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        sizes[_network(name)] = sizes.get(_network(name), 0) + _elements(shape, mode)
    unsharded, gathered = set[str](), list[str]()
    for _ in range(2):  # the second call is like every later one; the first is dropped
        gathered.clear()
        for is_backward, networks in _passes(strategy, reach, flow, list(sizes)):
            gathered += [network for network in networks if network not in unsharded]
            unsharded = unsharded - set(networks) if is_backward else unsharded | set(networks)
    return item * sum(sizes[network] for network in gathered)


def _passes(
    strategy: str, reach: ByLoss, flow: ByLoss, networks: list[str]
) -> Iterator[tuple[bool, list[str]]]:
    """Yield the passes of a call: whether it is a backward pass, and the networks that it uses.

    A backward pass runs from the last network that its loss depends on back to the first that the
    loss trains.
    """
    flow = {loss: names for loss, names in flow.items() if names}
    position = {network: number for number, network in enumerate(networks)}
    ends = {loss: max(position[_network(name)] for name in reach[loss]) + 1 for loss in flow}
    firsts = {loss: min(position[_network(name)] for name in flow[loss]) for loss in flow}
    if strategy in FORWARD_FOR_EACH_LOSS:
        for loss in flow:
            yield False, networks[: ends[loss]]
            yield True, networks[firsts[loss] : ends[loss]]
        return
    yield False, networks
    if strategy in REDUCING_IN_EACH_PASS:
        for loss in flow:
            yield True, networks[firsts[loss] : ends[loss]]
    else:
        yield True, networks[min(firsts.values()) : max(ends.values())]


def _network(parameter: str) -> str:
    """Return the network that a parameter belongs to: its name up to the first dot."""
    return parameter.partition(".")[0]


def _elements(shape: Sequence[int], mode: str) -> int:
    """Return the elements of a parameter; where it is sharded, rows are padded to equal shards."""
    wrapper, ranks = split_mode(mode)
    if wrapper not in SHARDING:
        return math.prod(shape)
    rows, *rest = shape
    return math.ceil(rows / ranks) * ranks * math.prod(rest)
