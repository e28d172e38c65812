"""Test ``cascade-bench doctor`` from end to end; the fake framework replaces torch and jax."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.commands import doctor
from benchmarks.commands.doctor_output import printable
from benchmarks.harness.measurement import aa_comparison
from benchmarks.harness.worker import clock
from benchmarks.machine import environment, releases

Measured = Callable[..., dict[str, Any]]


@pytest.fixture
def fake_only(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the doctor measure the fake framework only, in few launches."""
    monkeypatch.setattr(doctor, "FRAMEWORKS", ("fake",))
    monkeypatch.setattr(doctor, "NEEDED", {"fake": ()})
    monkeypatch.setattr(doctor, "LAUNCHES", 2)
    monkeypatch.setattr(doctor, "default_device", lambda: "cpu")  # also where a GPU is
    monkeypatch.setattr(doctor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(aa_comparison, "SIZES", ("seed", "small"))  # quicker than the real ones


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str | None]], None]:
    """Return a function that sets the installed versions; nothing is measured."""

    def install(versions: dict[str, str | None]) -> None:
        monkeypatch.setattr(environment, "installed", versions.get)

    monkeypatch.setattr(doctor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(aa_comparison, "compare", lambda *_, **__: iter(()))
    return install


@pytest.mark.slow
@pytest.mark.usefixtures("fake_only")
def test_doctor_measures_an_unchanged_pair_and_says_how_noisy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--seconds", "0.2"]) == 0
    shown = capsys.readouterr().out
    for text in ("what disturbs measuring", "other processes", "fake seed", "fake small"):
        assert text in shown
    assert "count as equal within ±" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.usefixtures("fake_only")
def test_json_is_one_object_with_every_figure_or_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", "--seconds", "0.2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {one["state"] for one in report["findings"]} <= {"ok", "warning", "unknown"}
    assert report["machine"]["id"]
    assert [one["size"] for one in report["noise"]] == ["seed", "small"]
    for one in report["noise"]:
        assert one["outcome"] == "ok"
        assert all(one[name] is not None for name in aa_comparison.FIGURES)
        assert 0 < one["sd_low"] < one["sd"] < one["sd_high"]
        assert list(one["half_width"]) == ["6", "10", "16"]
    assert report["margin"] in (0.01, 0.02)
    assert report["missing"] == {}


@pytest.mark.usefixtures("fake_only")
def test_copy_that_cannot_be_timed_leaves_no_figure_and_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aa_comparison, "COPIES", ("summed", "scaled@2"))
    monkeypatch.setattr(aa_comparison, "SIZES", ("seed",))
    assert main(["doctor", "--seconds", "0.1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["noise"][0]["outcome"] == "wrong_gradients"
    assert "net2.linear.weight" in report["noise"][0]["why"]
    assert {report["noise"][0][name] for name in aa_comparison.FIGURES} == {None}
    assert report["margin"] is None
    assert report["missing"]["margin"] == "no cell could be timed"


def test_without_frameworks_it_says_so(
    capsys: pytest.CaptureFixture[str], packages: Callable[..., None]
) -> None:
    packages({})
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("not installed") >= 4
    assert "pip install -e '" in shown.replace("\n", "")
    assert "constraints" not in shown  # these would replace a release that the user chose
    assert "no framework is installed, so nothing can be measured" in shown


def test_one_framework_in_a_version_that_was_not_tested(
    capsys: pytest.CaptureFixture[str], packages: Callable[..., None]
) -> None:
    packages({"torch": "2.9.1", "jax": "0.10.2"})
    assert doctor.present_frameworks() == ["torch"]
    assert main(["doctor", "--json"]) == 0
    states = {o["name"]: o for o in json.loads(capsys.readouterr().out)["frameworks"]}
    assert {name: one["state"] for name, one in states.items()} == {
        "torch": "warning", "jax": "ok", "flax": "warning", "optax": "warning",
    }  # fmt: skip
    tested = releases.in_words(releases.tested_ranges()["torch"])
    assert states["torch"]["found"] == f"2.9.1, not tested ({tested}); it may work"


@pytest.mark.parametrize(
    "option", ["--seconds=0", "--seconds=-1", "--seconds=nan", "--seconds=inf", "--device=cuda"]
)
def test_impossible_option_gets_one_line_and_exit_code_2(
    option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "default_device", lambda: "cpu")
    assert main(["doctor", option]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert option.partition("=")[0] in captured.err


@pytest.mark.usefixtures("fake_only")
def test_ctrl_c_ends_with_one_line_and_what_was_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(aa_comparison, "compare", stopped)
    assert main(["doctor"]) == 130
    captured = capsys.readouterr()
    assert "what disturbs measuring" in captured.out
    assert captured.err == "cascade-bench: stopped before the noise was measured\n"


def test_names_of_processes_cannot_write_on_the_terminal() -> None:
    assert printable("\x1b[31mred\n") == "?[31mred?"


def test_long_measuring_is_cut_into_stretches_as_a_run_measures() -> None:
    assert aa_comparison.RUN_SECONDS == clock.CELL_SECONDS  # what a session does by default
    samples = [[[1.0] * 40] * 2] * 2
    assert aa_comparison._stretches(samples, 0.9 * aa_comparison.RUN_SECONDS) == 1
    assert aa_comparison._stretches(samples, 4.2 * aa_comparison.RUN_SECONDS) == 4
    assert aa_comparison._stretches(samples, 10.0) == 10  # four blocks are a run's least
