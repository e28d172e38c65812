"""Test that each machine's traces are kept apart and shown side by side, and the ways to locate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmarks.evaluation.trial import (
    budgets,
    locating,
    machines,
    plan,
    side_by_side,
    tools_by_machine,
)
from benchmarks.evaluation.trial.budgets import Noise
from benchmarks.evaluation.trial.traces import TraceError
from benchmarks.machine import environment
from results.statistics import look_levels
from tests.helpers.factories import traces as made_traces

EPYC = {"cpu": "AMD EPYC", "cores": 2, "date": "2026-01-02"}
COMMITTED = plan.FOLDER


def normal(spread: float = 0.01) -> Noise:
    """Return launches of four cells of each framework, of normal noise."""
    drawn = np.random.default_rng(1).normal(0, spread / np.sqrt(2), (400, 3, 8))
    return Noise("made", {"wall": drawn, "cpu": drawn})


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Be on a machine that is named in this dictionary."""
    named: dict[str, Any] = dict(EPYC)
    monkeypatch.setattr(machines, "identity", lambda: dict(named))
    return named


def test_traces_of_two_machines_never_share_a_folder(here: dict[str, Any], tmp_path: Path) -> None:
    folder = machines.folder_here(tmp_path)
    assert folder.name == "amd-epyc-2-cores-2026-01-02"
    machines.identify(folder)
    machines.identify(folder)
    here["date"] = "2026-02-03"  # another day on the same machine may go on
    machines.identify(folder)
    assert machines.in_words(folder) == "AMD EPYC, 2 cores, 2026-01-02"
    here["cores"] = 4
    with pytest.raises(TraceError, match=r"another machine \(AMD EPYC, 2 cores\).*--traces FOLDER"):
        machines.identify(folder)
    machines.identify(machines.folder_here(tmp_path))
    assert len(machines.recorded(tmp_path)) == 2


def test_folder_that_does_not_say_whose_it_is_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="does not say which machine"):
        machines.read(tmp_path)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("Intel(R) Xeon(R) Processor", "Intel Xeon"),
        ("AMD EPYC", "AMD EPYC"),
        ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", "Intel Core i7-8700 @ 3.20GHz"),
        (None, None),
    ],
)
def test_a_processor_is_named_without_marks(
    given: str | None, plain: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "describe", lambda: {"cpu": given, "cores": 2})
    assert machines.identity()["cpu"] == plain


def test_identity_names_what_times_depend_on_and_no_owner() -> None:
    known = machines.identity()
    assert {"cpu", "cores", "python", "torch", "jax", "date"} < set(known)
    assert not {"host", "hostname", "user", "node"} & set(known)


# way → its efficiency on 16 normal values, and what its nominal 95 % intervals cover there
ON_NORMAL = {
    "mean": (1.0, 0.95),
    locating.OURS: (0.885, 0.95),
    "median": (0.67, 0.977),  # between ordered values: of the sign test's levels the next below 5 %
    "Hodges–Lehmann": (0.95, 0.95),
    "Huber": (0.93, 0.936),  # its standard error is that of many values
}


@pytest.mark.parametrize("way", list(locating.WAYS))
def test_way_is_unbiased_and_as_efficient_as_known_on_normal_noise(way: str) -> None:
    d = np.random.default_rng(2).normal(0.3, 1.0, (10_000, locating.PAIRS))
    located, (efficiency, coverage) = locating.WAYS[way](d), ON_NORMAL[way]
    assert np.mean(located.estimate) == pytest.approx(0.3, abs=0.012)
    covered = np.mean((located.low <= 0.3) & (located.high >= 0.3))
    assert covered == pytest.approx(coverage, abs=0.008)
    seen = (1 / locating.PAIRS) / np.var(located.estimate)
    assert seen == pytest.approx(efficiency, abs=0.03)


def test_hodges_lehmann_is_by_hand_and_its_interval_the_signed_rank_tests() -> None:
    located = locating.hodges_lehmann(np.array([1.0, 2.0, 6.0]))
    assert located.estimate == 2.75  # of 1, 1.5, 2, 3.5, 4, 6
    d = np.random.default_rng(3).normal(0.4, 1.0, locating.PAIRS)
    ends = locating.hodges_lehmann(d)
    for end in (ends.low, ends.high):
        inside, outside = (end + s * 0.02 * np.sign(0.4 - end) for s in (1, -1))
        assert scipy.stats.wilcoxon(d - inside).pvalue > scipy.stats.wilcoxon(d - outside).pvalue
        assert scipy.stats.wilcoxon(d - end).pvalue == pytest.approx(0.05, abs=0.012)


