"""Demonstrate the traps of what a frozen network keeps in JAX: states that move, and draws.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_state_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

WIDTH, PASSES = 4, 20
Build = Callable[[], Any]
FLAT, SEQUENCE = (8, WIDTH), (8, 3, WIDTH)
# Every module of nnx that behaves otherwise in train() than in eval(); → how to build it, and the
# shape of its input.
MODULES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "BatchNorm": (lambda: nnx.BatchNorm(WIDTH, rngs=nnx.Rngs(0)), FLAT),
    "Dropout": (lambda: nnx.Dropout(0.5, rngs=nnx.Rngs(0)), FLAT),
    "MultiHeadAttention": (
        lambda: nnx.MultiHeadAttention(
            2, WIDTH, dropout_rate=0.5, deterministic=False, decode=False, rngs=nnx.Rngs(0)
        ),
        SEQUENCE,
    ),
    "SpectralNorm": (lambda: NORMALIZED["SpectralNorm"](_linear()), FLAT),
}
FURTHER: dict[str, tuple[Build, tuple[int, ...]]] = {
    "WeightNorm": (lambda: NORMALIZED["WeightNorm"](_linear()), FLAT),
}
DECLARED: dict[str, str] = {}  # name → why nothing is shown for it
NORMALIZED: dict[str, Callable[[Any], Any]] = {
    "SpectralNorm": lambda layer: nnx.SpectralNorm(layer, rngs=nnx.Rngs(1)),
    "WeightNorm": lambda layer: nnx.WeightNorm(layer, rngs=nnx.Rngs(1)),
}


def train_undoes_eval() -> dict[str, Any]:
    """Set a frozen module to `eval()`, and call `train()` on the model around it.

    `train()` reaches every module below. The table shows how far the frozen module's statistics
    move in a forward pass after it, and how far two forward passes of one batch are apart; and the
    larger of the two where `eval()` was called last.
    """
    results: dict[str, Any] = {}
    for name, (build, shape) in {**MODULES, **FURTHER}.items():
        ways = {}
        for way in ("eval", "eval_then_train", "eval_again_after_train"):
            frozen = build()
            model = nnx.Sequential(frozen)
            frozen.eval()
            if way != "eval":
                model.train()
            if way == "eval_again_after_train":
                frozen.eval()
            ways[way] = _behaviour(frozen, jax.random.normal(jax.random.key(0), shape) + 1.0)
        results[name] = ways.pop("eval_then_train") | {n: max(w.values()) for n, w in ways.items()}
    return results


def modules_of_this_release() -> dict[str, Any]:
    """Return the names of all modules of flax.nnx with a mode, of those shown, and declared.

    `train()` and `eval()` set ``deterministic`` and ``use_running_average``: a module that reads
    one of the two has a mode.
    """
    names = [
        name
        for name, value in vars(nnx).items()
        if inspect.isclass(value) and issubclass(value, nnx.Module) and _reads_its_mode(value)
    ]
    return {"found": sorted(names), "shown": sorted(MODULES), "declared": DECLARED}


def spectral_norm_of_a_frozen_network() -> dict[str, Any]:
    """Run a frozen network with spectral normalization forward 20 times.

    The vector of its power iteration is a statistic, and each pass in training mode moves it, and
    so the weight that the network computes with. The table shows how far that weight moves,
    relative to its norm: but for rounding, not at all in the two right ways.
    """
    moved = {}
    for way in ("train", "eval", "update_stats_false"):
        net = nnx.SpectralNorm(nnx.Linear(32, 32, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(1))
        net.eval() if way == "eval" else net.train()
        run = partial(net, update_stats=False) if way == "update_stats_false" else net
        x = jax.random.normal(jax.random.key(0), (8, 32))
        run(x)
        start = _kernel(net)
        for _ in range(PASSES):
            run(x)
        moved[f"SpectralNorm, {way}"] = {"weight_moved": _off(_kernel(net), start)}
    return moved


def normalization_of_a_frozen_parameter() -> dict[str, Any]:
    """Run a frozen network with a normalized weight forward, in `eval()`.

    nnx writes the normalized weight into the parameter, in either mode: whoever compares a frozen
    network with its checkpoint finds another one. The table shows how far the parameter moves in
    the first pass, and in 20 further ones. Put back after each pass it stays; a plain `jax.jit`
    gets a copy, and what is written there is lost.
    """
    results: dict[str, Any] = {}
    for name, normalize in NORMALIZED.items():
        for way in ("called", "put_back", "jax.jit"):
            net = normalize(_linear())
            net.eval()
            run = jax.jit(_run) if way == "jax.jit" else _run
            start = jax.tree.map(jnp.array, nnx.state(net, nnx.Param))
            snapshots = [_kernel(net)]
            for passes in (1, PASSES):
                for _ in range(passes):
                    run(net, jnp.ones(FLAT))
                    if way == "put_back":
                        nnx.update(net, start)
                snapshots.append(_kernel(net))
            results.setdefault(name, {})[way] = {
                "first_pass": _off(snapshots[1], snapshots[0]),
                "further_passes": _off(snapshots[2], snapshots[1]),
            }
    return results


def scales_of_a_normalized_weight() -> dict[str, Any]:
    """Look for the scales of weight normalization in what an optimizer of `nnx.Param` trains."""
    trained = nnx.to_flat_state(nnx.state(NORMALIZED["WeightNorm"](_linear()), nnx.Param))
    return {"WeightNorm": {"scales_trained": any("scales" in path for path, _ in trained)}}


def dropout_drawn_twice() -> dict[str, Any]:
    """Run a network that draws twice on one batch, compiled in several ways.

    A module counts its draws. A plain `jax.jit` gets a copy of the module, so that what the first
    pass counted is lost, and the second one draws the same mask. The table shows how far the two
    passes are apart.
    """
    results: dict[str, Any] = {}
    for name in ("Dropout", "MultiHeadAttention"):
        build, shape = MODULES[name]
        x = jax.random.normal(jax.random.key(0), shape)
        for way in ("no jit", "jax.jit", "nnx.jit", "jax.jit, state returned"):
            net = build()
            plain, aware, returned = jax.jit(_run), nnx.jit(_run), jax.jit(_run_and_return)
            first, second = (
                {
                    "no jit": lambda: _run(net, x),  # noqa: B023
                    "jax.jit": lambda: plain(net, x),  # noqa: B023
                    "nnx.jit": lambda: aware(net, x),  # noqa: B023
                    "jax.jit, state returned": lambda: _updated(net, *returned(net, x)),  # noqa: B023
                }[way]()
                for _ in range(2)
            )
            apart = float(jnp.abs(first - second).max())
            results.setdefault(name, {})[way] = {"passes_apart": apart}
    return results


def _linear() -> Any:
    """Return a linear layer."""
    return nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(0))


def _run(net: Any, x: Array) -> Array:
    """Return a module's output."""
    output: Array = net(x)
    return output


