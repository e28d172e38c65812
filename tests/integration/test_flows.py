"""Test that every session proves, once for each variant, which loss changes which network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.protocol import flow
from benchmarks.machine.environment import installed
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from tests.helpers.fake_framework import Measure
from tests.helpers.fake_sessions import only_run, session

UNTIMED: dict[str, Any] = {"launches": 1, "seconds": 0.0}
ROW_3 = {"loss1": {"net1": "value", "net2": "absent"}, "loss2": {"net1": "value", "net2": "value"}}


def test_network_is_as_strong_as_the_strongest_of_its_parameters() -> None:
    states = {"net1.w": "zero", "net1.b": "absent", "net10.w": "value", "net2.w": "absent"}
    networks = ("net1", "net10", "net2")
    assert flow.matrix({"loss1": states}, networks) == {
        "loss1": {"net1": "zero", "net10": "value", "net2": "absent"}
    }
    assert flow.matrix({"loss1": {}}, ("net1",)) == {"loss1": {"net1": "absent"}}


def test_tied_tensor_has_one_flow_in_every_network_that_holds_it() -> None:
    states = {"lm": {"emb.weight": "value"}, "act": {"emb.weight": "absent"}}
    networks = {"emb": {}, "out": {"tied": [["out.weight", "emb.weight"]]}}
    assert flow.of_case(states, networks) == {
        "lm": {"emb": "value", "out": "value"},
        "act": {"emb": "absent", "out": "absent"},
    }


def test_loss_that_reaches_nothing_trained_must_be_absent_everywhere() -> None:
    spec = CATALOGUE["stacked_cascade"]
    assert flow.reaching_nothing(spec, "frozen_net1") == ["loss1"]
    assert flow.reaching_nothing(spec, "frozen_net2") == []
    assert flow.reaching_nothing(spec, "n2") == []
    layers = tuple(f"net1.linear{i}" for i in (1, 2, 3))  # one by one, and not the network
    variant = replace(spec.variants["frozen_net1"], frozen=layers)
    by_layer = replace(spec, variants={"-": variant})
    assert flow.reaching_nothing(by_layer, "-") == ["loss1"]
    for framework in FRAMEWORKS:
        for state, right in (("absent", True), ("zero", False), ("value", False)):
            states = {"loss1": {"net2.linear1.weight": state}}
            mistakes = list(flow.mistakes(states, by_layer, "-", framework))
            assert (mistakes == []) == right


def test_flow_is_proven_once_for_each_variant_whatever_the_size_kind_and_phase(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations: list[str] = []
    ask = Launch.ask

    def watch(launch: Launch, op: str, *rest: Any, **arguments: Any) -> Any:
        operations.append(op)
        return ask(launch, op, *rest, **arguments)

    monkeypatch.setattr(Launch, "ask", watch)
    groups: list[dict[str, str]] = [{}, {"phase": "step"}, {"size": "small"}, {"size": "seed"}]
    for changes in groups:
        measured("summed", **UNTIMED, **changes)
        assert measured.about["flows"] == {"fake": ROW_3}
    assert operations.count("flow") == 1


@pytest.mark.slow
def test_flow_of_both_frameworks_is_told_in_their_own_words(measured: Measure) -> None:
    if not all(installed(framework) for framework in FRAMEWORKS):
        pytest.skip("it takes both frameworks")
    where = UNTIMED | {"framework": "torch", "references": list(FRAMEWORKS)}
    where["scenario"] = "stacked_cascade"
    whole = measured("summed", variant="n2", **where)
    assert whole["summed"]["outcome"] == "ok", whole["summed"]["why"]
    in_jax = {**ROW_3, "loss1": {"net1": "value", "net2": "zero"}}
    assert measured.about["flows"] == {"torch": ROW_3, "jax": in_jax}
    measured("unfrozen", variant="frozen_net1", kind="freeze", **where)
    proven = {
        "loss1": {"net1": "absent", "net2": "absent"},  # left out of every strategy
        "loss2": {"net1": "absent", "net2": "value"},
    }
    assert measured.about["flows"] == {"torch": proven, "jax": proven}


@pytest.mark.slow
def test_loss_of_ours_that_reaches_less_than_declared_gets_no_times(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declare a wrong flow, so that the gradients are right and the scenario is not."""
    if installed("torch") is None:
        pytest.skip("torch is not installed")
    spec = CATALOGUE["linear_cascade"]
    both = dict.fromkeys(("loss1", "loss2"), ("net1", "net2"))
    wrong_variant = {"-": replace(spec.variants["-"], flow=both)}
    monkeypatch.setitem(CATALOGUE, spec.name, replace(spec, variants=wrong_variant))
    outcomes = measured("summed", **UNTIMED, framework="torch", references=["torch"])
    assert outcomes["summed"]["outcome"] == "wrong_gradients"
    assert outcomes["summed"]["why"] == (
        "impl_torch/cascade.py: linear_cascade: the flow does not hold: "
        "loss1 → net2.linear.weight: absent, should be value, and 1 more"
    )
    assert measured.about["flows"] == {}


@pytest.mark.slow
def test_session_keeps_the_flow_that_it_proved(tmp_path: Path) -> None:
    done = session(f"--results={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert only_run(tmp_path).settings["flows"] == {"linear_cascade/-": {"torch": ROW_3}}


@pytest.mark.slow
def test_session_in_which_the_flow_of_ours_is_wrong_has_no_times(tmp_path: Path) -> None:
    done = session(f"--results={tmp_path}", FAKE_FLOW="severed")
    assert done.returncode == 1, done.stdout + done.stderr
    run = only_run(tmp_path)
    assert {record["outcome"] for record in run.records} == {"wrong_gradients"}
    assert run.samples == {}
    assert run.settings["flows"] == {}
    assert "loss2 → net1.linear.weight: absent, should be value, and 1 more" in done.stdout
