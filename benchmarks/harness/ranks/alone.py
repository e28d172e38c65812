"""Time what ranks compute, and what they exchange, each alone: of both a call's time is predicted.

Computing is timed once, for the summed loss without any reduction; what another strategy computes
is predicted by its FLOPs. Each size that is reduced or gathered is timed as often as any other, by
the same barrier and the same slowest rank as a cell's calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from benchmarks.harness.protocol.count_messages import AloneSeconds
from benchmarks.harness.ranks.rank_program import Ask, RankProgram
from benchmarks.harness.worker import clock

SECONDS = 0.1  # of sampling, for each program
LEAST = 8  # samples of each

Sizes = Mapping[str, Sequence[int]]  # "reduce" or "gather" → the bytes of each of a call's


class Work(NamedTuple):
    """What a call of one cell computes and exchanges."""

    flops: float  # of all ranks
    sizes: Sizes  # of one rank


def seconds_alone(
    ask: Ask, ranks: int, wrapper: str, cells: Mapping[str, Work]
) -> dict[str, AloneSeconds]:
    """Return what computing and exchanging take alone, for each cell, by its name.

    Args:
        ask: asks all processes of the ranks, in which the problem is open.
        ranks: how many there are.
        wrapper: of the cells, which decides by what operations they exchange.
        cells: those to predict.

    Raises:
        RankFailed: a rank cannot compute or exchange alone.
    """
    exchanges = sorted({(o, size) for cell in cells.values() for o, each in cell.sizes.items()
                        for size in each})  # fmt: skip
    with _programs(ask, ranks, wrapper, exchanges) as (computing, exchanging):
        took = _lower_quartiles({"computing": computing, **exchanging})
        flops = computing.count()["flops"]  # behind the calls: XLA counts what is compiled
    return {
        name: {
            "compute_seconds": took["computing"] * work.flops / flops,
            "exchange_seconds": sum(
                took[_key(operation, size)]
                for operation, each in work.sizes.items()
                for size in each
            ),
        }
        for name, work in cells.items()
    }


@contextmanager
def _programs(
    ask: Ask, ranks: int, wrapper: str, exchanges: Sequence[tuple[str, int]]
) -> Iterator[tuple[RankProgram, dict[str, RankProgram]]]:
    """Build what is timed in every rank, and drop it after the block of code."""
    keys = ["computing", *(_key(*one) for one in exchanges)]
    try:
        ask("build_computing", key="computing")
        for operation, size in exchanges:
            key = _key(operation, size)
            ask("build_exchange", key=key, wrapper=wrapper, operation=operation, size=size)
        computing, *others = (RankProgram(ask, key, ranks) for key in keys)
        yield computing, dict(zip(keys[1:], others, strict=True))
    finally:
        ask("drop", keys=keys)


def _key(operation: str, size: int) -> str:
    """Return the name of the program that exchanges so many bytes."""
    return f"{operation} {size}"


def _lower_quartiles(programs: Mapping[str, RankProgram]) -> dict[str, float]:
    """Return the lower quartile of the seconds of a call of each program, sampled in turns.

    A cell's time is told by the same quartile.
    """
    samplers = {name: _warm_sampler(program) for name, program in programs.items()}
    samples = clock.interleave(
        samplers, seconds=SECONDS * len(programs), least=LEAST, rng=np.random.default_rng(0)
    )
    return {name: float(np.quantile(each, 0.25)) for name, each in samples.items()}


def _warm_sampler(program: RankProgram) -> Callable[[], float]:
    """Warm a program up, and return what takes a sample of it: mean seconds of a batch of calls.

    The calls of a batch are asked for at once, as each question takes about as long as an exchange.
    """
    program.reset()
    seconds = max(clock.batch(program, clock.WARM_CALLS), 1e-6)
    clock.batch(program, math.ceil(clock.WARM_SECONDS / seconds))
    calls = clock.batch_size(seconds, None)
    return lambda: clock.batch(program, calls)
