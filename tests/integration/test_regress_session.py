"""Test that comparisons measure correctly, and that failures end as documented.

The workers run the fake framework, whose faults each test chooses.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.float64_references import Float64References
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import leaving, plan, side_launches, worker_pairs
from results.regression.document import analysis
from results.statistics import launch_pairs
from results.statistics.verdict import INCONCLUSIVE, SLOWER
from tests.helpers.fake_comparisons import LOOKS, Measure, cell


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the arguments of each call that started the workers of a launch pair."""
    original, calls = worker_pairs.start_worker_pairs, []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return original(*arguments, **options)

    monkeypatch.setattr(worker_pairs, "start_worker_pairs", counted)
    return calls


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    findings = analysis(document).findings
    return {one.cell["strategy"]: one.verdict for one in findings}


@pytest.mark.serial
def test_unchanged_code_is_measured_in_every_role_and_saved_after_each_pair(
    measure: Measure,
) -> None:
    document = measure(cell())
    assert document["pairs"] in LOOKS
    assert document["design"]["taken"] == list(LOOKS)[: len(document["design"]["taken"])]
    assert document["pairs"] == len(document["pair_seconds"])
    assert document["seconds_by_part"]["timing"] > 0 < document["seconds_by_part"]["starting"]
    assert document["saved"][: document["pairs"]] == list(range(1, document["pairs"] + 1))
    wall = document["cells"][0]["seconds"]["wall"]
    assert len(wall) == document["pairs"]
    controlled = document["design"].get("control_pairs") or len(wall)  # not in the pairs after
    assert controlled >= LOOKS[0]
    assert all(len(row) == 3 and min(row) > 0 for row in wall[:controlled])
    assert all(min(row[:2]) > 0 and row[2] is None for row in wall[controlled:])
    exit_code = analysis(document).exit_code
    if exit_code == 1:  # other work made one side slower; what the code does it does again
        exit_code = analysis(measure(cell())).exit_code
    assert exit_code in (0, 3)


@pytest.mark.slow
@pytest.mark.serial
def test_a_slower_head_is_found(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    # calls of 13 µs: base against base may leave 2 %, and then nothing would be told
    monkeypatch.setattr(launch_pairs, "MARGIN", 0.5)
    for name in ("CELL_SECONDS", "MOST_CELL_SECONDS"):  # enough samples to see past other work
        monkeypatch.setattr(plan, name, 0.1)
    document = measure(cell("summed"), cell("other"), head="summed/gradient=slow")
    by_strategy = verdicts(document)
    assert by_strategy["summed"] == SLOWER
    assert by_strategy["other"] != SLOWER
    assert analysis(document).exit_code == 1


@pytest.mark.parametrize(
    ("side", "state"),
    [
        ("head", "wrong_in_head"),
        pytest.param("base", "wrong_in_base", marks=pytest.mark.slow),
    ],
)
def test_wrong_gradients_take_no_time(
    measure: Measure, started: list[Any], side: str, state: str
) -> None:
    document = measure(cell("summed"), cell("other"), **{side: "summed/gradient=scaled"})
    entry = document["cells"][0]
    assert (entry["state"], entry["seconds"]) == (state, {})
    assert "net2.linear.weight" in entry["why"]
    assert len(document["cells"][1]["seconds"]["wall"]) == document["pairs"] >= LOOKS[0]
    assert len(started) == document["pairs"]  # the other cell went on in the same workers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "head", "state"),
    [
        ("untraceable", "scaled", "wrong_in_head"),  # new in head, and wrong there
        ("scaled", "scaled", "failed"),
        ("untraceable", "untraceable", "failed"),
        ("scaled", "untraceable", "failed"),
    ],
)
def test_what_head_does_is_judged_whatever_base_does(
    measure: Measure, base: str, head: str, state: str
) -> None:
    faults = {"base": f"summed/gradient={base}", "head": f"summed/gradient={head}"}
    document = measure(cell("summed"), cell("other"), **faults)
    entry = document["cells"][0]
    assert entry["state"] == state, entry["why"]
    assert ("base: " in entry["why"] and "head: " in entry["why"]) == (state == "failed")
    assert analysis(document).exit_code == (1 if state == "wrong_in_head" else 2)


@pytest.mark.slow
def test_a_base_that_dies_is_no_new_cell_of_head(measure: Measure) -> None:
    document = measure(cell("summed"), cell("other"), base="summed/gradient=crash")
    assert document["cells"][0]["state"] == "failed"
    assert "SIGKILL" in document["cells"][0]["why"]
    assert analysis(document).exit_code == 2


