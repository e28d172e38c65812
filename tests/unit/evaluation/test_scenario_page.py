"""The page of scenarios is the one that its generator makes of the specs now."""

from __future__ import annotations

import re

import pytest

from benchmarks.evaluation import scenario_page
from benchmarks.evaluation.scenario_descriptions import DESCRIPTIONS
from benchmarks.evaluation.scenario_diagram import diagram
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE, Variant

pytestmark = pytest.mark.smoke

LINK = re.compile(r"\]\(\.\./([^)#]+)\)")


def test_page_of_scenarios_is_what_the_specs_say() -> None:
    assert scenario_page.page() == scenario_page.PAGE.read_text(), "run: make docs"


def test_every_scenario_is_described_with_its_networks_losses_and_variants() -> None:
    assert list(DESCRIPTIONS) == list(CATALOGUE)
    for name, words in DESCRIPTIONS.items():
        variants = CATALOGUE[name].variants
        assert set(words.variants) == set(variants) - {"-"} or not words.variants, name
        if name == "stacked_cascade":  # described as net1 … netN, loss1 … lossN
            continue
        assert set(words.networks) == {n for v in variants.values() for n in v.networks}, name
        assert set(words.losses) == {loss for v in variants.values() for loss in v.flow}, name


def test_links_of_descriptions_name_networks_and_variants_that_exist() -> None:
    for name, words in DESCRIPTIONS.items():
        for link in words.links:
            variant, _, network = link.rpartition("/")
            chosen = [v for n, v in CATALOGUE[name].variants.items() if variant in ("", n)]
            assert chosen, link
            assert all(network in v.networks for v in chosen), link


def test_drawings_show_every_network_and_loss_and_what_is_frozen() -> None:
    for name, words in DESCRIPTIONS.items():
        variants = CATALOGUE[name].variants
        assert words.drawings.keys() <= variants.keys(), name
        for variant, drawing in words.drawings.items():
            chosen = variants[variant]
            assert all(part in drawing for part in (*chosen.networks, *chosen.flow)), drawing
            marked = {n for n in chosen.networks if f"{n} (frozen)" in drawing}
            assert marked == set(chosen.frozen), drawing


def test_files_that_the_page_links_to_exist() -> None:
    linked = set(LINK.findall(scenario_page.PAGE.read_text()))
    assert len(linked) == 18  # a spec and two implementations for each of six families
    assert all((ROOT / path).is_file() for path in linked)


def test_diagram_shows_order_link_freeze_and_losses_where_they_are_taken() -> None:
    variant = Variant(
        networks=("net1", "net2"),
        flow={"loss1": ("net1",), "loss2": ("net1", "net2"), "extra": ("net2",)},
        frozen=("net2",),
    )
    assert diagram(variant, {"net2": "× 0.5"}).splitlines() == [
        "x ──▶ net1 ──[ × 0.5 ]──▶ net2 (frozen)",
        "        │                   │",
        "        ▼                   ▼",
        "      loss1               loss2",
        "                          extra",
    ]


def test_diagram_of_many_networks_is_shortened() -> None:
    networks = tuple(f"net{i}" for i in range(1, 9))
    flow = {f"loss{i}": networks[:i] for i in range(1, 9)}
    first, _, _, losses = diagram(Variant(networks, flow), {}).splitlines()
    assert first == "x ──▶ net1 ──▶ net2 ──▶ … ──▶ net8"
    assert losses.split() == ["loss1", "loss2", "loss8"]


def test_flow_table_marks_what_trains_what_is_frozen_and_what_is_not_reached() -> None:
    variant = Variant(
        networks=("net1", "net2"),
        flow={"loss1": ("net1",), "loss2": ("net1", "net2")},
        frozen=("net1",),
    )
    assert scenario_page.flow_table({"-": variant}).splitlines()[2:] == [
        "| `-` | `loss1` | frozen | – |",
        "|  | `loss2` | frozen | trains |",
    ]


def test_flow_of_many_networks_that_is_not_cumulative_is_refused() -> None:
    networks = tuple("abcde")
    with pytest.raises(AssertionError, match="say its flow in other words"):
        scenario_page.flow_table({"odd": Variant(networks, {"loss": networks})})
