"""Check the history of runs: its cache, the detection of changes, and the table."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import cli
from benchmarks.cli import main
from results.records import storage
from results.records.record import RecordError
from results.statistics import change_points
from results.terminal import history_table
from tests.helpers.factories.records import run
from tests.helpers.factories.report_runs import run_of_day, whole_run
from tests.helpers.machine_speed import least_reading

pytest.importorskip("pyarrow")
history = pytest.importorskip("results.regression.history")
pytest.importorskip("ruptures")


def saved(folder: Path, days: int = 3, **about: Any) -> list[Path]:
    return [storage.save_run(run_of_day(day + 1, seed=day, **about), folder) for day in range(days)]


def test_the_cache_holds_what_the_runs_hold(tmp_path: Path) -> None:
    saved(tmp_path)
    first, second = history.load(tmp_path), history.load(tmp_path)
    assert (first.runs_read, second.runs_read) == (3, 0)
    assert first.rows.astype(str).equals(second.rows.astype(str))
    (cell, *_) = history.series(second, "box-1")
    records: list[Any] = list(run_of_day(1).records)
    (record,) = [r for r in records if all(r[k] == v for k, v in cell.cell.items())]
    assert cell.seconds[0] == record["seconds"]["estimate"]
    assert len(cell.runs) == 3
    assert cell.runs[0] < cell.runs[2]


def test_an_older_run_that_comes_later_has_its_own_place(tmp_path: Path) -> None:
    """Add an older run to a cache of newer ones, as a run of another machine or branch does."""
    for day in (2, 3):
        storage.save_run(run_of_day(day), tmp_path)
    history.load(tmp_path)
    storage.save_run(run_of_day(1), tmp_path)
    (cell, *_) = history.series(history.load(tmp_path), "box-1")
    assert [run[:8] for run in cell.runs] == ["20261101", "20261102", "20261103"]


def test_a_run_that_changed_is_read_again_and_one_that_is_gone_is_dropped(tmp_path: Path) -> None:
    paths = saved(tmp_path)
    history.load(tmp_path)
    storage.save_run(run_of_day(2, drift=3.0), tmp_path)
    paths[0].unlink()
    again = history.load(tmp_path)
    assert again.runs_read == 1
    (cell, *_) = history.series(again, "box-1")
    assert len(cell.runs) == 2
    assert cell.seconds[0] / cell.seconds[1] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("harm", [b"", b"PAR1 no table PAR1", b"{}"])
def test_a_cache_that_cannot_be_read_is_made_anew(tmp_path: Path, harm: bytes) -> None:
    saved(tmp_path)
    history.load(tmp_path)
    (tmp_path / history.CACHE).write_bytes(harm)
    assert history.load(tmp_path).runs_read == 3
    assert history.load(tmp_path).runs_read == 0


def test_a_folder_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)

    def full(_: Any) -> None:
        raise RecordError("no space left")

    monkeypatch.setattr(storage, "write_whole", full)
    assert history.load(tmp_path).runs_read == history.load(tmp_path).runs_read == 3


def test_a_file_that_is_no_run_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = saved(tmp_path)
    paths[1].write_text("{")
    assert list(history.load(tmp_path).unread) == [str(paths[1].relative_to(tmp_path))]
    assert main(["history", f"--results={tmp_path}"]) == 0
    printed = capsys.readouterr()
    assert "left out box-1/20261102T010203-ab12cd.json" in printed.err
    assert "machine box-1: 2 runs" in printed.out


def test_machines_are_never_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path)
    storage.save_run(run_of_day(20, drift=5.0, machine="box-2"), tmp_path)
    kept = history.load(tmp_path)
    assert history.machines(kept) == {"box-2": 1, "box-1": 3}
    assert all(len(one.runs) == 1 for one in history.series(kept, "box-2"))
    assert main(["history", f"--results={tmp_path}", "--machine=box-3"]) == 2
    said = capsys.readouterr().err
    assert "no run of machine 'box-3'; did you mean 'box-2'?" in said
    assert "(there are runs of box-2, box-1)" in said


def test_the_frozen_reference_is_that_of_the_session(tmp_path: Path) -> None:
    for day in (1, 2):
        run = run_of_day(day)
        run.settings["product_seconds"] = {"torch cpu float32": [2e-4, 3e-4 * day, 9e-4]}
        storage.save_run(run, tmp_path)
    series_of = {
        one.cell["framework"]: one for one in history.series(history.load(tmp_path), "box-1")
    }
    assert series_of["torch"].reference_seconds.tolist() == pytest.approx([3e-4, 6e-4])
    assert np.isnan(series_of["jax"].reference_seconds).all()


# Changes


def noise(count: int, phi: float = 0.0, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 0.03, count)
    for i in range(1, count):
        values[i] = phi * values[i - 1] + values[i] * np.sqrt(1 - phi**2)
    return values


def test_a_step_is_found_where_it_is() -> None:
    level = noise(60)
    level[40:] += np.log(1.2)
    (change,) = change_points.changes(level)
    assert abs(change.at - 40) <= 1
    assert change.ratio == pytest.approx(1.2, rel=0.03)


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_unchanged_series_rarely_alarm(phi: float) -> None:
    alarms = sum(bool(change_points.changes(noise(60, phi, seed))) for seed in range(300))
    assert alarms <= 9  # 3 %, with 1 % expected at most


def test_a_change_too_small_to_matter_is_none() -> None:
    level = noise(100) / 100
    level[50:] += np.log(1.02)
    assert change_points.changes(level) == []


def test_one_bad_run_is_no_change() -> None:
    level = noise(60)
    level[30] += np.log(3.0)
    assert change_points.changes(level) == []


def test_a_few_runs_or_a_constant_one_tell_nothing() -> None:
    assert change_points.changes([0.0] * 4 + [1.0] * 3) == []
    assert change_points.changes([0.0] * 50) == []


def test_the_machine_s_drift_is_taken_out_with_the_frozen_reference() -> None:
    drift = np.exp(noise(60) * 5)
    seconds = 2e-3 * np.exp(noise(60, seed=1)) * drift
    level = change_points.level_of(seconds, 1e-4 * drift)
    assert np.std(level) < 0.04 < 0.1 < np.std(np.log(seconds))
    gap = (1e-4 * drift).copy()
    gap[3] = np.nan
    assert np.array_equal(change_points.level_of(seconds, gap), np.log(seconds))


# What is shown


@pytest.fixture
def stepped(tmp_path: Path) -> Path:
    """24 days; from the 13th on everything takes 1.5 times as long."""
    for day in range(1, 25):
        storage.save_run(run_of_day(day, drift=1.5 if day > 12 else 1.0, seed=day), tmp_path)
    return tmp_path


def test_a_change_is_shown_with_the_command_that_makes_sure(
    stepped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", f"--results={stepped}", "--framework=torch"]) == 0
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if "cascade-bench" not in line]
    assert max(map(len, lines)) <= 100
    assert "since 20261113T010203 (bbbbbbbbb)" in printed
    commands = [line.strip() for line in printed.splitlines() if "cascade-bench regress" in line]
    assert len(commands) == history_table.SHOWN
    assert "more: --json has them all" in printed
    assert "jax" not in printed.split("to be sure")[0]
    options = cli.build_parser().parse_args(
        shlex.split(commands[0])[1:]
    )  # whole, however long the line
    assert (options.base, options.head) == ("a" * 12, "b" * 12)
    assert (options.framework, options.device) == (["torch"], "cpu")
    assert "--device=cpu" in commands[0]  # the default, and not that of every cell
    assert None not in (
        options.kind,
        options.scenario,
        options.variant,
        options.size,
        options.strategy,
    )


def test_the_json_has_every_time(stepped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", f"--results={stepped}", "--changed", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert all(len(one["seconds"]) == 24 for one in document)
    assert document[0]["changes"][-1]["run"].startswith("20261113")
    assert document[0]["changes"][-1]["ratio"] == pytest.approx(1.5, rel=0.02)


def test_a_change_within_one_commit_has_no_command() -> None:
    one = history.Series({}, "box", ["r1", "r2"], ["", ""], ["c", "c"], np.ones(2), np.ones(2))
    line = history_table.CellHistory(one, [change_points.Change(1, 1.5)])
    assert history_table.confirming_command(line) is None
    dirty = history.Series({}, "box", ["r1", "r2"], ["", ""], ["c", "d+"], np.ones(2), np.ones(2))
    assert (
        history_table.confirming_command(
            history_table.CellHistory(dirty, [change_points.Change(1, 1.5)])
        )
        is None
    )


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ("aaaa bbbb", ("a", "b")),
        ("abcd efgh", ("b", "g")),  # two runs further apart than where it was found
        ("abcd+ e+f+gh", ("b", "g")),
        ("ab+cd efg+h", ("a", "h")),  # … and from a tree without changes
        ("a+b+cd ef+g+h+", ("c", "e")),  # else nearer
        ("aaaa aaaa", None),
        ("a+b+c+d+ efgh", None),
    ],
)
def test_the_commits_to_measure_are_on_either_side_for_sure(
    commits: str, expected: tuple[str, str] | None
) -> None:
    of_runs = [12 * one[0] + one[1:] for one in re.findall(r"\w\+?", commits)]
    assert len(of_runs) == 8
    whose = dict.fromkeys(("kind", *history_table.NAMED, "device"), "x")
    one = history.Series(whose, "box", ["r"] * 8, [""] * 8, of_runs, np.ones(8), np.ones(8))
    command = history_table.confirming_command(
        history_table.CellHistory(one, [change_points.Change(4, 1.5)])
    )
    assert (
        command is None
        if expected is None
        else shlex.split(str(command))[2:4] == [12 * c for c in expected]
    )


def test_of_how_many_cells_the_drift_is_out_is_told() -> None:
    def line(frozen: list[float]) -> history_table.CellHistory:
        nothing = [""] * len(frozen)
        ones = np.ones(len(frozen))
        return history_table.CellHistory(
            history.Series({}, "box", nothing, nothing, nothing, ones, np.array(frozen)), []
        )

    whole, gap = line([1.0, 2.0]), line([1.0, np.nan])
    assert "out of 2 of these 2 before a change is looked for." in history_table.drift_note(
        [whole] * 2
    )
    note = history_table.drift_note([whole, gap, gap])
    assert "out of 1 of these 3 before" in note
    assert "of the others some run has no frozen reference" in note


def test_sparklines_show_steps_and_leave_noise_flat() -> None:
    assert history_table.sparkline([1.0, 1.0, 2.0, 4.0]) == "▁▁▅█"
    flat = history_table.sparkline([1.0, 1.01, 0.99, 1.0])
    assert max(map(history_table.BARS.index, flat)) - min(map(history_table.BARS.index, flat)) <= 2
    assert len(history_table.sparkline([1.0] * 99)) == history_table.MOST


def test_without_runs_it_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", f"--results={tmp_path}"]) == 2
    assert "measure one with" in capsys.readouterr().err


def test_where_no_run_can_be_read_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in saved(tmp_path):
        path.write_text("{")
    assert main(["history", f"--results={tmp_path}"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("left out") == 3
    assert printed.rstrip().splitlines()[-1].startswith("cascade-bench: no run under ")


def test_a_selection_without_a_time_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path)
    assert main(["history", f"--results={tmp_path}", "--scenario=gan"]) == 2
    assert "no saved cell has --scenario 'gan'" in capsys.readouterr().err
    storage.save_run(run("20261129T010203-ab12cd"), tmp_path / "untimed")
    assert main(["history", f"--results={tmp_path / 'untimed'}", "--framework=all"]) == 2
    assert "no cell of this selection has a time" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.serial
def test_ten_thousand_records_load_and_draw_in_five_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"scenario_{i}" for i in range(15))
    made = whole_run(scenarios=names)
    runs = -(-10_000 // len(made.records))
    for day in range(runs):
        run_id = f"2026{1 + day // 28:02d}{1 + day % 28:02d}T010203-ab12cd"
        storage.save_run(dataclasses.replace(made, id=run_id), tmp_path)

    def read() -> float:
        start = time.process_time()
        assert main(["history", f"--results={tmp_path}"]) == 0
        return time.process_time() - start

    assert read() < 10.0  # the first time, every JSON is read
    assert least_reading(read, bar=5.0) < 5.0
    assert f"{runs} runs" in capsys.readouterr().out
