"""Two frameworks of one file are timed in turns: in which order, how long, and what stops them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches.launch import WorkerCrashed
from benchmarks.own_code import case_group, plan
from benchmarks.own_code.case_group import CaseGroup, take_turns
from benchmarks.own_code.plan import Group, Pace, Plan
from benchmarks.own_code.rounds import Rounds
from tests.unit.own_code.test_plan_and_document import FACTS, asked

JOB: Any = {
    "kind": "case",
    "framework": "torch",
    "device": "cpu",
    "dtype": "float32",
    "strategies": ["summed"],
}


def test_number_of_launches_that_were_timed_is_told_after_each_round() -> None:
    told: list[int] = []
    both, _ = groups(("t", 3), ("j", 2))
    take_turns(both, time.monotonic() + 60.0, 0.0, told.append)
    assert told == [1, 2, 3]


class FakeGroup:
    """Stand in for `CaseGroup`: write down what it is told."""

    def __init__(self, name: str, launches: int, log: list[str], takes: float = 0.0) -> None:
        self.name, self.launches, self.log, self.takes = name, launches, log, takes
        self.timed, self.overhead = 0, 0.25
        self.stopped: str | None = None
        self.sampled: list[float] = []

    @property
    def is_done(self) -> bool:
        return self.timed >= self.launches

    @property
    def cells_left(self) -> int:
        return 2 * (self.launches - self.timed)

    def prepare_next(self) -> None:
        self.log.append(f"{self.name}{self.timed} prepared")

    def time_next(self, seconds: float) -> None:
        self.log.append(f"{self.name}{self.timed}")
        self.sampled.append(seconds)
        self.timed += 1
        time.sleep(self.takes)


def groups(*named: tuple[str, int], takes: float = 0.0) -> tuple[Any, list[str]]:
    log: list[str] = []
    return [FakeGroup(name, launches, log, takes) for name, launches in named], log


def test_launches_alternate_and_each_round_begins_with_the_other() -> None:
    both, log = groups(("t", 3), ("j", 2))
    take_turns(both, time.monotonic() + 60.0, 0.0)
    assert log == [
        "t0 prepared", "j0 prepared", "t0", "j0",
        "t1 prepared", "j1 prepared", "j1", "t1",
        "t2 prepared", "t2",
    ]  # fmt: skip


def test_time_is_shared_by_all_that_is_left_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_group, "time", SimpleNamespace(monotonic=lambda: 0.0))
    both, _ = groups(("t", 3), ("j", 3))
    take_turns(both, 6.0, 0.0)
    assert both[0].sampled[0] == pytest.approx(6.0 / 12 - 0.25)
    assert both[1].sampled[0] == pytest.approx(min(plan.MOST_SECONDS, 6.0 / 10 - 0.25))


def test_a_late_round_is_left_out_of_both() -> None:
    both, log = groups(("t", 6), ("j", 6))
    take_turns(both, time.monotonic() - 1.0, 10.0)  # late, and not by too much for the fewest
    assert [line for line in log if "prepared" not in line] == ["t0", "j0", "j1", "t1", "t2", "j2"]
    assert [one.stopped for one in both] == ["time", "time"]
    both, log = groups(("t", 6), ("j", 6))
    take_turns(both, time.monotonic() - 20.0, 10.0)  # the first is taken in any case
    assert [one.timed for one in both] == [1, 1]


def test_worker_that_fails_costs_its_own_group_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool: Any = SimpleNamespace()
    group = CaseGroup(JOB | {"launches": 1, "references": []}, pool, 3, 0.1)

    def fail() -> None:
        raise WorkerCrashed("the worker ended by signal 9")

    monkeypatch.setattr(group, "_find_files", fail)
    group.begin()
    assert group.is_done
    assert group.results["summed"].why == "the worker ended by signal 9"
    group.end()  # nothing is open


def of(*kinds: tuple[str, str]) -> Plan:
    return Plan(tuple(Group(kind, phase, ("summed",), {}) for kind, phase in kinds), 6)


def test_groups_of_one_kind_and_phase_stand_side_by_side_in_order_of_importance() -> None:
    torch = of(("backward", "backward"), ("freeze", "backward"), ("backward", "gradient"))
    jax = of(("backward", "backward"), ("backward", "gradient"))
    assert [
        [one and f"{one.kind} {one.phase}" for one in row] for row in plan.rounds([torch, jax])
    ] == [
        ["backward backward", "backward backward"],
        ["backward gradient", "backward gradient"],
        ["freeze backward", None],
    ]


def test_two_frameworks_fit_into_one_budget_with_as_many_launches_each() -> None:
    parts = [
        (plan.groups_of("torch", FACTS, asked()), Pace(0.001)),
        (plan.groups_of("jax", FACTS, asked()), Pace(0.001, first=4.0, later=1.0)),
    ]
    alone = [plan.fit([*groups], pace, 30.0, asked()) for groups, pace in parts]
    assert sum(pace.seconds(one) for (_, pace), one in zip(parts, alone, strict=True)) > 30.0
    torch, jax = plan.fit_together(parts, 30.0, asked())
    assert parts[0][1].seconds(torch) + parts[1][1].seconds(jax) <= 30.0
    assert jax.left_out  # it is the one that takes long
    assert len(torch.left_out) < len(jax.left_out)
    assert torch.launches == jax.launches
    for late in plan.fit_together(parts, 0.0, asked(budget=1.0)):
        assert (late.groups, bool(late.left_out)) == ((), True)


class KeptGroup(FakeGroup):
    """A group whose outcomes can be read after it has ended."""

    results = SimpleNamespace(outcomes=lambda: {"summed": "timed"})

    def begin(self) -> None: ...

    def end(self) -> None: ...


class FakeRun:
    """Stand in for `FrameworkRun`: a group for each of these phases, of this class."""

    def __init__(self, framework: str, kind: type[FakeGroup], pool: Any, *phases: str) -> None:
        self.framework, self.kind, self.pool, self.phases = framework, kind, pool, phases
        self.request = asked()
        self.measured: Any = SimpleNamespace(groups=[], left_out=())
        self.report_line = lambda line: None

    def start(self, launches: int) -> None: ...

    def pace(self) -> Pace:
        return Pace(0.001)

    def groups(self) -> list[Group]:
        return [Group("backward", phase, ("summed",), {}) for phase in self.phases]

    def group(self, group: Group, launches: int, overhead: float) -> Any:
        return self.kind(self.framework, launches, [])


@pytest.mark.parametrize("launches", [None, 6])
def test_no_round_begins_after_the_budget_and_what_is_left_out_is_named(
    launches: int | None,
) -> None:
    class Slow(KeptGroup):
        def time_next(self, seconds: float) -> None:
            super().time_next(seconds)
            time.sleep(1.0 if self.timed == 1 else 0.0)

    phases = ("backward", "gradient", "step")
    run: Any = FakeRun("torch", Slow, SimpleNamespace(), *phases)
    run.request = asked(launches=launches, phases=phases)
    Rounds([run], time.monotonic() + 0.9, lambda: None).measure()
    timed = [group.phase for group, _ in run.measured.groups]
    if launches:  # those that the user names are all taken
        assert (timed, run.measured.left_out) == (list(phases), ())
    else:
        assert timed == ["backward"]
        assert run.measured.left_out == ("gradient", "step")


def test_outcomes_of_both_are_kept_where_one_is_stopped() -> None:
    """Ctrl-C in the middle of a round: what was timed of either framework is kept."""
    ended: list[bool] = []
    pool = SimpleNamespace(end_workers=lambda: ended.append(True))

    class Interrupted(KeptGroup):
        def prepare_next(self) -> None:
            if self.name == "jax" and self.timed:
                raise KeyboardInterrupt

    runs: Any = [FakeRun(name, Interrupted, pool, "gradient") for name in ("torch", "jax")]
    with pytest.raises(KeyboardInterrupt):
        Rounds(runs, time.monotonic() + 60.0, lambda: None).measure()
    assert ended == [True]
    assert [[kept[1] for kept in run.measured.groups] for run in runs] == [
        [{"summed": "timed"}]
    ] * 2
