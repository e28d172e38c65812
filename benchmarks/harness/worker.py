"""A worker: a fresh process for one framework that prepares cells, checks and times them.

It is spoken to in JSON lines on stdin and answers in JSON lines on stdout; arrays travel as
``.npz``, never pickled, so that a worker can come from another work tree, another interpreter or
another machine. This module, like the whole harness, imports no framework: it reaches the
implementation by name.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.harness import clock, equivalence, gate
from benchmarks.harness.arrays import read_arrays, under, write_arrays
from benchmarks.own import blame, parts

# telling the parent wakes it on a core that is being measured: only where a sample is long
TELL_SECONDS = 0.05
FACT_FILES = ("facts", "freeze_facts")  # where an implementation shows its facts


class Worker:
    """One framework's session, the problem that is open in it, and its prepared programs."""

    def __init__(self, framework: str, session: Any, say: Callable[[dict[str, Any]], None]) -> None:
        self.framework = framework
        self.session = session
        self.say = say
        self.opened: Any = None
        self.facts: dict[str, Any] = {}
        self.inputs: list[str] = []  # names of the data
        self.programs: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request; an exception inside becomes an answer that names it."""
        try:
            operation = getattr(self, f"do_{request.pop('op')}")
            return {"ok": True, "result": operation(**request)}
        except (Exception, SystemExit) as error:  # a user's part may end itself: say where
            return {"ok": False, "error": self._described(error)}

    def do_hello(self) -> dict[str, Any]:
        return {"pid": os.getpid(), **self.session.describe()}

    def do_shapes(self, family: str, build: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return self.session.shapes(parts.builder(self.framework, family, build), arguments)

    def do_open(self, facts: dict[str, Any], weights: str, data: str) -> dict[str, Any]:
        """Build the scenario, hold its names, shapes and losses to the spec, load the weights."""
        self.do_close()
        self.facts = facts
        build = parts.builder(self.framework, facts["family"], facts["build"])
        arrays, inputs = read_arrays(weights), read_arrays(data)
        opened = self.session.open(build, facts, inputs)
        parts.check_fit(self._who(), opened.shapes(), opened.loss_names, arrays, facts["reach"])
        opened.load(arrays)
        self.opened, self.inputs = opened, list(inputs)
        return {}

    def do_probe(self) -> dict[str, Any]:
        """Run forward, and see that each loss is a single finite number."""
        try:
            shapes = self.opened.loss_shapes()
        except KeyError as error:
            if error.args[0] in self.inputs or self._blames_part(error):
                raise
            raise blame.PartError(
                f"{self._who()}: a loss or a link asks the data for {error}; "
                f"the spec's data is {', '.join(self.inputs)}"
            ) from None
        parts.check_scalars(self._who(), shapes)
        parts.check_finite(self._who(), self.opened.losses())
        return {}

    def do_close(self) -> dict[str, Any]:
        self.opened, self.programs = None, {}
        return {}

    def do_gradients(self, kind: str, name: str, phase: str, out: str) -> dict[str, Any]:
        """Run once; the gradients and, in phase ``step``, the updated parameters, into ``out``."""
        program = self.opened.program(kind, name, phase)
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

    def do_loss_gradients(self, out: str) -> dict[str, dict[str, str]]:
        """Per loss and parameter ``absent``, ``zero`` or ``value``; what is there, into ``out``."""
        found = self.opened.loss_gradients()
        pairs = [(loss, n, a) for loss, arrays in found.items() for n, a in arrays.items()]
        write_arrays(out, {f"{loss}/{n}": a for loss, n, a in pairs if a is not None})
        states: dict[str, dict[str, str]] = {loss: {} for loss in found}
        for loss, name, array in pairs:
            states[loss][name] = equivalence.state(array)
        return states

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

    def do_count(self, kind: str, name: str, phase: str) -> dict[str, Any]:
        """What one call of the strategy or recipe counts up to, after it ran once."""
        program = self.opened.program(kind, name, phase)
        program.reset()
        program.wait(program.run(program.prepare()))
        counted: dict[str, Any] = program.count()
        return counted

    def do_built_frozen(self) -> list[str]:
        return self.opened.built_frozen

    def do_load_matching(self, pretrained: str, out: str) -> dict[str, list[str]]:
        """Load what fits; the weights as they are then into ``out``, the answer says what did."""
        report = self.opened.load_matching(read_arrays(pretrained))
        write_arrays(out, self.opened.weights())
        return report

    def do_fact(self, name: str) -> dict[str, Any]:
        """Let the implementation show a fact; see ``impl_*/facts.py`` and ``freeze_facts.py``."""
        for file in FACT_FILES:
            module = importlib.import_module(f"impl_{self.framework}.{file}")
            if hasattr(module, name):
                return getattr(module, name)()
        raise ValueError(f"fact {name!r}: in none of {FACT_FILES} of impl_{self.framework}")

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

    @property
    def _part(self) -> Path | None:
        """The user's file, where the scenario is the user's."""
        return parts.own_part(self.framework, self.facts.get("family", ""))

    def _blames_part(self, error: Exception) -> bool:
        return self._part is not None and blame.reached(error, self._part)

    def _who(self) -> str:
        """The file and function that built what is open."""
        file = self._part.name if self._part else f"impl_{self.framework}/{self.facts['family']}.py"
        return f"{file}: {self.facts['build']}"

    def _described(self, error: BaseException) -> dict[str, Any]:
        return {
            "line": blame.told(error, self._part) if self._part else None,
            "type": type(error).__name__,
            "message": str(error),
            "out_of_memory": bool(self.session.is_out_of_memory(error)),
            "traceback": traceback.format_exc(limit=-6),
        }


def main() -> None:
    """Open the framework's session, say hello, then answer one request a line until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--framework", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cache")
    options = parser.parse_args()
    # whatever a library prints must not end up among the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")

    try:
        session = _session(options)
    except Exception as error:
        say({"ok": False, "error": {"type": type(error).__name__, "message": str(error)}})
        return
    gc.collect()
    gc.freeze()  # the framework's own objects live on: walking them before each group costs 0.1 s
    worker = Worker(options.framework, session, say)
    say({"ok": True, "result": worker.do_hello()})
    serve(worker, sys.stdin, say)


def serve(worker: Worker, requests: TextIO, say: Callable[[dict[str, Any]], None]) -> None:
    """Answer until the requests end."""
    for line in requests:
        say(worker.answer(json.loads(line)))


def _session(options: argparse.Namespace) -> Any:
    module = importlib.import_module(f"impl_{options.framework}.session")
    extra = {"cache": options.cache} if options.cache else {}
    return module.Session(options.device, options.dtype, **extra)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
