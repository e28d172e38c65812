"""Make of the programs of all ranks one that the clock times and the gate judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness.protocol import messages
from benchmarks.harness.worker import gate

OPERATIONS = "operations"  # the key of `Counts` that a program of ranks has no value for
Ask = Callable[..., list[Any]]  # (operation, its arguments) → the answer of each process


class RankProgram:
    """Run a strategy in all ranks, as one program with the methods of those in ``impl_*``.

    Args:
        ask: asks all processes of the ranks the same.
        key: by which they know the program.
        ranks: how many there are.
    """

    def __init__(self, ask: Ask, key: str, ranks: int) -> None:
        self._ask, self.ranks = ask, ranks
        self._key = key
        self.trace_seconds: float | None = None
        self.compile_seconds: float | None = None
        self._finished = True
        self._communication: dict[str, int] = {}

    def prepare(self) -> None:
        """Do nothing: the ranks prepare a call themselves."""

    def run(self, carry: None) -> list[str]:
        """Run the program once in every rank; return the gradients that all of them returned."""
        answers = self._ask("call", key=self._key)
        self._finished = all(answer["finished"] for answer in answers)
        first, *others = (answer["returned"] for answer in answers)
        return [name for name in first if all(name in other for other in others)]

    def wait(self, result: Any) -> None:
        """Do nothing: the ranks have waited."""

    def finished(self) -> bool:
        """Return whether all work of the last `run` was done in every rank when it returned."""
        return self._finished

    def returned(self, result: list[str]) -> list[str]:
        """Return the names of the gradients that a `run` returned."""
        return result

    def reset(self) -> None:
        """Set every rank back to its start."""
        self._ask("reset", key=self._key)

    def batch_times(self, calls: int) -> tuple[float, float]:
        """Return the mean seconds of so many calls, each as long as in the slowest rank.

        All ranks begin a call together. The second number, seconds of the CPU, is not told of
        several processes: 0.
        """
        by_process = self._ask("calls", key=self._key, count=calls)
        return sum(map(max, zip(*by_process, strict=True))) / calls, 0.0

    def judge(self, reference: str, rules: messages.GateRules) -> gate.GateVerdict:
        """Return the verdict on the gradients of all ranks, and on what they reduced.

        Wrong is, in this order: a gradient of any rank that is not that of the whole batch, one
        that is not the same in all ranks bit by bit, and another number of bytes reduced than the
        strategy must reduce. Where every row of a batch is alike, the last is all that shows a
        gradient that was not reduced.

        Args:
            reference: ``.npz`` file of the float64 reference.
            rules: the bounds of the cell.
        """
        answers = self._ask("judge", key=self._key, reference=reference, rules=rules)
        verdicts = [verdict for answer in answers for verdict in answer]
        self._communication = _common(self._ask("communication", key=self._key))
        if (reduced := rules.get("reduced_bytes")) is not None:
            self._communication["predicted_bytes"] = reduced
        if (gathered := rules.get("gathered_bytes")) is not None:
            self._communication["predicted_gathered_bytes"] = gathered
        problem = _wrong_rank(verdicts) or _apart(verdicts) or self._wrong_bytes(rules)
        error = verdicts[0]["gradient_error"]
        for verdict in verdicts[1:]:
            if error and verdict["gradient_error"]:
                error = gate.larger_errors(verdict["gradient_error"], error)
        self._note_times()
        return {"equivalence": problem or "pass", "gradient_error": error}

    def _wrong_bytes(self, rules: messages.GateRules) -> str | None:
        """Return a sentence about bytes that a call must reduce and does not, or None."""
        counted = self._communication
        should = rules.get("reduced_bytes")
        if should is not None and should != (reduced := counted["reduced_bytes"]):
            return f"a call reduced {reduced} bytes of gradients in each rank, should be {should}"
        should = rules.get("gathered_bytes")
        if should is not None and should != (gathered := counted.get("gathered_bytes")):
            return (
                f"a call gathered {gathered} bytes of parameters in each rank, should be {should}"
            )
        return None

    def _note_times(self) -> None:
        """Note how long the slowest process took to trace and to compile; None where none did."""
        answers = self._ask("times", key=self._key)
        for name in ("trace_seconds", "compile_seconds"):
            known = [answer[name] for answer in answers if answer[name] is not None]
            setattr(self, name, max(known, default=None))

    def count(self) -> dict[str, Any]:
        """Return FLOPs and saved bytes of all ranks together, and what a rank reduces."""
        answers = self._ask("counts", key=self._key)
        names = [name for name in answers[0] if name != OPERATIONS]
        counts = {name: _total([answer[name] for answer in answers]) for name in names}
        shared = {"ranks": self.ranks, **self._communication}
        # ranks share the machine's memory and cores, so that no rate of one process limits them
        return {**counts, OPERATIONS: None, "communication": shared}

    def products(self) -> list[Any]:
        """Return no matrix products: a share of the peak is not told of several ranks."""
        return []

    @property
    def graphs(self) -> int:
        """Number of graphs compiled so far in all ranks."""
        return sum(self._ask("graphs", key=self._key))


def _wrong_rank(verdicts: Sequence[dict[str, Any]]) -> str | None:
    """Return what is wrong in the first rank whose gradients are wrong, or None."""
    for rank, verdict in enumerate(verdicts):
        if verdict["equivalence"] != "pass":
            return f"rank {rank}: {verdict['equivalence']}"
    return None


def _apart(verdicts: Sequence[dict[str, Any]]) -> str | None:
    """Return which rank holds other gradients or parameters than the first one, or None."""
    for rank, verdict in enumerate(verdicts):
        if verdict["digest"] != verdicts[0]["digest"]:
            return f"rank {rank} does not hold the gradients of rank 0 bit for bit"
    return None


def _common(answers: Sequence[dict[str, int]]) -> dict[str, int]:
    """Return the counts of the rank that reduces the most."""
    return max(answers, key=lambda answer: answer["reduced_bytes"])


def _total(values: Sequence[Any]) -> Any:
    """Return the sum of these counts; None where one is unknown."""
    return None if None in values else sum(values)
