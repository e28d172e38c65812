"""The requests of the checks: gradients, losses, flows, training, facts. No clock."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays, under, write_arrays
from benchmarks.harness.worker.base import Base

# the modules in which an implementation shows its traps
TRAP_FILES = ("backward_traps", "freeze_traps", "compile_traps")


class Checks(Base):
    """What a worker is asked to prove something."""

    def do_gradients(
        self,
        kind: str,
        name: str,
        phase: str,
        out: str,
        again: bool = False,
        mode: str | None = None,
    ) -> dict[str, Any]:
        """Run once; the gradients and, in phase ``step``, the updated parameters, into ``out``.

        With ``again`` it is the second call that counts, as a block makes it: the first must leave
        nothing behind. A step goes back to its start in between.
        """
        with self.working():
            program = self._program(kind, name, phase, mode)
            program.reset()
            program.wait(program.run(program.prepare()))
            if again:
                if phase == "step":
                    program.reset()
                program.wait(program.run(program.prepare()))
        arrays = {f"gradient/{name}": array for name, array in program.gradients().items()}
        arrays |= {f"updated/{name}": array for name, array in program.updates().items()}
        program.reset()
        write_arrays(out, arrays)
        return {}

    def do_losses(self) -> dict[str, float]:
        return self.opened.losses()

    def do_losses_along(
        self, weights: str, directions: str, step: float
    ) -> dict[str, dict[str, float]]:
        """Central difference of each loss along each direction in the file.

        The file names its arrays ``direction/parameter``; a parameter it leaves out stays.
        """
        start, moves = read_arrays(weights), read_arrays(directions)
        found = {}
        for name in dict.fromkeys(key.partition("/")[0] for key in moves):
            direction, ends = under(moves, name), []
            for signed in (step, -step):
                moved = {n: start[n] + signed * d for n, d in direction.items()}
                self.opened.load({**start, **moved})
                ends.append(self.opened.losses())
            found[name] = {n: (ends[0][n] - ends[1][n]) / (2 * step) for n in ends[0]}
        self.opened.load(start)
        return found

    def do_loss_gradients(self, out: str) -> list[str]:
        """The losses that reach something; the gradients of each that are there, into ``out``."""
        found = self.opened.loss_gradients()
        pairs = [(loss, n, a) for loss, arrays in found.items() for n, a in arrays.items()]
        write_arrays(out, {f"{loss}/{n}": a for loss, n, a in pairs if a is not None})
        return list(found)

    def do_flow(self) -> dict[str, dict[str, str]]:
        """Per loss, also one that reaches nothing, and parameter: its state, see `equivalence`."""
        with self.working():
            found = self.opened.flow()
        return {
            loss: {name: equivalence.state(flowing) for name, flowing in parameters.items()}
            for loss, parameters in found.items()
        }

    def do_gradient_of_nothing(self, loss: str) -> list[str]:
        return sorted(self.opened.gradient_of_nothing(loss))

    def do_kink_distance(self) -> float:
        return self.opened.kink_distance()

    def do_train(self, plan: dict[str, Any], out: str) -> dict[str, Any]:
        """Train by the plan; arrays into ``out``, counts in the answer."""
        trained = self.opened.train(plan)
        counts = {key: trained.pop(key) for key in ("steps", "state_bytes")}
        write_arrays(
            out, {f"{k}/{n}": a for k, arrays in trained.items() for n, a in arrays.items()}
        )
        return counts

    def do_load(self, weights: str) -> dict[str, Any]:
        """Put weights and buffers into the problem that is open."""
        self.opened.load(read_arrays(weights))
        return {}

    def do_count(self, kind: str, name: str, phase: str, mode: str | None = None) -> dict[str, Any]:
        """What one call of the strategy or recipe counts up to, after it ran once."""
        program = self._program(kind, name, phase, mode)
        program.reset()
        program.wait(program.run(program.prepare()))
        counted: dict[str, Any] = program.count()
        return counted

    def do_products(self, kind: str, name: str, phase: str) -> list[list[float]]:
        """FLOPs of each matrix product of the timed part, and how often it is computed."""
        program = self.opened.program(kind, name, phase)
        program.reset()
        program.wait(program.run(program.prepare()))
        return [[product.flops, product.count] for product in program.products()]

    def do_built_frozen(self) -> list[str]:
        return self.opened.built_frozen

    def do_load_matching(self, pretrained: str, out: str) -> dict[str, list[str]]:
        """Load what fits; the weights as they are then into ``out``, the answer says what did."""
        report = self.opened.load_matching(read_arrays(pretrained))
        write_arrays(out, self.opened.weights())
        return report

    def do_fact(self, name: str) -> dict[str, Any]:
        """Let the implementation show a fact; see `TRAP_FILES`."""
        for file in TRAP_FILES:
            module = importlib.import_module(f"impl_{self.framework}.{file}")
            if hasattr(module, name):
                return getattr(module, name)()
        raise ValueError(f"fact {name!r}: in none of {TRAP_FILES} of impl_{self.framework}")
