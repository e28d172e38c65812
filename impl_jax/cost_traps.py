"""Demonstrate in JAX what costs its full price although nothing comes of it.

Each function runs ways side by side and returns the results as plain data, which docs/costs.md
shows as a table. The test of the same subject in ``benchmarks/test_cost_traps.py`` judges them.
Products are those of a Linear layer's forward pass, of 32 examples and 32 values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from impl_jax.loss_traps import LR, WIDTH, Networks, _losses, _networks, _products, _run

DEPTH = 12  # layers that are frozen one after another
Stacked = dict[str, Array]  # network → its layers in one array
LABELS = {"net1": "frozen", "net2": "trained"}


def frozen_front_that_saves_nothing() -> dict[str, Any]:
    """Freeze the front one of two networks of three layers each, and count a step's products.

    XLA leaves out what is surely 0 or read by nothing. A 0 that multiplies is neither, as 0 times
    infinity is not 0; and a mask that is an argument is unknown when the step is compiled, whether
    it multiplies or chooses. `lax.cond` decides when it runs. In the table the products of the
    branch that is taken count. Where the update alone is set to 0, Adam's moments still read the
    gradient; where the gradient is, AdamW's decay moves the network.
    """
    networks, x = _networks(3, 3)
    adamw, zero = partial(optax.adamw, weight_decay=LR), optax.set_to_zero()
    parts = partial(optax.partition, param_labels=LABELS)
    behind = optax.chain(adamw(LR), optax.scale(0.0))
    optimizers = {
        "nothing_frozen": adamw(LR),
        "rate_0": parts({"trained": adamw(LR), "frozen": adamw(0.0)}),
        "scale_0": parts({"trained": adamw(LR), "frozen": behind}),
        "times_0": _zeroed(adamw(LR), lambda update, frozen: 0.0 * update),
        "traced_mask": _zeroed(adamw(LR), lambda update, frozen: update * (1.0 - frozen)),
        "traced_where": _zeroed(adamw(LR), lambda update, frozen: jnp.where(frozen, 0.0, update)),
        "cond": _zeroed(adamw(LR), lambda update, frozen: update * (1.0 - frozen)),
        "update_set_to_0": _zeroed(adamw(LR), lambda update, frozen: jnp.zeros_like(update)),
        "gradient_set_to_0": adamw(LR),
        "stop_gradient": adamw(LR),
        "set_to_zero": parts({"trained": adamw(LR), "frozen": zero}),
    }
    passes = {"cond": _conditional, "gradient_set_to_0": _set_to_0, "stop_gradient": _stopped}
    frozen, results = jnp.ones((), bool), {}
    for way, optimizer in optimizers.items():

        def step(networks: Networks, state: Any, frozen: Array, way=way, optimizer=optimizer):  # type: ignore[no-untyped-def]
            grads = passes.get(way, _gradient)(networks, x, frozen)
            updates, state = optimizer.update(grads, state, networks, frozen=frozen)
            return optax.apply_updates(networks, updates), state

        optimizer = optax.with_extra_args_support(optimizer)
        state = optimizer.init(networks)
        run = partial(step, optimizer=optimizer)
        after, _ = jax.jit(run)(networks, state, frozen)
        moved = jnp.abs(after["net1"][0] - networks["net1"][0]).max()
        counted = _traced_products(run, networks, state, frozen)
        results[way] = {"products": counted, "net1_moved": float(moved)}
    return results


def mask_inside_a_scan() -> dict[str, Any]:
    """Freeze three of six layers that are stacked in one array and run by a `scan`.

    One loop has one body: a mask inside it multiplies gradients that were computed. Two scans, of
    which the first is not differentiated, compute those of the second alone. The table shows the
    products of forward and backward pass.
    """
    networks, x = _networks(3, 3)
    stacked: Stacked = {name: jnp.stack(layers) for name, layers in networks.items()}
    mask = jnp.repeat(jnp.array([0.0, 1.0]), 3)[:, None, None]

    def scanned(layers: Array, x: Array) -> Array:
        return jax.lax.scan(lambda x, layer: (jax.nn.relu(x @ layer), None), x, layers)[0]

    def one_scan(stacked: Stacked, mask: Array) -> Any:
        whole = jnp.concatenate([stacked["net1"], stacked["net2"]])
        return mask * jax.grad(lambda layers: jnp.mean(scanned(layers, x) ** 2))(whole)

    def two_scans(stacked: Stacked, mask: Array) -> Any:
        between = scanned(stacked["net1"], x)
        return jax.grad(lambda layers: jnp.mean(scanned(layers, between) ** 2))(stacked["net2"])

    ways = {"mask_inside_one_scan": one_scan, "two_scans": two_scans}
    return {name: {"products": _traced_products(way, stacked, mask)} for name, way in ways.items()}


def gradual_freezing_when_compiled() -> dict[str, Any]:
    """Freeze a network layer by layer, by a static argument and by one that is traced.

    A static argument makes a program for each frozen set, without a limit. Traced, there is one
    program, which computes every gradient.
    """
    layers, results = [jnp.eye(2) for _ in range(DEPTH)], {}
    for way, static in (("static", (1,)), ("traced", ())):
        graphs: list[None] = []

        def gradient(layers: list[Array], frozen: Any) -> list[Array]:
            graphs.append(None)  # noqa: B023  # not run again once it is compiled
            grads = jax.grad(lambda layers: jnp.sum(_run(layers, jnp.ones((1, 2)))))(layers)
            return [jnp.where(i < frozen, 0.0, grad) for i, grad in enumerate(grads)]

        compiled = jax.jit(gradient, static_argnums=static)
        for frozen in range(DEPTH):
            compiled(layers, frozen)
        results[way] = {"frozen_sets": DEPTH, "graphs": len(graphs)}
    return results


def checkpoint_around_a_frozen_front() -> dict[str, Any]:
    """Checkpoint parts of two networks of three layers each, the front one frozen.

    What is checkpointed is computed once more in the backward pass, if it holds anything that is
    differentiated. Around the frozen front alone it costs nothing, as nothing of it was kept.
    `nnx.remat` gets modules, and computes the same. The table shows the products of forward and
    backward pass.
    """
    networks, x = _networks(3, 3)
    results: dict[str, Any] = {}
    for form, (checkpoint, build) in CHECKPOINTS.items():
        call_checkpointed, both = checkpoint(_called), checkpoint(_both_called)
        ways: dict[str, Callable[[Any, Any, Array], Array]] = {
            "nothing": _both_called,
            "net2": lambda net1, net2, x: call_checkpointed(net2, _called(net1, x)),  # noqa: B023
            "both": both,
            "front": lambda net1, net2, x: _called(net2, call_checkpointed(net1, x)),  # noqa: B023
        }
        for around, way in ways.items():

            def gradient(layers1: Any, layers2: Any, x: Array, build=build, way=way) -> Any:  # type: ignore[no-untyped-def]
                grad = nnx.grad if build is _Layers else jax.grad
                loss = lambda net1, net2: jnp.mean(way(net1, net2, x) ** 2)  # noqa: E731
                return grad(loss, argnums=1)(build(layers1), build(layers2))

            products = _traced_products(gradient, networks["net1"], networks["net2"], x)
            results.setdefault(form, {})[f"around_{around}"] = {"products": products}
    return results


def gradient_of_each_loss_alone() -> dict[str, Any]:
    """Count the matrix products of gradients of each loss alone, as PCGrad or GradNorm need them.

    With respect to all parameters they cost a pass for each loss. With respect to the weight of
    net1's last layer a pass ends there. With respect to net1's output they cost nothing: a backward
    pass that is cut there computes each loss's gradient anyway, before it goes on with their sum.
    Their norms are not those of the gradients with respect to the parameters.
    """
    networks, x = _networks(6)

    def summed(n: Networks) -> Any:
        return jax.grad(lambda n: sum(_losses(n, x)))(n)

    def by_parameter(n: Networks) -> Any:
        return [jax.grad(lambda n, i=i: _losses(n, x)[i])(n) for i in (0, 1)]

    def by_last_layer(n: Networks) -> Any:
        def loss(last: Array, i: int) -> Array:
            return _losses({**n, "net1": [*n["net1"][:-1], last]}, x)[i]

        return summed(n), [jax.grad(loss)(n["net1"][-1], i) for i in (0, 1)]

    def by_boundary(n: Networks) -> Any:
        between, pull1 = jax.vjp(lambda net1: _run(net1, x), n["net1"])
        first = jax.grad(lambda b: jnp.mean(b**2))(between)
        second, net2 = jax.grad(
            lambda b, net2: 10.0 * jnp.mean((_run(net2, b) - 1.0) ** 2), argnums=(0, 1)
        )(between, n["net2"])
        return first, second, net2, pull1(first + second)

    ways = (summed, by_parameter, by_last_layer, by_boundary)
    return {way.__name__: {"products": _products(jax.jit(way), networks)} for way in ways}


class _Layers(nnx.Module):
    """Hold a network's weights as parameters of nnx."""

    def __init__(self, layers: list[Array]) -> None:
        self.layers = nnx.List([nnx.Param(layer) for layer in layers])

    def __call__(self, x: Array) -> Array:
        return _run([layer[...] for layer in self.layers], x)


