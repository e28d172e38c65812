"""Run each snippet that the page shows, and check what it computes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from results.report.snippets import SNIPPETS, snippet
from results.report.vocabulary import RECIPES, STRATEGIES
from results.ways import WORDS, way_title

pytestmark = pytest.mark.usefixtures("stored_programs")

FREEZING = {framework: [n for n in ways if n != "unfrozen"] for framework, ways in RECIPES.items()}


@pytest.mark.parametrize("framework", SNIPPETS)
def test_each_way_of_the_suite_has_a_snippet_and_words(framework: str) -> None:
    ways = [*STRATEGIES[framework], *FREEZING[framework]]
    assert sorted(SNIPPETS[framework]) == sorted(ways)
    assert {*ways, "unfrozen"} <= set(WORDS)


def test_way_of_a_users_own_has_no_snippet_and_keeps_its_name() -> None:
    assert snippet("torch", "mine") == ""
    assert way_title("mine") == "mine"
    assert way_title("summed@again") == "summed@again · one pass of the sum"
    assert snippet("torch", "summed@again") == SNIPPETS["torch"]["summed"]


def torch_names() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return {
        "torch": torch,
        "net1": torch.nn.Linear(3, 3),
        "net2": torch.nn.Linear(3, 2),
        "x": torch.randn(4, 3),
        "y1": torch.randn(4, 3),
        "y2": torch.randn(4, 2),
        "criterion": torch.nn.functional.mse_loss,
    }


def jax_names() -> dict[str, Any]:
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp
    import optax

    draw = np.random.default_rng(0).normal
    return {
        "jax": jax,
        "jnp": jnp,
        "optax": optax,
        "net1": lambda p, x: x @ p["w"] + p["b"],
        "net2": lambda p, x: x @ p["w"] + p["b"],
        "params": {
            name: {"w": jnp.asarray(draw(size=(3, n))), "b": jnp.zeros(n)}
            for name, n in (("net1", 3), ("net2", 2))
        },
        "x": jnp.asarray(draw(size=(4, 3))),
        "y1": jnp.asarray(draw(size=(4, 3))),
        "y2": jnp.asarray(draw(size=(4, 2))),
        "criterion": lambda a, b: ((a - b) ** 2).mean(),
    }


def run(framework: str, way: str, names: dict[str, Any]) -> None:
    """Run a snippet with these names; JAX without compiling, which takes most of the time."""
    with names["jax"].disable_jit() if framework == "jax" else nullcontext():
        exec(SNIPPETS[framework][way], names)


def gradients(framework: str, way: str) -> dict[str, Any]:
    """Run a snippet; return the gradient of each parameter by name."""
    names = torch_names() if framework == "torch" else jax_names()
    run(framework, way, names)
    if framework == "torch":
        nets = {"net1": names["net1"], "net2": names["net2"]}
        return {
            f"{net}.{name}": p.grad.numpy()
            for net, module in nets.items()
            for name, p in module.named_parameters()
        }
    grads = names["gradients"]
    return {f"{net}.{leaf}": np.asarray(g) for net in grads for leaf, g in grads[net].items()}


@pytest.mark.parametrize(
    ("framework", "way"), [(f, w) for f, ways in STRATEGIES.items() for w in ways]
)
def test_each_strategy_shown_leaves_the_gradients_of_the_sum(framework: str, way: str) -> None:
    shown, summed = gradients(framework, way), gradients(framework, "summed")
    assert shown.keys() == summed.keys()
    for name, gradient in summed.items():
        assert np.abs(gradient).max() > 0.01
        np.testing.assert_allclose(shown[name], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", FREEZING["torch"])
def test_each_torch_recipe_shown_trains_net2_and_leaves_net1(way: str) -> None:
    names = torch_names()
    start = {n: {k: v.clone() for k, v in names[n].state_dict().items()} for n in ("net1", "net2")}
    run("torch", way, names)
    same = {n: bool((names[n].weight == start[n]["weight"]).all()) for n in ("net1", "net2")}
    assert same == {"net1": True, "net2": False}


@pytest.mark.parametrize("way", FREEZING["jax"])
def test_each_jax_recipe_shown_trains_net2_and_leaves_net1(way: str) -> None:
    names = jax_names()
    start = {name: np.asarray(p["w"]) for name, p in names["params"].items()}
    run("jax", way, names)
    same = {n: bool((np.asarray(names["params"][n]["w"]) == start[n]).all()) for n in start}
    assert same == {"net1": True, "net2": False}
