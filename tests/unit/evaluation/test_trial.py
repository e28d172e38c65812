"""Test the trial on synthetic traces: its rules, rates and page, and the tools' real commands."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.evaluation.trial import (
    agreement,
    cell,
    evaluate,
    machines,
    plan,
    rates,
    replay,
    replay_tools,
    report,
    summary,
    tools,
    traces,
    tuning,
)
from benchmarks.evaluation.trial.traces import LaunchSet, Meta, TraceError
from results.statistics import launch_pairs, look_levels
from tests.helpers.factories import traces as made_traces


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make replays fewer, and estimate the level of a look from fewer sessions."""
    monkeypatch.setattr(plan, "TRIALS", 200)
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 64_000)
    look_levels.per_look_level.cache_clear()
    yield
    look_levels.per_look_level.cache_clear()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces")
    made_traces.recording(folder, 32)
    return folder


# The rules of the other tools


def test_pytest_benchmark_compares_medians_in_percent() -> None:
    base, head = np.array([[1.0, 2.0, 9.0]]), np.array([[2.1, 2.1, 0.1]])
    assert tools.percent_slower(base, head) == pytest.approx([5.0])


def test_t_score_is_by_hand() -> None:
    # means 2 and 4, both variances 1, three values each: 2 / √(1 · 2/3)
    base, head = np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 4.0, 5.0]])
    assert tools.t_score(base, head) == pytest.approx([2 / math.sqrt(2 / 3)])


@pytest.mark.parametrize(("values", "critical"), [(3, 2.776), (10, 2.101), (18, 2.042), (24, 2.021),
                                                  (60, 1.984), (200, 1.960)])  # fmt: skip
def test_critical_t_is_that_of_the_table(values: int, critical: float) -> None:
    assert tools.critical_t(values) == critical


def test_asv_needs_both_the_factor_and_the_test() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(1, 0.01, (1, 60))
    rule = next(r for r in tools.rules(24) if r.tool == tools.ASV)
    assert rule.alarms(base, base * 1.12).all()
    assert not rule.alarms(base, base * 1.05).any()  # significant, but below the factor
    noisy = rng.normal(1, 1.0, (1, 25))
    assert not rule.alarms(noisy, noisy + 0.15 * np.median(noisy)).any()


def test_rule_of_known_level_alarms_as_often_as_it_says() -> None:
    """One side of a U test at 5 % is 2.5 % of unchanged cells, or less as ranks are discrete."""
    drawn = np.random.default_rng(1).normal(1, 0.01, (2, 4000, 8))
    rule = next(r for r in tools.rules(24) if r.tool == tools.BENCHSTAT)
    assert 0.018 < rule.alarms(*drawn).mean() < 0.032


def test_matched_threshold_gives_the_rate_asked_for() -> None:
    scores = np.random.default_rng(2).normal(size=(1000, 8))
    for rate in (0.0, 0.01, 0.2):
        threshold = tools.matched_threshold(scores, rate)
        assert (scores.max(axis=1) > threshold).mean() == pytest.approx(rate)


def test_warmup_goes_by_time_and_not_by_samples() -> None:
    row = np.full(10, 0.02, np.float32)
    assert len(tools.after_warmup(row, 1)) in (5, 6)  # 0.1 s of 0.2
    assert len(tools.after_warmup(row, 10)) == 10  # all would be left out, so none is


# Replay


def ours(spread: float, sets: int = 40) -> replay.OurSessions:
    rng = np.random.default_rng(3)
    logs = {m: rng.normal(0, spread, (sets, 3, replay.CELLS)) for m in plan.METRICS}
    return replay.OurSessions(logs, 24)


def test_replayed_sessions_find_a_slowdown_and_nothing_else() -> None:
    drawn = ours(0.007)
    alarms = replay.our_alarms(drawn, "wall and CPU", launch_pairs.LOOKS, [1])
    assert alarms["suite_alarms"] <= 2
    power = replay.our_power(drawn, "wall and CPU", launch_pairs.LOOKS, [2])
    assert sum(power["0.05"]["cells"]) > 0.97 * power["0.05"]["of"] * replay.CELLS
    assert power["0.05"]["everything"] > 0.97 * power["0.05"]["of"]


def test_cpu_time_finds_what_wall_time_cannot() -> None:
    drawn = ours(0.007)
    noise = np.random.default_rng(4).normal(0, 0.3, (40, 3, replay.CELLS))
    drawn = replay.OurSessions({"wall": drawn.logs["wall"] + noise, "cpu": drawn.logs["cpu"]}, 24)
    power = {
        v: replay.our_power(drawn, v, launch_pairs.LOOKS, [5])["0.05"]
        for v in ("wall", "wall and CPU")
    }
    assert sum(power["wall"]["cells"]) == 0
    assert sum(power["wall and CPU"]["cells"]) > 0.9 * 8 * power["wall and CPU"]["of"]


