"""Test ``cascade-bench`` from the command line: output, exit codes, one line for a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.commands import list as list_command
from benchmarks.machine import environment


def test_list_shows_every_scenario_with_its_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for text in ("conv_cascade_single", "loss2 → net1, net2", "loss1 → none", "frozen: net1"):
        assert text in shown
    assert "separate_pullbacks" in shown


def test_list_json_is_a_list_of_objects_with_the_agreed_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == [
        "conv_cascade",
        "conv_cascade_single",
        "linear_cascade",
        "scaled_cascade",
        "severed_cascade",
        "three_network_cascade",
        "stacked_cascade",
        "two_player",
        "gan",
        "autoencoder",
        "frozen_second_network",
        "attention_on_frozen_backbone",
        "frozen_prefix",
        "frozen_in_constructor",
        "only_new_layer",
        "staged_unfreeze",
        "lenet_module_rates",
        "lenet_layer_rates",
        "rate_decay",
        "low_rank_adapters",
        "early_exit",
        "shared_backbone",
        "straight_through",
        "momentum_teacher",
    ]
    keys = {"name", "variants", "frameworks", "strategies", "recipes", "sizes"}
    assert all(keys <= set(one) for one in listed)
    described = {one["name"]: one for one in listed}
    assert described["gan"]["variants"] == ["turn_d", "turn_g", "turn_g_fresh"]
    assert described["gan"]["flow"]["turn_d"] == {"loss_real": ["D"], "loss_fake": ["D"]}
    assert described["gan"]["frozen"]["turn_d"] == ["G"]
    assert "requires_grad_false" in described["gan"]["recipes"]["torch"]
    assert "partition" in described["gan"]["recipes"]["jax"]
    assert described["rate_decay"]["recipes"] == {"torch": [], "jax": []}


def test_list_cost_says_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--cost", "--scenario", "linear_cascade", "--size", "seed"]) == 0
    shown = capsys.readouterr().out
    assert "10 cells in 4 groups" in shown
    assert " min" in shown


def test_list_cost_takes_memory_into_account(capsys: pytest.CaptureFixture[str]) -> None:
    minutes = []
    for extra in ([], ["--memory"]):
        assert main(["list", "--cost", "--scenario", "linear_cascade", *extra]) == 0
        minutes.append(float(capsys.readouterr().out.partition("about ")[2].split()[0]))
    assert minutes[1] - minutes[0] == pytest.approx(10 * 2.3 / 60, abs=0.1)  # of 10 cells


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--scenario", "linear_cascad"], "did you mean 'linear_cascade'?"),
        (["report", "no/such/run.json"], "no/such/run.json"),
        (["report", "--results", "no/such/folder"], "pytest benchmarks --benchmark-only"),
    ],
)
def test_mistake_gets_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_report_of_a_file_that_is_no_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"cut.json": '{"schema": 1, "rec', "other.json": "[1, 2]"}.items():
        (tmp_path / name).write_text(text)
        assert main(["report", str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function after which these packages, and no others, are not installed."""

    def hide(*packages: str) -> None:
        monkeypatch.setattr(
            environment, "installed", lambda name: None if name in packages else "1.2.3"
        )

    return hide


def test_cost_is_that_of_what_can_run_here(
    capsys: pytest.CaptureFixture[str], without: Callable[..., None]
) -> None:
    command = ["list", "--cost", "--scenario=linear_cascade", "--size=seed"]
    counts = []
    for missing in ((), ("optax",), ("torch",)):
        without(*missing)
        assert main(command) == 0
        shown = capsys.readouterr().out
        counts.append(int(shown.rpartition(" cells in ")[0].split()[-1]))
        assert ("cells left out: jax needs optax, not installed here" in shown) == (
            "optax" in missing
        )
    assert counts[0] == counts[1] + counts[2]
    without("torch", "jax", "flax", "optax")
    assert main(command) == 2
    assert "no framework is installed here; install one" in capsys.readouterr().err


def test_list_marks_what_is_not_installed(
    capsys: pytest.CaptureFixture[str], without: Callable[..., None]
) -> None:
    without("torch")
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^torch is not installed here: pip install -e \S+\[torch\]'$", shown, re.M)
    assert "jax is not" not in shown


def test_list_is_of_the_device_that_a_session_would_measure_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for device, code in (("cpu", 2), ("cuda", 0)):
        monkeypatch.setattr(list_command, "default_device", lambda device=device: device)
        assert main(["list", "--size", "gpu"]) == code
        capsys.readouterr()
    for device, sizes in (("cpu", "small"), ("cuda", "seed, medium")):
        assert main(["list", "--device", device]) == 0
        assert f"(default: {sizes})" in capsys.readouterr().out
