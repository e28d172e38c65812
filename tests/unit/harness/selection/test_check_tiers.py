"""The fast tier of the checks holds what it promises, and leaves nothing of a user's own out."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import check_tiers
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from benchmarks.scenarios.spec import Variant

FAMILIES = sorted({scenario.family for scenario in CATALOGUE.values()})
OPTIMIZERS = ("adam_with_l2", "adamw", "momentum_with_decay")


def collected(*arguments: str) -> set[str]:
    """Return the ids of the checks that pytest selects, without their folder."""
    command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-skip", "--collect-only"]
    done = subprocess.run(
        [*command, "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line for line in done.stdout.splitlines() if "::" in line)
    return {line.rpartition("::")[2] for line in lines}


@pytest.fixture(scope="module")
def every() -> set[str]:
    return collected()


@pytest.fixture(scope="module")
def fast() -> set[str]:
    return collected("-m", "not slow")


def functions(ids: set[str]) -> set[str]:
    return {one.partition("[")[0] for one in ids}


def with_parameters(ids: set[str], function: str) -> set[str]:
    """Return what stands in the brackets of a function's ids."""
    return {one.partition("[")[2].rstrip("]") for one in ids if one.startswith(f"{function}[")}


def variants_of(family: str) -> list[tuple[str, str, Variant]]:
    return [
        (name, label, variant)
        for name, scenario in CATALOGUE.items()
        for label, variant in scenario.variants.items()
        if scenario.family == family
    ]


def test_every_check_but_those_named_is_in_it_at_least_once(
    every: set[str], fast: set[str]
) -> None:
    assert fast < every
    left_out = {*check_tiers.COMPILED, *check_tiers.WHOLE_KINDS}
    assert functions(every) - functions(fast) == left_out


@pytest.mark.parametrize(
    "function",
    [
        "names_and_shapes_are_the_specs",
        "flow_is_as_declared_per_loss",
        "reference_is_confirmed_by_central_differences",
    ],
)
def test_every_variant_but_those_left_out_is_in_it_in_both_frameworks(
    fast: set[str], function: str
) -> None:
    expected = {
        f"{name}-{label}-{scenario.check_sizes[0]}-{framework}"
        for name, scenario in CATALOGUE.items()
        for label in scenario.variants
        for framework in FRAMEWORKS
        if (name, label) not in check_tiers.LEFT_OUT
    }
    assert with_parameters(fast, f"test_{function}") == expected
    assert {one.partition("-")[0] for one in expected} == set(CATALOGUE)


def test_references_of_both_frameworks_are_compared_in_every_scenario(fast: set[str]) -> None:
    compared = with_parameters(fast, "test_float64_references_agree_between_frameworks")
    assert {one.partition("-")[0] for one in compared} == set(CATALOGUE)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_strategy_of_a_family_is_in_it_in_both_precisions(
    fast: set[str], family: str, framework: str
) -> None:
    chosen = with_parameters(fast, "test_every_strategy_gives_the_reference")
    several = [one for one in variants_of(family) if len(one[2].flow) > 1]
    for strategy in cells.STRATEGIES[framework]:
        possible = {
            f"{name}-{label}-{CATALOGUE[name].check_sizes[0]}-{framework}"
            for name, label, variant in several
            if variant.reason_against(framework, strategy) is None
        }
        for precision in ("float64-gradient", "float32-backward"):
            proven = {one for one in possible if f"{one}-{precision}" in chosen}
            assert proven or not possible, (strategy, precision)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_recipe_of_a_family_is_in_it(fast: set[str], family: str, framework: str) -> None:
    gradients = with_parameters(
        fast, "test_every_recipe_gives_the_gradients_it_should_and_no_others"
    )
    still = with_parameters(
        fast, "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework"
    )
    for recipe in cells.RECIPES[framework][1:]:
        possible = {
            f"{name}-{label}-{CATALOGUE[name].freeze_size}"
            for name, label, variant in variants_of(family)
            if variant.frozen
            and variant.reason_against(framework, recipe) is None
            and (variant.frozen_in_front or recipe not in cells.FRONT_ONLY)
        }
        proven = {one for one in possible if f"{one}-{framework}" in gradients}
        proven = {one for one in proven if f"{one}-{check_tiers.DECAYING}" in still}
        assert proven or not possible, recipe


def test_every_scenario_that_freezes_keeps_still_under_one_optimizer(
    every: set[str], fast: set[str]
) -> None:
    function = "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework"
    freezing = {name for name, s in CATALOGUE.items() if any(v.frozen for v in s.variants.values())}
    proven = with_parameters(fast, function)
    assert {one.partition("-")[0] for one in proven} == freezing
    assert {one.rpartition("-")[2] for one in proven} == {check_tiers.DECAYING}
    assert {one.rpartition("-")[2] for one in with_parameters(every, function)} == set(OPTIMIZERS)


def test_a_training_of_every_family_is_in_it(every: set[str], fast: set[str]) -> None:
    function = "test_training_agrees_and_does_what_its_row_says"
    names = [{i.partition("-")[0] for i in with_parameters(ids, function)} for ids in (every, fast)]
    assert names[0] - names[1] == set(check_tiers.LONG_TRAININGS)
    assert {CATALOGUE[name].family for name in names[1]} == set(FAMILIES)


def test_all_traps_and_counts_are_in_it(every: set[str], fast: set[str]) -> None:
    whole = {
        name
        for file in ("backward_traps", "freeze_traps", "selection_traps", "counts", "runtime")
        for name in functions_of(f"test_{file}.py")
    }
    assert len(whole) > 30
    assert {one for one in every - fast if one.partition("[")[0] in whole} == set()


def functions_of(file: str) -> list[str]:
    lines = (ROOT / "benchmarks" / file).read_text().splitlines()
    return [line[4:].partition("(")[0] for line in lines if line.startswith("def test_")]


def test_nothing_of_a_users_own_scenario_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = CATALOGUE["stacked_cascade"]
    problem = {"several": ("stacked_cascade", "n16", "small")}
    assert not check_tiers.is_fast("test_every_strategy_gives_the_reference", problem)
    monkeypatch.setitem(CATALOGUE, spec.name, replace(spec, file=Path("net.py")))
    assert check_tiers.is_fast("test_every_strategy_gives_the_reference", problem)
    freezing = {"freezing": ("stacked_cascade", "frozen_net1", "seed"), "decaying": "adamw"}
    assert check_tiers.is_fast("test_frozen_keeps_still", freezing)


def test_the_tables_name_what_there_is() -> None:
    problems = {(name, label) for name, s in CATALOGUE.items() for label in s.variants}
    named = (check_tiers.LEFT_OUT, check_tiers.STRATEGIES, check_tiers.FREEZES)
    assert {problem for table in named for problem in table} <= problems
    assert set(check_tiers.LONG_TRAININGS) <= set(CATALOGUE)
    trainings = {training.name for s in CATALOGUE.values() for training in s.trainings}
    assert set(check_tiers.LIKE_A_SHORTER_ONE) <= trainings
    assert set(check_tiers.COMPILED) <= set(functions_of("test_modes.py"))


def test_a_check_without_a_problem_is_in_it() -> None:
    assert check_tiers.is_fast("test_both_get_the_same_cores_and_full_precision", {})
