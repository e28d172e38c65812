"""Demonstrate the traps of selecting parameters by place or by module in JAX, flax and optax.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_selection_traps.py`` judges them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from impl_jax.backward_traps import _raised

LR = 0.1


def layers_picked_by_place() -> dict[str, Any]:
    """Give the first and the last Linear of a Sequential a rate of their own, by their paths.

    The layer at place 3 is a ReLU, without parameters, so no path has a 3 in it and the label is
    that of the first Linear alone. optax accepts it, and the last Linear keeps the common rate of
    0.001. The table shows how far each Linear moves in a step, over its gradient; then what asking
    for the parameters of place 3 raises where an empty selection is refused.
    """
    relu, rngs = nnx.relu, nnx.Rngs(0)
    shapes = (3, 8), (8, 8), (8, 2)
    first, middle, last = (nnx.Linear(*shape, rngs=rngs) for shape in shapes)
    graph, state = nnx.split(nnx.Sequential(first, relu, middle, relu, last), nnx.Param)
    # path → array: ("layers", 0, "bias") is the bias of the first layer
    parameters = {path: leaf[...] for path, leaf in nnx.to_flat_state(state)}

    def loss(parameters: dict[Any, Array]) -> Array:
        net = nnx.merge(graph, nnx.from_flat_state(list(parameters.items())))
        return jnp.sum(jnp.square(net(jnp.ones((2, 3)))))

    rates: dict[str, Any] = {}
    gradients = jax.grad(loss)(parameters)
    for places in ((0, 3), (0, 4)):
        labels = {path: "own" if path[1] in places else "common" for path in parameters}
        optimizer = optax.partition({"own": optax.sgd(0.01), "common": optax.sgd(0.001)}, labels)
        steps, _ = optimizer.update(gradients, optimizer.init(parameters))
        rates[f"places {places[0]} and {places[1]}"] = {
            name: float(jnp.linalg.norm(steps[path]) / jnp.linalg.norm(gradients[path]))
            for name, path in (("first", ("layers", 0, "bias")), ("last", ("layers", 4, "bias")))
        }
    return {**rates, "refused": {"raised": _raised(partial(_parameters_at, parameters, 3))}}


def weights_set_by_apply() -> dict[str, Any]:
    """Draw the weights of every module of a model anew, also of one that is frozen.

    What is frozen is a matter of the gradient's or the optimizer's filter. A loop over the modules
    knows nothing of it: net1's weights, which stand for pretrained ones, are drawn anew. The table
    shows how far weights move.
    """
    moved = {}
    for way in ("on_both", "on_net2"):
        rngs = nnx.Rngs(0)
        net1, net2 = (nnx.Linear(3, 3, rngs=rngs) for _ in range(2))
        start = net1.kernel[...], net2.kernel[...]
        target = nnx.Sequential(net1, net2) if way == "on_both" else net2
        for _, module in nnx.iter_modules(target):
            if isinstance(module, nnx.Linear):
                module.kernel[...] = 0.02 * jax.random.normal(rngs(), (3, 3))
        moved[way] = {
            "net1_moved": float(jnp.abs(net1.kernel[...] - start[0]).max()),
            "net2_moved": float(jnp.abs(net2.kernel[...] - start[1]).max()),
        }
    return moved


def optimizer_state_of_another_phase() -> dict[str, Any]:
    """Step net1 with the optimizer state of a phase that trained net2.

    A state whose trees are keyed by name does not fit, and says so. As a list, or as leaves that
    were saved without their tree, it fits, and net1 goes on with the moments of net2. The table
    shows how far the first step is from the right one, that of an Adam which has not stepped net1
    yet, relative to it.
    """
    adam = optax.adam(LR)
    trained, gradient = jnp.array([1.0, -2.0, 3.0]), jnp.array([-1.0, 1.0, 1.0])
    right = adam.update([gradient], adam.init([gradient]))[0][0]
    results = {}
    for way in ("as_a_list", "as_flat_leaves", "keyed_by_name"):
        listed = way == "as_a_list"
        net2 = [trained] if listed else {"net2": trained}
        net1 = [gradient] if listed else {"net1": gradient}
        saved = adam.init(net2)
        for _ in range(5):
            _, saved = adam.update(net2, saved)
        if way == "as_flat_leaves":
            tree = jax.tree.structure(adam.init(net1))
            saved = jax.tree.unflatten(tree, jax.tree.leaves(saved))
        raised = _raised(partial(adam.update, net1, saved))
        step = None if raised else jax.tree.leaves(adam.update(net1, saved)[0])[0]
        off = None if step is None else jnp.linalg.norm(step - right) / jnp.linalg.norm(right)
        results[way] = {"raised": raised, "step_off": None if off is None else float(off)}
    return results


def _parameters_at(parameters: dict[Any, Array], place: int) -> dict[Any, Array]:
    """Return the parameters of one layer; raise ValueError for a layer without any."""
    picked = {path: array for path, array in parameters.items() if path[1] == place}
    if not picked:
        raise ValueError(f"place {place} of the Sequential holds no parameter")
    return picked
