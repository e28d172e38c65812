"""The requests of measuring: build a cell and hold it to the reference, then time it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.cells import built
from benchmarks.harness.worker import clock, gate
from benchmarks.harness.worker.base import Base


class Recompiled(RuntimeError):
    """The clock ran while something was compiled."""


class Timing(Base):
    """What a worker is asked to measure something."""

    def do_prepare(
        self,
        kind: str,
        phase: str,
        mode: str,
        cells: Mapping[str, dict[str, list[str]]],
        reference: str,
        rules: dict[str, Any],
        count: bool,
        products: bool,
    ) -> dict[str, Any]:
        """Build each cell, run it once, and hold it to the reference.

        ``cells`` are strategies or recipes with the rules of their own beside the common ``rules``.

        Where ``count``, its FLOPs and residuals are counted too, and with ``products`` its GEMMs.
        """
        true = read_arrays(reference)
        prepared = {}
        for name, own in cells.items():
            self.mark.at(name)
            self.say({"event": "at", "cell": name})  # in order with all that is said; not timed yet
            try:
                prepared[name] = self._prepare((kind, name, phase, mode), true, rules | own)
                if count:
                    prepared[name] |= self._counted(name, products)
            except Exception as error:
                self.programs.pop(name, None)
                prepared[name] = {"error": self._described(error)}
        return prepared

    def _prepare(self, way: tuple[str, str, str, str], true: Any, rules: Any) -> dict[str, Any]:
        kind, name, phase, mode = way
        with self.working():
            program = self.programs[name] = self._program(kind, built(name), phase, mode)
            program.reset()
            first_call = clock.guarded(program)
        verdict = gate.judge(program, true, rules)
        program.reset()
        return {
            "first_call_seconds": first_call,
            "trace_seconds": program.trace_seconds,
            "compile_seconds": program.compile_seconds,
            **verdict,
        }

    def _counted(self, name: str, products: bool) -> dict[str, Any]:
        program = self.programs[name]
        with self.working():
            found = [[p.flops, p.count] for p in program.products()] if products else None
            return {"products": found, **program.count()}

    def do_time(
        self,
        calls: Mapping[str, int | None],
        seconds: float,
        least: int,
        seed: list[int],
        products: str | None,
    ) -> dict[str, Any]:
        """Warm up, then sample every cell interleaved.

        Returns ``samples`` (seconds per call, in order) and whether each cell was ``steady``.

        ``calls`` names the cells, each with its residual bytes; ``products`` the one whose matrix
        products are sampled along.
        """
        with self.working():
            graphs = {name: self.programs[name].graphs for name in calls}
            timed: dict[str, Callable[[], float]] = {}
            steady: dict[str, bool | None] = {}
            for name, residual_bytes in calls.items():
                self.mark.at(name)
                warm, steady[name] = clock.warm_up(self.programs[name])
                timed[name] = self._sampler(name, clock.batch_size(warm, residual_bytes))
            if products:
                timed |= self._timed_products(products)
            rng = np.random.default_rng(seed)
            samples = clock.interleave(timed, seconds=seconds, least=least, rng=rng)
            self._demand_no_recompilation(graphs)
            return {"samples": samples, "steady": steady}

    def do_warm(self, calls: Mapping[str, int | None]) -> dict[str, int]:
        """Warm up, to be measured in turns with another worker; the calls of a sample of each.

        ``calls`` names the cells, each with its residual bytes.
        """
        sizes = {}
        with self.working():
            for name, residual_bytes in calls.items():
                self.mark.at(name)
                warm = clock.warm_up(self.programs[name])
                sizes[name] = clock.batch_size(warm.seconds, residual_bytes)
        return sizes

    def do_turn(self, name: str, calls: int, seconds: float) -> dict[str, list[float]]:
        """One turn of a cell that is warm: seconds per call, on the wall and of the CPU."""
        self.mark.at(name)
        with self.working():
            wall, cpu = clock.turn(self.programs[name], calls, seconds)
        return {"wall": wall, "cpu": cpu}

    def _demand_no_recompilation(self, graphs: Mapping[str, int]) -> None:
        """A call that was compiled anew, or fell back on something else, took another's time."""
        for name, before in graphs.items():
            after = self.programs[name].graphs
            if after != before:
                self.mark.at(name)
                raise Recompiled(
                    f"compiled anew while it was timed: {before} graphs before, {after} after"
                )

    def _sampler(self, name: str, calls: int) -> Callable[[], float]:
        program = self.programs[name]

        def sample() -> float:
            self.mark.at(name)
            program.reset()
            return clock.batch(program, calls)

        return sample

    def _timed_products(self, name: str) -> dict[str, Callable[[], float]]:
        program = self.programs[name]
        wait = program.wait

        def one(product: Any) -> float:
            self.mark.at(name)
            # the best of a few: the peak is what the library can do, not what it did once
            return min(clock.batch(gate.CallProgram(product.run, wait), 1) for _ in range(3))

        found = program.products()
        return {f"product/{i}": partial(one, p) for i, p in enumerate(found)}