CHECKPOINTS: dict[str, tuple[Callable[..., Any], Callable[[list[Array]], Any]]] = {
    "jax.checkpoint": (jax.checkpoint, lambda layers: layers),
    "nnx.remat": (nnx.remat, _Layers),
}


def _called(net: Any, x: Array) -> Array:
    """Return a network's output; it is a module, or a list of weights."""
    output: Array = net(x) if isinstance(net, _Layers) else _run(net, x)
    return output


def _both_called(net1: Any, net2: Any, x: Array) -> Array:
    """Return the output of two networks in series."""
    return _called(net2, _called(net1, x))


def _gradient(networks: Networks, x: Array, frozen: Array) -> Networks:
    """Return the gradient of the mean square of net2's output by both networks."""
    return jax.grad(lambda n: jnp.mean(_run(n["net2"], _run(n["net1"], x)) ** 2))(networks)


def _stopped(networks: Networks, x: Array, frozen: Array) -> Networks:
    """Return the same gradient; that by net1 is 0, as it stops behind net1."""

    def loss(networks: Networks) -> Array:
        between = jax.lax.stop_gradient(_run(networks["net1"], x))
        return jnp.mean(_run(networks["net2"], between) ** 2)

    return jax.grad(loss)(networks)


def _set_to_0(networks: Networks, x: Array, frozen: Array) -> Networks:
    """Return the same gradient, with zeros put in the place of that by net1."""
    gradient = _gradient(networks, x, frozen)
    return {**gradient, "net1": jax.tree.map(jnp.zeros_like, gradient["net1"])}


