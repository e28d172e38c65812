"""Compute gradients, losses, flows and trainings for checks; nothing here is timed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, cast

from benchmarks.harness.protocol import count_messages, equivalence, messages
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix, write_arrays
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.worker.base import Base

# The modules of an implementation that demonstrate traps: code that runs without an error and
# trains the wrong thing.
TRAP_FILES = (
    "backward_traps",
    "freeze_traps",
    "selection_traps",
    "compile_traps",
    "loss_traps",
    "hook_traps",
    "stepping_traps",
    "schedule_traps",
    "state_traps",
    "module_traps",
    "rank_traps",
    "sharing_traps",
    "update_traps",
    "cost_traps",
)


class Checks(Base):
    """Add the operations that check gradients, losses, flows, trainings, counts and traps."""

    def do_gradients(
        self,
        kind: str,
        name: str,
        phase: str,
        out: str,
        again: bool = False,
        mode: str | None = None,
        precision_mode: str = IEEE,
    ) -> messages.NoResult:
        """Run a strategy or recipe; write its gradients and, in phase ``step``, its parameters.

        Args:
            kind, name, phase, mode, precision_mode: of the cell; mode None is the framework's
                default.
            out: ``.npz`` file to write, of arrays ``gradient/<parameter>`` and
                ``updated/<parameter>``.
            again: write the result of a second call. In a batch calls follow one another, so the
                first must leave nothing behind that changes the second. A step goes back to its
                start in between.
        """
        with self.working():
            program = self._run_once(kind, name, phase, mode, precision_mode)
            if again:
                if phase == "step":
                    program.reset()
                program.wait(program.run(program.prepare()))
        arrays = {f"gradient/{n}": array for n, array in program.gradients().items()}
        arrays |= {f"updated/{n}": array for n, array in program.updates().items()}
        program.reset()
        write_arrays(out, arrays)
        return {}

    def do_losses(self) -> dict[str, float]:
        """Compute every loss at the current weights: loss → value."""
        return cast("dict[str, float]", self.problem.losses())

    def do_losses_along(
        self, weights: str, directions: str, step: float
    ) -> dict[str, dict[str, float]]:
        """Take central differences of every loss: direction → loss → slope.

        Args:
            weights: ``.npz`` file of the point at which to differentiate, parameter or buffer →
                array.
            directions: ``.npz`` file of arrays ``<direction>/<parameter>``; a parameter that a
                direction lacks stays where it is.
            step: length of half a difference, in units of the direction.
        """
        start, moves = read_arrays(weights), read_arrays(directions)
        slopes = {}
        for name in dict.fromkeys(key.partition("/")[0] for key in moves):
            direction, ends = select_prefix(moves, name), []
            for signed in (step, -step):
                moved = {n: start[n] + signed * d for n, d in direction.items()}
                self.problem.load({**start, **moved})
                ends.append(self.problem.losses())
            slopes[name] = {n: (ends[0][n] - ends[1][n]) / (2 * step) for n in ends[0]}
        self.problem.load(start)
        return slopes

    def do_loss_gradients(self, out: str) -> list[str]:
        """Differentiate each loss alone, and write the gradients to a file.

        Args:
            out: ``.npz`` file to write, of arrays ``<loss>/<parameter>``.

        Returns:
            The names of the losses that reach any trained parameter.
        """
        by_loss = self.problem.loss_gradients()
        pairs = [(loss, n, a) for loss, arrays in by_loss.items() for n, a in arrays.items()]
        write_arrays(out, {f"{loss}/{n}": a for loss, n, a in pairs if a is not None})
        return list(by_loss)

    def do_flow(self) -> dict[str, dict[str, str]]:
        """Return loss → parameter → state of the gradient, see `equivalence.gradient_state`.

        Losses that reach no trained parameter are included.
        """
        with self.working():
            by_loss = self.problem.flow()
        return {
            loss: {
                name: equivalence.gradient_state(gradient) for name, gradient in gradients.items()
            }
            for loss, gradients in by_loss.items()
        }

    def do_gradient_of_nothing(self, loss: str) -> list[str]:
        """Differentiate a loss that reaches no trained parameter.

        Returns:
            The names of the parameters that have a gradient all the same; empty if all is well.
        """
        return sorted(self.problem.gradient_of_nothing(loss))

    def do_kink_distance(self) -> float:
        """Return the smallest distance of an activation to its kink, relative to its scale."""
        return cast("float", self.problem.kink_distance())

    def do_train(self, plan: messages.TrainPlan, out: str) -> messages.TrainCounts:
        """Train the open problem by a plan, and write the final state to a file.

        Args:
            plan: optimizer, recipe and segments of the training.
            out: ``.npz`` file to write, of arrays ``weights/<parameter>``, ``buffers/<buffer>``,
                ``outputs/<name>`` and ``moments/<name>``, those of the optimizer.

        Returns:
            ``steps``, parameter → updates that the optimizer counted; and ``state_bytes``, the size
            of the optimizer's state.
        """
        trained = self.problem.train(plan)
        counts: messages.TrainCounts = {
            "steps": trained.pop("steps"),
            "state_bytes": trained.pop("state_bytes"),
        }
        write_arrays(
            out, {f"{k}/{n}": a for k, arrays in trained.items() for n, a in arrays.items()}
        )
        return counts

    def do_load(self, weights: str) -> messages.NoResult:
        """Load weights and buffers from an ``.npz`` file into the open problem."""
        self.problem.load(read_arrays(weights))
        return {}

    def do_count(
        self,
        kind: str,
        name: str,
        phase: str,
        mode: str | None = None,
        precision_mode: str = IEEE,
    ) -> count_messages.Counts:
        """Count FLOPs and bytes of one call of a strategy or recipe, after it ran once."""
        program = self._run_once(kind, name, phase, mode, precision_mode)
        return cast("count_messages.Counts", program.count())

    def do_products(self, kind: str, name: str, phase: str) -> list[list[float]]:
        """List the matrix products of the timed part, as [FLOPs, how often a call computes it]."""
        program = self._run_once(kind, name, phase, None)
        return [[product.flops, product.count] for product in program.products()]

    def do_built_frozen(self) -> list[str]:
        """Return the names of the parameters that the function that builds the networks froze."""
        return cast("list[str]", self.problem.built_frozen)

    def do_load_matching(self, pretrained: str, out: str) -> dict[str, list[str]]:
        """Load the part of a pretrained state whose names and shapes fit.

        Args:
            pretrained: file of the state.
            out: file to write, with the weights afterwards.

        Returns:
            The parameters that were ``loaded``, those ``missing`` in the state, those that the
            network does not have (``unexpected``), and those of a ``mismatched`` shape.
        """
        report = self.problem.load_matching(read_arrays(pretrained))
        write_arrays(out, self.problem.weights())
        return cast("dict[str, list[str]]", report)

    def do_fact(self, name: str) -> dict[str, Any]:
        """Run the demonstration of a trap and return the values it observed, by name.

        Args:
            name: of the demonstration, a function in one of the framework's `TRAP_FILES`.
        """
        for file in TRAP_FILES:
            if importlib.util.find_spec(f"impl_{self.framework}.{file}") is None:
                continue  # what this framework has no trap of
            module = importlib.import_module(f"impl_{self.framework}.{file}")
            if hasattr(module, name):
                return cast("dict[str, Any]", getattr(module, name)())
        raise ValueError(f"fact {name!r}: in none of {TRAP_FILES} of impl_{self.framework}")

    def _run_once(
        self, kind: str, name: str, phase: str, mode: str | None, precision_mode: str = IEEE
    ) -> Any:
        """Return the `Program` of a strategy or recipe after one call from the initial weights."""
        program = self._program(kind, name, phase, mode, precision_mode)
        program.reset()
        program.wait(program.run(program.prepare()))
        return program
