"""The cells that options select, how a cell is named, and the message for a wrong name."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import LIKE_ANOTHER, Selection, SelectionError
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.spec import Variant


def test_default_is_what_the_documentation_says() -> None:
    chosen = Selection().cells()
    assert {c.size for c in chosen} == {"small"}
    assert {c.variant for c in chosen if c.scenario == "three_network_cascade"} == {"plain"}
    assert {c.variant for c in chosen if c.scenario == "stacked_cascade"} == {"n2", "n4"}
    ways = {(c.phase, c.strategy) for c in chosen if c.kind == "backward"}
    assert ways == {
        ("backward", "summed"),
        ("backward", "separate_retained"),
        ("backward", "boundary_split"),
        ("gradient", "summed"),
        ("gradient", "reforward"),
    }
    recipes = {(c.framework, c.strategy) for c in chosen if c.kind == "freeze"}
    assert recipes == {
        ("torch", "unfrozen"),
        ("torch", "requires_grad_false"),
        ("torch", "no_grad_forward"),
        ("torch", "optimizer_only"),
        ("jax", "unfrozen"),
        ("jax", "grad_of_trainable"),
        ("jax", "partition"),
        ("jax", "chain_freeze"),
    }
    assert {c.phase for c in chosen if c.kind == "freeze"} == {"step"}
    counts = {kind: sum(1 for c in chosen if c.kind == kind) for kind in cells.KINDS}
    assert counts == {"backward": 90, "freeze": 88, "distributed": 0}
    assert sum(1 for c in chosen if c.unsupported_reason()) == 7


def test_networks_of_another_scenario_are_timed_in_the_backward_pass_alone_unless_named() -> None:
    def gradients(selection: Selection) -> set[str]:
        return {c.scenario for c in selection.cells() if c.phase == "gradient"}

    repeated = set(LIKE_ANOTHER)
    assert {"severed_cascade", "shared_backbone", "straight_through"} < repeated
    every = {c.scenario for c in Selection().cells() if c.kind == "backward"}
    assert gradients(Selection()) == every - repeated
    for named in (
        Selection(scenario=tuple(every)),
        Selection(size=("small",)),
        Selection(phase=("gradient",)),
        Selection(strategy=("reforward",)),
        Selection(everything=True),
    ):
        assert repeated <= gradients(named)


def test_size_on_a_gpu_is_not_that_of_a_cpu() -> None:
    assert {c.size for c in Selection(device="cuda").cells()} == {"seed", "medium"}


def test_recipe_is_measured_in_a_step_unless_another_phase_is_asked_for() -> None:
    chosen = Selection(scenario=("gan",), strategy=("detach",)).cells()
    assert {(c.kind, c.phase, c.strategy) for c in chosen} == {
        ("freeze", "step", "unfrozen"),
        ("freeze", "step", "detach"),
    }
    other = Selection(scenario=("gan",), strategy=("detach",), phase=("all",)).cells()
    assert {c.phase for c in other} == {"gradient", "step"}
    reasons = {c.variant: c.unsupported_reason() for c in chosen if c.strategy == "detach"}
    assert reasons["turn_d"] is None
    assert "does not stand in front" in (reasons["turn_g"] or "")


def test_where_one_loss_is_all_there_is_only_the_baseline_is_measured_and_only_if_asked() -> None:
    default = {c.scenario for c in Selection().cells()}
    assert "rate_decay" not in default
    selection = Selection(scenario=("rate_decay",), phase=("step",)).cells()
    assert {(c.kind, c.strategy) for c in selection} == {("backward", "summed")}


def test_scenario_asked_for_by_name_brings_what_it_freezes() -> None:
    for name in ("two_player", "staged_unfreeze"):
        chosen = Selection(scenario=(name,), kind=("freeze",)).cells()
        variants = CATALOGUE[name].variants
        assert {c.variant for c in chosen} == {v for v in variants if variants[v].frozen}


def test_every_cell_has_a_name_of_its_own() -> None:
    everything = Selection(everything=True).cells()
    assert len({cell.id for cell in everything}) == len(everything) > 1000


def test_name_holds_every_field() -> None:
    one = Selection(
        scenario=("stacked_cascade",),
        variant=("n4",),
        size=("large",),
        framework=("torch",),
        strategy=("separate_retained",),
    ).cells()[-1]
    expected = "stacked_cascade-n4-large-torch-eager-separate_retained-backward-cpu-float32"
    assert one.id == expected


def test_strategy_takes_its_natural_phase_and_brings_its_baseline() -> None:
    chosen = Selection(scenario=("linear_cascade",), strategy=("batched", "reforward")).cells()
    ways = {(c.framework, c.phase, c.strategy) for c in chosen}
    for framework in ("torch", "jax"):
        for phase, strategy in (("backward", "batched"), ("gradient", "reforward")):
            assert (framework, phase, strategy) in ways
            assert (framework, phase, "summed") in ways
    assert len(ways) == 8


def test_rerun_selects_just_this_cell_and_its_baseline() -> None:
    for cell in Selection(phase=("all",), strategy=("all",)).cells()[::37]:
        words = dict(word[2:].split("=") for word in cell.rerun_command().split() if "=" in word)
        device = words.pop("device")
        chosen: dict[str, Any] = {name: (value,) for name, value in words.items()}
        again = Selection(**chosen, device=device)
        assert {c.strategy for c in again.cells()} == {cell.strategy, cell.baseline}
        assert cell in again.cells()


def test_what_asking_for_the_gradient_of_nothing_does_is_declared() -> None:
    for scenario in CATALOGUE.values():
        empty = {
            (framework, name, loss)
            for name, variant in scenario.variants.items()
            for loss, changed in variant.allowed.items()
            if not changed
            for framework in FRAMEWORKS
        }
        declared = {(e.framework, e.variant, e.loss) for e in scenario.expected}
        assert declared == empty, scenario.name


def test_size_gpu_is_never_on_a_cpu() -> None:
    assert "gpu" not in {c.size for c in Selection(size=("all",)).cells()}
    with pytest.raises(SelectionError, match="never on a CPU"):
        Selection(size=("gpu",))
    assert {c.size for c in Selection(size=("gpu",), device="cuda").cells()} == {"gpu"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("scenario", "linear_cascad", "did you mean 'linear_cascade'?"),
        ("size", "huge", "allowed: seed, small, medium, large, large_batch32, gpu, all"),
        ("strategy", "sumed", "did you mean 'summed'?"),
        ("framework", "tensorflow", "allowed: torch, jax, all"),
        ("variant", "n3", "--variant 'n3' is unknown"),
        ("phase", "forward", "allowed: backward, gradient, step, all"),
        ("mode", "compiled", "allowed: eager, compile, compile_networks, jit, ddp_one,"),
    ],
)
def test_unknown_name_is_told_with_what_is_allowed(option: str, value: str, message: str) -> None:
    with pytest.raises(SelectionError) as raised:
        Selection(**{option: (value,)})  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_modes_are_measured_only_where_they_are_asked_for() -> None:
    default = {("torch", "eager"), ("jax", "jit")}
    every = default | {("torch", "compile"), ("torch", "compile_networks"), ("jax", "eager")}
    for selection, expected in (
        (Selection(), default),
        (Selection(strategy=("all",)), default),
        (Selection(mode=("all",)), every),
        (Selection(everything=True), every),
        (Selection(everything=True, mode=("jit",)), {("jax", "jit")}),
        (Selection(mode=("eager",)), {("torch", "eager"), ("jax", "eager")}),
    ):
        assert {(c.framework, c.mode) for c in selection.cells()} == expected, selection


def test_what_cannot_be_compiled_is_said_beforehand() -> None:
    chosen = Selection(scenario=("linear_cascade",), mode=("all",), strategy=("all",)).cells()
    impossible: dict[str, set[str]] = {}
    for cell in chosen:
        if cell.unsupported_reason():
            impossible.setdefault(f"{cell.framework} {cell.mode}", set()).add(cell.strategy)
    assert impossible == {
        "torch compile": {"batched", "functional", "boundary_split"},
        "torch compile_networks": {"batched", "functional"},
    }


def test_reason_is_given_for_what_cannot_exist() -> None:
    whole = Selection(everything=True).cells()
    reasons = {c.strategy: c.unsupported_reason() for c in whole if c.unsupported_reason()}
    assert "forward pass of its own" in (reasons["reforward"] or "")
    severed = Selection(scenario=("severed_cascade",), strategy=("all",)).cells()
    impossible = {(c.framework, c.strategy) for c in severed if c.unsupported_reason()}
    assert impossible == {
        ("torch", "boundary_split"),
        ("torch", "functional"),
        ("jax", "boundary_split"),
    }


def test_second_batch_of_size_large_is_of_one_scenario_and_in_no_default() -> None:
    narrow = Selection(size=("large_batch32",)).cells()
    assert {c.scenario for c in narrow} == {"stacked_cascade"}
    sizes = CATALOGUE["stacked_cascade"].sizes
    assert sizes["large_batch32"] == {**sizes["large"], "batch": 32}
    for chosen in (Selection(), Selection(scenario=("stacked_cascade",), kind=("backward",))):
        assert "large_batch32" not in {c.size for c in chosen.cells()}


def test_cost_knows_what_compiling_takes() -> None:
    where = {"scenario": ("linear_cascade",), "framework": ("torch",)}
    eager, compiled, by_network = (
        cost.estimate(Selection(mode=(mode,), **where), 6, 0.05)  # type: ignore[arg-type]
        for mode in ("eager", "compile", "compile_networks")
    )
    for estimate in (compiled, by_network):
        assert estimate.seconds > eager.seconds + 5.0 * estimate.cells  # of the first launch alone


def test_cost_counts_what_each_strategy_and_mode_walks_and_dispatches() -> None:
    chosen = Selection(
        scenario=("stacked_cascade",),
        variant=("n2", "n16"),
        size=("large",),
        framework=("jax",),
        mode=("all",),
        strategy=("summed", "separate_retained"),
    ).cells()
    seconds = {(c.variant, c.mode, c.strategy): cost.call_seconds(c) for c in chosen}
    for variant, times in (("n2", 3 / 2), ("n16", 136 / 16)):  # N(N + 1) / 2 stages against N
        summed = seconds[variant, "jit", "summed"]
        assert seconds[variant, "jit", "separate_retained"] == pytest.approx(times * summed)
        assert seconds[variant, "eager", "summed"] > summed


def test_cost_grows_with_what_is_selected() -> None:
    default = cost.estimate(Selection(), 6, 0.05)
    assert default.cells == 171
    assert default.unsupported == 7
    assert 100 < default.seconds < 300
    assert cost.estimate(Selection(everything=True), 6, 0.05).seconds > 10 * default.seconds
    assert cells.groups(Selection().cells()).keys() >= {c.group for c in Selection().cells()}


def test_network_that_is_frozen_by_a_shorter_name_may_not_be_changed() -> None:
    flow = {"loss": ("back.stem", "back.body", "backdrop", "head")}
    variant = Variant(networks=flow["loss"], flow=flow, frozen=("back", "head.last"))
    assert variant.allowed == {"loss": ("backdrop", "head")}