def test_intervals_of_replayed_sessions_cover_the_truth() -> None:
    plan_trials = 800
    drawn = ours(0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TRIALS", plan_trials)
        covered = replay.our_coverage(drawn, (16,), [6])["wall"]["16"]
    assert 0.93 < np.mean(covered) < 0.97


def test_base_and_head_of_the_other_tools_share_no_process(recorded: Path) -> None:
    sets = replay.select_sets(traces.load_all(recorded), "report", "quiet")
    others = replay_tools.OtherTools.from_sets(sets, 8)
    for base, head in others.draw(tools.BENCHSTAT, 50, [1]):
        for left, right in zip(base, head, strict=True):
            assert not set(left) & set(right)
            assert len(set(left)) == 8


def test_single_process_tool_needs_two_runs(recorded: Path) -> None:
    sets = replay.select_sets(traces.load_all(recorded), "report", "quiet")[: plan.LONG_CYCLE]
    with pytest.raises(TraceError, match="fewer than two launches; record more"):
        replay_tools.OtherTools.from_sets(sets, 8).medians(10, [1])


@pytest.mark.slow
def test_whole_replay_and_page(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TRIALS", 40)
    evaluate.main(recorded)
    replayed = json.loads((recorded / "replay.json").read_text())
    sets = traces.load_all(recorded)
    constants = {m: tuning.Constants(**c) for m, c in replayed["constants"].items()}
    about = summary.summarise(sets, constants, machines.identity())
    live = {"asv 0.05": {"missing": "no /opt/here/bin/asv |\n at all"},
            "this suite 0": {"cells": 8, "slower": []}}  # fmt: skip
    page = report.page(replayed, about, None, live)
    assert "| asv | +5 % |" in page
    assert "no …/asv / at all |" in page
    assert "| this suite | unchanged | 0 of 8 |" in page
    assert page.count("| bursty | pyperf |") == 3
    assert "Not checked" in page
    assert all(len(line) < 100 for line in page.splitlines() if line[:1] != "|")
    one = about["conditions"]["quiet"][plan.SUBJECTS[0].id]
    assert one["launch_sd"] == pytest.approx(made_traces.LAUNCH_SPREAD, rel=0.5)
    assert one["pair_sd_cpu"] == pytest.approx(made_traces.LAUNCH_SPREAD * math.sqrt(2), rel=0.5)


def test_replay_without_a_half_says_what_to_do(tmp_path: Path) -> None:
    made_traces.recording(tmp_path, 2)
    with pytest.raises(TraceError, match=r"fewer than 2 sets of the tuning half.*trial record"):
        evaluate.evaluate(tmp_path)


def test_marks_name_the_cause_where_they_are_missed() -> None:
    alarms = {"suites": 2000, "suite_alarms": 40, "common_alarms": 1, "control_left": 0.5}
    power = {"0.03": {"of": 10, "cells": [9, 1]}}
    setting = {"promise": 0.5, "power": {"0.03": {"of": 10, "cells": [10, 9]}},
               "alarms": {"suites": 10, "suite_slower": 3}}  # fmt: skip
    one = {
        "ours": {rates.MAIN: {"alarms": alarms, "power": power}},
        "disjoint": {"suites": 1, "suite_alarms": 0},
        "tools": {"asv": {"settings": {"--factor=X": setting}}},
        "missing": {"pyperf": "too few launches"},
        "coverage": {"wall": {"10": [0.95, 0.80]}},
        "pair_seconds": 30.0, "looks": [10, 16], "normal_alarms": 18,
    }  # fmt: skip
    cells = {n: {"pair_sd_wall": 0.2, "pair_sd_cpu": 0.1} for n in ("even", "noisy")}
    marks = rates.marks({"conditions": {"quiet": one, "bursty": one}}, {"bursty": cells})
    assert [mark.reached for mark in marks] == [False] * 4
    causes = [mark.cause for mark in marks]
    assert "normal noise as wide as these launches' makes 18" in causes[0]
    assert "noisy: found 10%" in causes[1]
    assert "even" not in causes[1]
    assert "in 50% of the sessions" in causes[1]
    assert "asv (--factor=X) finds 95.0%" in causes[2]
    assert "pyperf has no figure (too few launches)" in causes[2]
    assert "87.5% over all rows, the least in one row 80.0%" in causes[3]


@pytest.mark.parametrize(("hits", "suites", "reached"), [(0, 2000, True), (1, 2000, False),
                                                         (0, 140, False)])  # fmt: skip
def test_silence_takes_no_alarm_in_enough_suites(hits: int, suites: int, reached: bool) -> None:
    alarms = {"suites": suites, "suite_alarms": hits, "common_alarms": 0}
    one = {"ours": {rates.MAIN: {"alarms": alarms}}, "normal_alarms": 0,
           "disjoint": {"suites": 1, "suite_alarms": 0}}  # fmt: skip
    assert rates._silence({"conditions": {"quiet": one, "bursty": one}}).reached is reached


def test_bounds_of_rates_are_those_of_the_tables() -> None:
    assert rates.upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))  # just under 1 %
    assert rates.upper_bound(0, 0) == 1.0
    assert rates.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


