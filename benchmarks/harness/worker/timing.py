"""Build cells, compare them with the reference, and time them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np

from benchmarks.harness.protocol import count_messages, messages
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.harness.protocol.cells import strategy_of
from benchmarks.harness.protocol.equivalence import Arrays
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.worker import clock, gate
from benchmarks.harness.worker.base import Base

CellKey = tuple[str, str, str, str]  # kind, strategy or recipe, phase, mode
PRODUCT_RUNS = 3  # runs of a matrix product in a sample, of which the best counts


class Recompiled(RuntimeError):
    """The clock ran while something was compiled."""


class Timing(Base):
    """Add the operations ``prepare``, ``alone``, ``time``, ``warm`` and ``turn``."""

    def do_prepare(
        self,
        kind: str,
        phase: str,
        mode: str,
        cells: dict[str, messages.GateRules],
        reference: str,
        rules: messages.GateRules,
        count: bool,
        products: bool,
        precision_mode: str = IEEE,
        precision_rules: messages.GateRules | None = None,
    ) -> dict[str, messages.PreparedCell]:
        """Build each cell, run it once, and compare its gradients with the reference.

        Args:
            kind, phase, mode: of all cells.
            cells: strategy or recipe → its own bounds, beside the common ``rules``.
            reference: ``.npz`` file of the float64 reference.
            rules: bounds of all cells.
            count: whether to count FLOPs and saved bytes too, which takes two more calls.
            products: whether to list matrix products too; only where ``count`` is true.
            precision_mode: to time the cells in, after they were checked in full float32.
            precision_rules: the bounds in a lower precision, in place of those of float32.

        Returns:
            Strategy or recipe → times of the first call, verdict of the gate, and counts. A cell
            that fails has an ``error`` instead, and the others go on.
        """
        true, self.reference_file = read_arrays(reference), reference
        prepared: dict[str, messages.PreparedCell] = {}
        for name, own in cells.items():
            self.heartbeat.set_cell(name)
            # Unlike the heartbeat this arrives in order with the answers: it tells at which cell a
            # line was written that is no message. Nothing is timed yet.
            self.send({"event": "at", "cell": name})
            try:
                where = kind, name, phase, mode
                cell = self._prepare(where, true, rules | own)
                if precision_mode != IEEE:
                    lower = rules | own | (precision_rules or {})
                    counted = {"flops": self.programs[name].count()["flops"]} if count else {}
                    timed = self._prepare(where, true, lower, precision_mode)
                    cell = cast("messages.PreparedCell", _proven(cell, timed) | counted)
                prepared[name] = self._counted(cell, name, products) if count else cell
            except Exception as error:
                self.programs.pop(name, None)
                prepared[name] = {"error": self._error_message(error)}
        return prepared

    def _prepare(
        self,
        cell: CellKey,
        true: Arrays,
        rules: messages.GateRules,
        precision_mode: str = IEEE,
    ) -> messages.PreparedCell:
        """Build a cell (kind, name, phase, mode), time its first call, and judge its gradients."""
        kind, name, phase, mode = cell
        way = kind, strategy_of(name), phase, mode
        with self.working():
            program = self.programs[name] = self._program(*way, precision_mode)
            program.reset()
            call = clock.ResultHolder(program)
            first_call = clock.guarded(call)
        # asked before the gradients are, so that nothing that computes them can add to it
        unreturned = gate.unreturned(program.returned(call.result), rules)
        verdict = self._judge(program, true, rules)
        program.reset()
        return {
            "first_call_seconds": first_call,
            "trace_seconds": program.trace_seconds,
            "compile_seconds": program.compile_seconds,
            "equivalence": gate.first_problem(verdict["equivalence"], unreturned),
            "gradient_error": verdict["gradient_error"],
        }

    def _judge(self, program: Any, true: Arrays, rules: messages.GateRules) -> gate.GateVerdict:
        """Return the gate's verdict on a program that has run; see `gate.judge`."""
        return gate.judge(program, true, rules)

    def _counted(
        self, cell: messages.PreparedCell, name: str, products: bool
    ) -> messages.PreparedCell:
        """Return a prepared cell with FLOPs, saved bytes, and the list of its matrix products.

        The list is None unless ``products``. FLOPs that are known stay.
        """
        program = self.programs[name]
        with self.working():
            listed = [[p.flops, p.count] for p in program.products()] if products else None
            counted = {"products": listed, **program.count()}
            return cast("messages.PreparedCell", cell | counted | cell)

    def do_alone(self, cells: list[str]) -> dict[str, count_messages.AloneSeconds]:
        """Return nothing: what exchanges with nobody has no parts. A leader of ranks overrides it.

        Args:
            cells: prepared ones.
        """
        return {}

    def do_time(
        self,
        calls: dict[str, int | None],
        seconds: float,
        least: int,
        seed: list[int],
        products: str | None,
    ) -> messages.TimedCells:
        """Warm up prepared cells, then sample all of them interleaved.

        Args:
            calls: cell → the bytes that one call saves, see `clock.batch_size`.
            seconds: to spend on samples.
            least: blocks to take in any case.
            seed: of the order of cells inside blocks.
            products: the cell whose matrix products are sampled as well, as
                ``product/<index>``; None: of no cell.

        Returns:
            ``samples``, cell or product → seconds per call in the order taken; and ``steady``, cell
            → whether its times had no trend left after warming up; and ``paused``, the seconds for
            which the machine stood still in each block that was set aside.

        Raises:
            Recompiled: if a cell was compiled again while it was timed.
        """
        with self.working():
            graphs = {name: self.programs[name].graphs for name in calls}
            timed: dict[str, Callable[[], float]] = {}
            steady: dict[str, bool | None] = {}
            for name, residual_bytes in calls.items():
                self.heartbeat.set_cell(name)
                warm, steady[name] = clock.warm_up(self.programs[name])
                timed[name] = self._sampler(name, clock.batch_size(warm, residual_bytes))
            if products:
                timed |= self._product_samplers(products)
            rng = np.random.default_rng(seed)
            paused: list[float] = []
            samples = clock.interleave(timed, seconds=seconds, least=least, rng=rng, paused=paused)
            self._demand_no_recompilation(graphs)
            return {"samples": samples, "steady": steady, "paused": paused}

    def do_warm(self, calls: dict[str, int | None]) -> dict[str, int]:
        """Warm up prepared cells, and return cell → the number of calls that make up one sample.

        For a comparison of two versions: their workers are then sampled in turns by `do_turn`.

        Args:
            calls: cell → the bytes that one call saves, see `clock.batch_size`.
        """
        sizes = {}
        with self.working():
            for name, residual_bytes in calls.items():
                self.heartbeat.set_cell(name)
                warm = clock.warm_up(self.programs[name])
                sizes[name] = clock.batch_size(warm.seconds, residual_bytes)
        return sizes

    def do_turn(self, name: str, calls: int, seconds: float) -> messages.TurnTimes:
        """Sample one warm cell for some time, by wall and CPU clock; see `clock.turn`.

        Args:
            name: the cell's strategy or recipe.
            calls: calls in a sample, as `do_warm` returned them.
            seconds: to spend; at least one sample is taken.
        """
        self.heartbeat.set_cell(name)
        with self.working():
            wall, cpu = clock.turn(self.programs[name], calls, seconds)
        return {"wall": wall, "cpu": cpu}

    def _demand_no_recompilation(self, graphs: Mapping[str, int]) -> None:
        """Raise `Recompiled` if a cell has other compiled graphs than before: its times mix two.

        Args:
            graphs: cell → number of its compiled graphs before it was timed.
        """
        for name, before in graphs.items():
            after = self.programs[name].graphs
            if after != before:
                self.heartbeat.set_cell(name)
                raise Recompiled(
                    f"compiled anew while it was timed: {before} graphs before, {after} after"
                )

    def _sampler(self, name: str, calls: int) -> Callable[[], float]:
        """Return a function that takes one sample of a cell, from the same start each time.

        It resets the program and returns the seconds per call over a batch of ``calls`` calls.
        """
        program = self.programs[name]

        def sample() -> float:
            """Take one sample: seconds per call."""
            self.heartbeat.set_cell(name)
            program.reset()
            return clock.batch(program, calls)

        return sample

    def _product_samplers(self, name: str) -> dict[str, Callable[[], float]]:
        """Return samplers of a cell's matrix products, to show how fast the library can be.

        Each is named ``product/<index>``, and returns the seconds of the fastest of a few runs.
        """
        program = self.programs[name]
        wait = program.wait

        def sample(product: Any) -> float:
            """Take one sample of a product: the seconds of the fastest of a few runs."""
            self.heartbeat.set_cell(name)
            # the best of a few runs: this is to show how fast the library can be
            call = gate.CallProgram(product.run, wait)
            return min(clock.batch(call, 1) for _ in range(PRODUCT_RUNS))

        return {f"product/{i}": partial(sample, p) for i, p in enumerate(program.products())}


def _proven(full: messages.PreparedCell, timed: messages.PreparedCell) -> messages.PreparedCell:
    """Return a cell that is timed in a lower precision, wrong where it is so in full float32.

    The bounds of a lower precision would let a small error of a strategy pass.
    """
    if full["equivalence"] == "pass":
        return timed
    verdict = f"in full float32: {full['equivalence']}"
    return {**timed, "equivalence": verdict, "gradient_error": full["gradient_error"]}
