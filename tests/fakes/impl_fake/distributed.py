"""Several ranks of the fake framework; ``<strategy>_in_rank_<number>`` fails in one alone."""

from __future__ import annotations

import os
from typing import Any

RANK: list[int] = []


def processes(ranks: int) -> int:
    return ranks


def environment(ranks: int) -> dict[str, str]:
    return {}


def join(rank: int, ranks: int, meeting: str) -> None:
    RANK[:] = [rank]


def barrier() -> None: ...


def program(opened: Any, name: str, phase: str, wrapper: str) -> RankProgram:
    fault, _, rank = name.partition("_in_rank_")
    own = fault if rank in ("", str(*RANK)) else wrapper  # what the other ranks do meanwhile
    return RankProgram(opened.program("backward", own, phase))


class RankProgram:
    def __init__(self, own: Any) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    @property
    def replicas(self) -> list[Any]:
        return [self.own]

    def communication(self) -> dict[str, int]:
        reduced = 96 if self.own.strategy != "unreduced" else 48
        return {"reductions": 1, "reduced_bytes": int(os.environ.get("FAKE_REDUCED", reduced))}
