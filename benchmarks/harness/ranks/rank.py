"""Run one process of several ranks: build, call, judge and time cells when the leader says so.

A rank is a worker like any other, which speaks the same messages, and has operations of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Mapping
from typing import Any, TypedDict

from benchmarks.harness.protocol import count_messages, messages
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.worker import clock, gate
from benchmarks.harness.worker.server import Worker, main

CORES = "CASCADE_BENCH_RANK_CORES"  # the cores of this rank, as in "0,2"


class Verdict(TypedDict):
    """What the gate says of one replica of the parameters, and what its gradients are."""

    equivalence: str  # "pass", or a sentence about the wrong tensor
    gradient_error: Any  # see `messages.GradientError`
    digest: str  # of every gradient and parameter, bit by bit


def _stay_on_own_cores() -> None:
    """Keep this process on its share of the cores, before its framework counts them."""
    cores = os.environ.pop(CORES, "")
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, cores.split(",")))


class Rank(Worker):
    """Add the operations of a rank to those of a worker.

    The leader gives each program a key, and has all ranks do the same with it at the same time.
    """

    @property
    def implementation(self) -> Any:
        """Return the framework's module of programs for several ranks."""
        return importlib.import_module(f"impl_{self.framework}.distributed")

    def do_join(self, rank: int, ranks: int, meeting: str) -> messages.NoResult:
        """Meet the other ranks.

        Args:
            rank: the number of this process.
            ranks: how many there are.
            meeting: path of a file over which they find each other.
        """
        self.implementation.join(rank, ranks, meeting)
        return {}

    def do_build(self, key: str, name: str, phase: str, wrapper: str) -> messages.NoResult:
        """Build the program of a strategy in a wrapper; it is known by its key from here on."""
        self.programs[key] = self.implementation.program(self.problem, name, phase, wrapper)
        return {}

    def do_reset(self, key: str) -> messages.NoResult:
        """Set a program back to its start."""
        self.programs[key].reset()
        return {}

    def do_call(self, key: str) -> dict[str, Any]:
        """Run a program once; return the gradients that the call returned, and if all is done."""
        program = self.programs[key]
        result = program.run(program.prepare())
        program.wait(result)
        return {"returned": program.returned(result), "finished": program.finished()}

    def do_calls(self, key: str, count: int) -> list[float]:
        """Call a program so many times, and return the seconds of each call.

        The clock starts when every rank is there, and stops when this one is done.
        """
        program, seconds = self.programs[key], list[float]()
        with clock.collector_off():
            for _ in range(count):
                carry = program.prepare()
                self.implementation.barrier()
                start = clock.now()
                program.wait(program.run(carry))
                seconds.append(clock.now() - start)
        return seconds

    def do_judge(self, key: str, reference: str, rules: messages.GateRules) -> list[Verdict]:
        """Compare the last call's gradients with those of one process over the whole batch.

        Args:
            key: of the program.
            reference: ``.npz`` file of the float64 reference.
            rules: the bounds of the cell.

        Returns:
            The verdict on each replica of the parameters that this process holds.
        """
        true = read_arrays(reference)
        return [
            {**gate.judge(replica, true, rules), "digest": _digest(replica)}
            for replica in self.programs[key].replicas
        ]

    def do_communication(self, key: str) -> dict[str, int]:
        """Count what one call of a program reduces: ``reductions`` and ``reduced_bytes``."""
        return dict(self.programs[key].communication())

    def do_counts(self, key: str) -> count_messages.Counts:
        """Return what a program counts of one call of this process."""
        counts: count_messages.Counts = self.programs[key].count()
        return counts

    def do_times(self, key: str) -> dict[str, float | None]:
        """Return the seconds that a program took to trace and to compile."""
        program = self.programs[key]
        return {name: getattr(program, name) for name in ("trace_seconds", "compile_seconds")}

    def do_graphs(self, key: str) -> int:
        """Return how many graphs a program has compiled."""
        return int(self.programs[key].graphs)


def _digest(replica: Any) -> str:
    """Return a digest of a replica's gradients and of its parameters after a step, bit by bit."""
    digest = hashlib.sha256()
    arrays: Mapping[str, Any] = {**replica.gradients(), **{
        f"updated/{name}": array for name, array in replica.updates().items()
    }}  # fmt: skip
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    _stay_on_own_cores()
    main(Rank)
