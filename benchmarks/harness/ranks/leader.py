"""Lead several ranks: what a worker is asked about a cell, all ranks do at the same time."""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import Any, NoReturn

from benchmarks.harness.protocol import count_messages, messages, ranks
from benchmarks.harness.protocol.equivalence import Arrays
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.ranks.alone import Work, seconds_alone
from benchmarks.harness.ranks.processes import Processes, RankFailed, RankLost
from benchmarks.harness.ranks.rank_program import RankProgram
from benchmarks.harness.worker import gate
from benchmarks.harness.worker.server import Worker

LOST = 70  # exit code of a leader that has lost a rank


class Leader(Worker):
    """Carry out a worker's operations on cells of several ranks.

    The ranks start with the first cell, and stay for as long as the next cells have as many. A rank
    that is lost takes the leader with it: the parent then fails the cell that they were at, and
    starts both anew for the others.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ranks: Processes | None = None
        self._opened: dict[str, Any] | None = None  # the open problem, as it was asked for
        self._open_in_ranks = False
        self._keys = count()

    def do_open(self, facts: messages.ProblemSpec, weights: str, data: str) -> messages.NoResult:
        """Build the problem here, and in the ranks when the first cell is built."""
        super().do_open(facts, weights, data)
        self._opened = {"facts": facts, "weights": weights, "data": data}
        return {}

    def do_close(self) -> messages.NoResult:
        """Drop the open problem and its programs, here and in the ranks."""
        super().do_close()
        if self._ranks and self._open_in_ranks:
            self._open_in_ranks = False
            self.ask_ranks("close")
        return {}

    def do_alone(self, cells: list[str]) -> dict[str, count_messages.AloneSeconds]:
        """Time what the ranks of prepared cells compute and exchange alone; see `alone`."""
        programs = {name: self.programs[name] for name in cells}
        work = {
            name: Work(one.flops or one.count()["flops"], one.sizes)
            for name, one in programs.items()
        }
        some = programs[cells[0]]
        with self.working():
            return seconds_alone(self.ask_ranks, some.ranks, some.wrapper, work)

    def ask_ranks(self, op: str, **arguments: Any) -> list[Any]:
        """Ask every process of the ranks the same; see `Processes.ask`."""
        assert self._ranks is not None
        try:
            return self._ranks.ask(op, **arguments)
        except RankLost as error:
            self._end(error)

    def _program(
        self, kind: str, name: str, phase: str, mode: str | None, precision_mode: str = IEEE
    ) -> RankProgram:
        """Return the program that a strategy's program in each rank makes up together."""
        wrapper, number = ranks.split_mode(mode or "")
        self._demand_ranks(number)
        key = f"{name}-{next(self._keys)}"
        self.ask_ranks("build", key=key, name=name, phase=phase, wrapper=wrapper)
        return RankProgram(self.ask_ranks, key, number, wrapper)

    def _demand_ranks(self, number: int) -> None:
        """Start so many ranks, unless they are there, and open the problem in them."""
        if self._ranks and self._ranks.ranks != number:
            self._ranks.end()
            self._ranks = None
        if self._ranks is None:
            try:  # on a CPU, as no cell of several ranks is anywhere else
                self._ranks = Processes(self.framework, "cpu", self.session.precision, number)
            except RankLost as error:
                self._end(error)
            self._open_in_ranks = False
        if not self._open_in_ranks:
            assert self._opened is not None
            self.ask_ranks("open", **self._opened)
            self._open_in_ranks = True

    def _judge(self, program: Any, true: Arrays, rules: messages.GateRules) -> gate.GateVerdict:
        """Return the verdict on the gradients of every rank, and on the bytes that they reduced."""
        verdict: gate.GateVerdict = program.judge(self.reference_file, rules)
        return verdict

    def _error_message(self, error: BaseException) -> messages.ErrorMessage:
        """Return an exception as the ``error`` of an answer; that of a rank keeps its outcome."""
        message = super()._error_message(error)
        if isinstance(error, RankFailed):
            message["unsupported"] = str(error) if error.outcome == "unsupported" else None
            message["out_of_memory"] = error.outcome == "out_of_memory"
        return message

    def _end(self, error: RankLost) -> NoReturn:
        """End this process, with the loss of a rank as its last words."""
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(LOST)
