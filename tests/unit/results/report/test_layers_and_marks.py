"""Layers of networks are told as they are; a way has one colour and shape, a size one shape."""

from __future__ import annotations

import pytest

from benchmarks.scenarios import CATALOGUE
from results.report import framework_counts
from results.report.build import build
from results.report.collection import collect
from results.report.drawing import FRAMEWORK_COLOURS, SHAPES, size_scale
from results.report.html import charts_of
from results.report.vocabulary import (
    LINEAR_ALONE,
    RECIPES,
    SIZES,
    STRATEGIES,
    VERDICT_COLOURS,
    WITH_ATTENTION,
    WITH_CONVOLUTIONS,
    layers_of,
)
from results.report.way_marks import WAY_MARKS, way_scales
from tests.helpers.factories.report_runs import later, whole_run
from tests.helpers.report_pages import section_of, tables, texts

pytest.importorskip("altair")
BASELINES = {"summed", "unfrozen"}  # no chart of ways has a mark for them


@pytest.mark.parametrize("name", CATALOGUE)
def test_layers_of_a_network_are_told_as_its_weights_show_them(name: str) -> None:
    scenario = CATALOGUE[name]
    for variant in scenario.variants:
        weights = scenario.parameters_of(variant, "seed")
        kernels = any(len(one.shape) > 2 for one in weights.values())
        keys = any(one.endswith("attention.key.weight") for one in weights)
        expected = WITH_CONVOLUTIONS if kernels else WITH_ATTENTION if keys else LINEAR_ALONE
        assert layers_of(f"{name} {variant}" if variant != "-" else name) == expected


def test_of_a_network_from_outside_the_suite_no_layers_are_told() -> None:
    assert layers_of("somebodys_network") == ""
    run = whole_run(scenarios=("somebodys_network",))
    section = section_of(run, "frameworks")
    assert section.title == "JAX is faster on 2 of 2 networks, torch on 0 (eager torch, jit JAX)"
    assert not any("layers" in table.title for table in tables(section))


def test_frameworks_are_told_apart_by_the_layers_of_the_networks() -> None:
    run = whole_run(scenarios=("conv_cascade", "linear_cascade"))
    pairs = framework_counts.layer_groups(collect([run])[0].pairs)
    assert list(pairs) == [WITH_CONVOLUTIONS, LINEAR_ALONE]
    section = section_of(run, "frameworks")
    assert section.title == (
        "With convolutions JAX is faster on 2 of 2 networks, torch on 0; with Linear layers alone "
        "JAX is faster on 2 of 2 networks, torch on 0 (eager torch, jit JAX)"
    )
    (table,) = [one for one in tables(section) if one.title.startswith("By the layers")]
    assert [[row[0], row[-1]] for row in texts(table)] == [
        [WITH_CONVOLUTIONS, "conv_cascade"],
        [LINEAR_ALONE, "linear_cascade"],
    ]


def test_lines_of_networks_with_convolutions_say_so() -> None:
    run = whole_run(scenarios=("conv_cascade", "linear_cascade"), variants=("n2",))
    (chart,) = [one for one in charts_of(build([run])) if one.name == "frameworks"]
    rows = [row for rows in chart.spec["datasets"].values() for row in rows]
    lines = {row["line"] for row in rows if "line" in row}
    assert {line.partition(" n2")[0] for line in lines} == {
        "conv · conv_cascade",
        "linear_cascade",
    }


def test_every_way_has_a_mark_of_its_own_in_no_colour_of_a_framework() -> None:
    ways = {way for group in (STRATEGIES, RECIPES) for names in group.values() for way in names}
    assert set(WAY_MARKS) == ways - BASELINES
    assert len(set(WAY_MARKS.values())) == len(WAY_MARKS)
    taken = {*FRAMEWORK_COLOURS.values(), *VERDICT_COLOURS.values()}
    assert not taken & {colour for colour, _ in WAY_MARKS.values()}


@pytest.mark.parametrize("group", [*STRATEGIES.values(), *RECIPES.values()])
def test_ways_that_stand_in_one_chart_have_different_colours(group: dict[str, str]) -> None:
    colours = [WAY_MARKS[way][0] for way in group if way not in BASELINES]
    assert len(set(colours)) == len(colours)


def test_a_way_keeps_its_mark_whatever_else_a_chart_holds() -> None:
    def marks(*ways: str) -> dict[str, tuple[str, str]]:
        colour, shape = way_scales([{"named": way, "strategy": way} for way in ways])
        return dict(zip(colour.domain, zip(colour.range, shape.range, strict=True), strict=True))

    alone = marks("partition")
    beside = marks("mine", "stop_gradient", "partition@again", "partition")
    assert beside["partition"] == alone["partition"] == beside["partition@again"]
    assert len(set(beside.values())) == 3


@pytest.mark.parametrize("sizes", [("seed", "large"), ("large",), ("large", "medium", "seed")])
def test_a_size_keeps_its_shape(sizes: tuple[str, ...]) -> None:
    scale = size_scale([{"size": size} for size in sizes])
    assert dict(zip(scale.domain, scale.range, strict=True)) == {
        size: SHAPES[SIZES.index(size)] for size in sizes
    }


def test_no_chart_of_the_report_gives_the_colour_of_a_framework_to_anything_else() -> None:
    for chart in charts_of(build([whole_run(), later(drift=1.2)])):
        for field, scale in _colours(chart.spec):
            if set(scale) & set(FRAMEWORK_COLOURS.values()):
                assert field in ("framework", "faster"), chart.name


def _colours(value: object) -> list[tuple[str, list[str]]]:
    """Return field and colours of every scale of colour in a specification."""
    found = []
    if isinstance(value, dict):
        colour = value.get("color")
        if isinstance(colour, dict) and isinstance(colour.get("scale"), dict):
            found.append((str(colour.get("field")), list(colour["scale"].get("range") or [])))
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        found += _colours(item)
    return found