def _conditional(networks: Networks, x: Array, frozen: Array) -> Networks:
    """Return the same gradient; that by net1 is 0, and not computed, while it is frozen."""
    branches = (partial(way, x=x, frozen=frozen) for way in (_stopped, _gradient))
    gradient: Networks = jax.lax.cond(frozen, *branches, networks)
    return gradient


def _zeroed(
    optimizer: optax.GradientTransformation, zero: Callable[[Array, Array], Array]
) -> optax.GradientTransformationExtraArgs:
    """Return the optimizer with net1's update changed.

    Args:
        optimizer: of both networks.
        zero: the update of a weight, and whether net1 is frozen → the update in its place.
    """

    def update(grads: Any, state: Any, params: Any = None, *, frozen: Array, **_: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return {**updates, "net1": [zero(one, frozen) for one in updates["net1"]]}, state

    return optax.GradientTransformationExtraArgs(optimizer.init, update)


def _traced_products(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the matrix products that a function computes, a loop's as often as it runs.

    XLA's own count takes the body of a loop once. Of a conditional it is the branch of True.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    live, _ = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return _in_jaxpr(live) / (2.0 * WIDTH**3)


def _in_jaxpr(jaxpr: Jaxpr) -> float:
    """Return the FLOPs of the products in a jaxpr."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            left, right = (v.aval.shape for v in equation.invars)  # type: ignore[attr-defined]
            (rows, inner), (_, columns) = left, right
            total += 2.0 * rows * inner * columns
        often = equation.params["length"] if equation.primitive.name == "scan" else 1
        inside = list(equation.params.values())
        if equation.primitive.name == "cond":
            inside = [equation.params["branches"][1]]
        for value in inside:
            if isinstance(value, (Jaxpr, ClosedJaxpr)):
                own = value.jaxpr if isinstance(value, ClosedJaxpr) else value
                total += often * _in_jaxpr(own)
    return total