# Traces and tuning


def test_traces_come_back_as_they_went(tmp_path: Path) -> None:
    one = made_traces.launch_set(3, "report", np.random.default_rng(0))
    path = tmp_path / "set-003.npz"
    traces.save(one, path)
    back = traces.load(path)
    assert back.meta == one.meta
    assert back.rows.keys() == one.rows.keys()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TraceError, match=r"set-003\.npz cannot be read .* record again"):
        traces.load(path)


def test_dropping_leaves_the_last_sample_of_each_turn() -> None:
    rows = {"turns/a/0/wall": np.arange(7.0), "turns/a/0/lengths": np.array([3.0, 1.0, 3.0])}
    one = LaunchSet(Meta(0, "quiet", "tuning", 0.02), rows)
    assert one.turns("a", 0, "wall").tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert one.turns("a", 0, "wall", 1).tolist() == [1, 2, 3, 5, 6]
    assert one.turns("a", 0, "wall", 9).tolist() == [2, 3, 6]


def test_tuning_prefers_what_spreads_least(recorded: Path) -> None:
    sets = traces.load_all(recorded)
    for one in sets:  # the first sample of each turn is cold, by an amount of its own
        rng = np.random.default_rng(one.meta.index)
        for key in [k for k in one.rows if k.startswith("turns/") and k.endswith("/wall")]:
            one.rows[key][::10] *= rng.uniform(0.3, 1)
    spreads = tuning.spread_by_constants(sets, "wall")
    assert spreads[tuning.Constants(5.0, 0)] > 5 * spreads[tuning.Constants(5.0, 1)]
    assert spreads[tuning.least_spread(spreads)] == min(spreads.values())


# The rules and the real commands


def series(processes: int, values: int) -> dict[str, dict[str, list[list[float]]]]:
    """Return times of four cells: unchanged, and slower by 1, 4 and 20 %."""
    rng = np.random.default_rng(8)
    factors = {"same": 1.0, "one": 1.01, "four": 1.04, "twenty": 1.2}
    noise = 1e-3 * (1 + 0.01 * np.abs(rng.normal(size=(2, 4, processes, values))))
    return {
        side: {n: (rows * (f if i else 1.0)).tolist()
               for (n, f), rows in zip(factors.items(), noise[i], strict=True)}
        for i, side in enumerate(("base", "head"))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "processes", "values", "slower"),
    [
        (tools.PYTEST_BENCHMARK, 1, 50, {"twenty"}),
        (tools.PYPERF, 6, 3, {"one", "four", "twenty"}),
        (tools.ASV, 2, 15, {"twenty"}),
    ],
)
def test_rule_says_what_the_real_command_says(
    tool: str, processes: int, values: int, slower: set[str], tmp_path: Path
) -> None:
    if tool in (tools.PYPERF, tools.ASV) and importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is of the extra 'trial': pip install -e '.[all,trial]'")
    times = series(processes, values)
    assert agreement.ask_command(tool, tmp_path, times) == slower
    rule = next(r for r in tools.rules(processes * values) if r.tool == tool)
    rows = {side: np.array(list(cells.values())) for side, cells in times.items()}
    alarms = rule.alarms(rows["base"].reshape(4, -1), rows["head"].reshape(4, -1))
    assert {n for n, one in zip(times["base"], alarms, strict=True) if one} == slower


def test_told_processes_take_their_rows_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"series": {"base": {"a": [[1.0], [2.0]]}, "head": {"a": [[3.0], [4.0]]}}, "head": "h"}
    (tmp_path / "job.json").write_text(json.dumps(job))
    monkeypatch.setenv(cell.JOB, str(tmp_path / "job.json"))
    cell.job.cache_clear()
    readings = []
    for commit in ("b", "h", "b"):
        monkeypatch.setenv("ASV_COMMIT", commit)
        call, now, count = cell.open_cell("a")
        start = now()
        call()
        readings.append((now() - start, count))
    assert readings == [(1.0, 1), (3.0, 1), (2.0, 1)]
    with pytest.raises(RuntimeError, match="more processes of base than the 2"):
        cell.open_cell("a")
    cell.job.cache_clear()