@pytest.mark.slow
def test_a_reference_whose_worker_is_killed_is_taken_again(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = side_launches.SideLaunches.get
    killed: list[int] = []

    def get(self: side_launches.SideLaunches, side: str, framework: str, owner: str | None) -> Any:
        launch = original(self, side, framework, owner)
        if side == "base" and len(killed) < times:
            launch.wait_until_ready()
            killed.append(launch.pid)
            os.kill(launch.pid, 9)
        return launch

    monkeypatch.setattr(side_launches.SideLaunches, "get", get)
    times = 1
    assert measure(cell())["cells"][0]["state"] == "ok"
    killed.clear()
    times = 2
    document = measure(cell())
    assert document["cells"][0]["state"] == "failed"  # not "not in base"
    assert analysis(document).exit_code == 2


def test_stopped_while_references_are_taken_it_ends_at_once(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Send Ctrl-C to the main thread while it waits for one reference of each side."""
    original, begun = Float64References.compute, threading.Event()
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def reference(self: Float64References, launches: Any, *rest: Any) -> Any:
        (launch,) = launches.values()
        begun.set()
        os.kill(launch.pid, signal.SIGSTOP)  # a reference that takes long
        return original(self, launches, *rest)

    monkeypatch.setattr(Float64References, "compute", reference)

    def stop() -> None:
        begun.wait(300)
        time.sleep(0.3)
        signal.pthread_kill(main_thread, signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    known_handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            measure(cell())
    finally:
        signal.signal(signal.SIGINT, known_handler)
    assert time.monotonic() - start < 60  # and not the 300 s that an answer may take


@pytest.mark.slow
def test_a_cell_that_raises_in_head_failed_there(measure: Measure) -> None:
    document = measure(cell("summed"), cell("other"), head="summed/gradient=untraceable")
    assert document["cells"][0]["state"] == "failed_in_head"
    assert document["cells"][0]["why"] == "no one graph can be made of it"
    assert analysis(document).exit_code == 2


@pytest.mark.slow
def test_a_cell_that_base_cannot_do_is_new(measure: Measure) -> None:
    document = measure(cell("summed"), cell("other"), base="summed/gradient=untraceable")
    assert document["cells"][0]["state"] == "only_in_head"
    assert analysis(document).exit_code in (0, 3)


@pytest.mark.slow
def test_a_worker_that_dies_once_is_excused(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    died: list[str] = []
    original = worker_pairs.WorkerPairs._warm

    def warm(self: worker_pairs.WorkerPairs, one: Cell, limit: float) -> int:
        if not died:
            died.append(one.strategy)
            os.kill(self.launches["fake"]["head"].pid, 9)
        return original(self, one, limit)

    monkeypatch.setattr(worker_pairs.WorkerPairs, "_warm", warm)
    document = measure(cell())
    assert died
    assert document["cells"][0]["state"] == "ok"
    assert len(document["cells"][0]["seconds"]["wall"]) == document["pairs"] >= LOOKS[0]


@pytest.mark.slow
def test_a_cell_that_kills_its_worker_again_and_again_failed(measure: Measure) -> None:
    document = measure(cell("summed"), cell("other"), head="summed/gradient=crash")
    assert document["cells"][0]["state"] == "failed_in_head"
    assert "SIGKILL" in document["cells"][0]["why"]
    assert verdicts(document)["other"] != "failed"


@pytest.mark.slow
def test_a_cell_that_hangs_in_head_has_had_its_time(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, started: list[Any]
) -> None:
    monkeypatch.setattr(worker_pairs, "ANSWER_SECONDS", 8.0)
    document = measure(cell("summed"), cell("other"), head="summed/gradient=hang")
    assert document["cells"][0]["state"] == "failed_in_head"
    assert "no answer within 8 s" in document["cells"][0]["why"]
    assert verdicts(document)["other"] != "failed"
    assert len(started) == document["pairs"] + 1  # not tried again


def test_the_budget_ends_it_and_nothing_is_told_too_early(measure: Measure) -> None:
    document = measure(cell(), budget=1.0, began=time.monotonic() - 10.0)
    assert (document["pairs"], document["stopped"]) == (1, "the budget was spent")
    assert verdicts(document) == {"summed": INCONCLUSIVE}
    assert analysis(document).exit_code == 3


@pytest.mark.slow
def test_a_budget_that_turns_out_too_small_is_said_once_it_is_known(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(plan, "pairs_within", lambda *_: 0)
    document = measure(cell(), warn=warnings.append)
    line = warnings[0]  # then promises
    assert "the budget has time for about 2 of them, and the first verdict takes 3; give" in line
    assert document["pairs"] >= 3


@pytest.mark.slow
def test_a_session_that_leaves_something_undecided_says_why_it_ended(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "undecided", lambda standing, _: ([0], []))
    document = measure(cell())
    assert document["pairs"] == LOOKS[-1]
    assert document["stopped"] == "a session takes no more launch pairs"
    assert document["design"]["shares"][-1] == 1.0  # the last look may use up what is left of α


def test_stopped_in_the_middle_what_was_measured_is_saved(measure: Measure) -> None:
    saved: list[int] = []

    def report(line: str) -> None:
        if line.startswith("launch pair 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(cell(), report=report, saved=saved)
    assert saved == [1, 2, 2]  # after each pair, and once more at the end
