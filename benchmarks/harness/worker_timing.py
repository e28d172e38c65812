"""The requests of measuring: build a cell and hold it to the reference, then time it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import clock, gate
from benchmarks.harness.arrays import read_arrays
from benchmarks.harness.worker_base import Base

# telling the parent wakes it on a core that is being measured: only where a sample is long
TELL_SECONDS = 0.05


class Timing(Base):
    """What a worker is asked to measure something."""

    def do_prepare(
        self,
        kind: str,
        phase: str,
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
            self.say({"event": "at", "cell": name})
            try:
                prepared[name] = self._prepare(kind, name, phase, true, rules | own)
                if count:
                    prepared[name] |= self._counted(name, products)
            except Exception as error:
                self.programs.pop(name, None)
                prepared[name] = {"error": self._described(error)}
        return prepared

    def _prepare(self, kind: str, name: str, phase: str, true: Any, rules: Any) -> dict[str, Any]:
        program = self.programs[name] = self.opened.program(kind, name, phase)
        program.reset()
        first_call = clock.batch(program, 1)
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
        """Warm up, then sample every cell interleaved; seconds per call, in order.

        ``calls`` names the cells, each with its residual bytes; ``products`` the one whose matrix
        products are sampled along.
        """
        timed: dict[str, Callable[[], float]] = {}
        for name, residual_bytes in calls.items():
            self.say({"event": "at", "cell": name})
            warm = clock.warm_up(self.programs[name])
            size = clock.batch_size(warm, residual_bytes)
            timed[name] = self._sampler(name, size, tell=warm * size > TELL_SECONDS)
        if products:
            timed |= self._timed_products(products)
        self.say({"event": "at", "cell": None})  # from here on it could be any of them
        rng = np.random.default_rng(seed)
        return clock.interleave(timed, seconds=seconds, least=least, rng=rng)

    def do_warm(self, calls: Mapping[str, int | None]) -> dict[str, int]:
        """Warm up, to be measured in turns with another worker; the calls of a sample of each.

        ``calls`` names the cells, each with its residual bytes.
        """
        sizes = {}
        for name, residual_bytes in calls.items():
            self.say({"event": "at", "cell": name})
            sizes[name] = clock.batch_size(clock.warm_up(self.programs[name]), residual_bytes)
        return sizes

    def do_turn(self, name: str, calls: int, seconds: float) -> dict[str, list[float]]:
        """One turn of a cell that is warm: seconds per call, on the wall and of the CPU."""
        wall, cpu = clock.turn(self.programs[name], calls, seconds)
        return {"wall": wall, "cpu": cpu}

    def _sampler(self, name: str, calls: int, *, tell: bool) -> Callable[[], float]:
        program = self.programs[name]

        def sample() -> float:
            if tell:
                self.say({"event": "at", "cell": name})
            program.reset()
            return clock.batch(program, calls)

        return sample

    def _timed_products(self, name: str) -> dict[str, Callable[[], float]]:
        program = self.programs[name]
        wait = program.wait

        def one(product: Any) -> float:
            # the best of a few: the peak is what the library can do, not what it did once
            return min(clock.batch(gate.Bare(product.run, wait), 1) for _ in range(3))

        found = program.products()
        return {f"product/{i}": partial(one, p) for i, p in enumerate(found)}