def _run_and_return(net: Any, x: Array) -> tuple[Array, Any]:
    """Return a module's output, and its state behind it."""
    return _run(net, x), nnx.state(net)


def _updated(net: Any, output: Array, state: Any) -> Array:
    """Put a state into a module; return the output that came with it."""
    nnx.update(net, state)
    return output


def _reads_its_mode(module: type) -> bool:
    """Return whether a method of a module reads what `train()` and `eval()` set."""
    bases = [base for base in module.__mro__ if base not in nnx.Module.__mro__]
    methods = (value for base in bases for value in vars(base).values())
    names = (getattr(method, "__code__", None) for method in methods)
    set_by_mode = {"deterministic", "use_running_average"}
    return any(set_by_mode & set(code.co_names) for code in names if code)


def _behaviour(module: Any, x: Array) -> dict[str, float]:
    """Return how far a forward pass moves a module's statistics, and two passes are apart."""
    before = jax.tree.map(jnp.array, nnx.state(module, nnx.BatchStat))
    first, second = module(x), module(x)
    after = nnx.state(module, nnx.BatchStat)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after, before)
    return {
        "buffers_moved": max(jax.tree.leaves(moved), default=0.0),
        "passes_apart": float(jnp.abs(first - second).max()),
    }


def _kernel(net: Any) -> Array:
    """Return a copy of the parameter that a layer's normalization is put around."""
    return jnp.array(net.layer_instance.kernel[...])


def _off(value: Array, right: Array) -> float:
    """Return how far an array is from the right one, relative to that one's norm."""
    return float(jnp.linalg.norm(value - right) / jnp.linalg.norm(right))