def test_huber_is_the_zero_of_its_own_equation() -> None:
    d = np.append(np.random.default_rng(4).normal(0, 1, 15), 40.0)
    centre = float(locating.huber(d).estimate)
    scale = 1.4826 * np.median(np.abs(d - np.median(d)))
    scores = np.clip((d - centre) / scale, -locating.HUBER, locating.HUBER)
    assert scores.sum() == pytest.approx(0, abs=1e-4)
    assert abs(centre) < 0.6 < np.mean(d)


def test_disturbed_launches_cost_the_mean_most() -> None:
    noise = Noise("disturbed", normal().logs, disturbed=0.05)
    seen = locating.figures(noise, 400, [5])
    assert seen["mean"]["error"] > 1.5 * seen[locating.OURS]["error"]
    assert seen[locating.OURS]["covered"] > 0.93


def test_spread_of_a_pair_is_that_of_two_launches_and_robust() -> None:
    assert side_by_side.pair_spread(normal(0.02)) == pytest.approx([0.02] * 8, rel=0.15)
    logs = {metric: values.copy() for metric, values in normal(0.02).logs.items()}
    logs["wall"][:10] += 5 * np.arange(3)[:, None]
    assert side_by_side.pair_spread(Noise("x", logs)) == pytest.approx([0.02] * 8, rel=0.2)


def test_figures_of_all_machines_are_shown_side_by_side(
    here: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 16_000)
    monkeypatch.setattr(side_by_side, "LOCATED", 50)
    monkeypatch.setattr(budgets, "rates", lambda *_: RATES)
    for cores in (2, 4):
        here["cores"] = cores
        folder = machines.folder_here(tmp_path)
        machines.identify(folder)
        made_traces.recording(folder, 8)
        chosen = {m: {"quantile": 10.0, "drop": 1} for m in plan.METRICS}
        (folder / "replay.json").write_text(json.dumps({"constants": chosen}))
        side_by_side.compute(folder, 3)
    lines = side_by_side.section(tmp_path)
    for cores in (2, 4):
        machine = f"| AMD EPYC, {cores} cores, 2026-01-02 | quiet |"
        (row,) = [x for x in lines if x.startswith(machine) and "+2.4 %" in x]
        assert "| 1 of 3 | 32 | 100 % | +2.4 % | 67 % of 3 |" in row
        ways = [x for x in lines if x.startswith(machine) and x not in (row,)]
        assert len(ways) == len(locating.WAYS)
        (ours,) = [x for x in ways if locating.OURS in x]
        assert "| 1.00 | 1.00 | 1.00 |" in ours


def test_every_tool_is_shown_on_each_committed_machine() -> None:
    rows = [line for line in tools_by_machine.section(COMMITTED) if line.startswith("| ")][2:]
    folders = machines.recorded(COMMITTED)
    assert len(rows) == len(folders) * 2 * 5
    for folder in folders:
        own = [row for row in rows if machines.in_words(folder) in row]
        quiet = json.loads((folder / "replay.json").read_text())["conditions"]["quiet"]
        count = quiet["tools"]["pyperf"]["alarms"]
        share = 100 * count["suite_slower"] / count["suites"]
        (row,) = [row for row in own if "| quiet | pyperf |" in row]
        assert f"| pyperf | {share:.1f} [" in row


def test_without_figures_there_is_no_section(tmp_path: Path) -> None:
    assert side_by_side.section(tmp_path) == []


def test_committed_traces_say_whose_they_are() -> None:
    folders = machines.recorded(COMMITTED)
    assert folders
    assert not list(COMMITTED.glob("*.npz"))
    for folder in COMMITTED.iterdir():
        assert machines.read(folder)["cpu"]
        assert list(folder.glob("set-*.npz"))


RATES = {
    "sessions": 3,
    "promised": 3,
    "alarm_count": 1,
    "pairs": 32.0,
    "control": 16.0,
    "found": 1.0,
    "kept": 2 / 3,
    "promise": 0.024,
}
