"""Cases in JAX that cannot be run, and some that do what a case should not do and can."""

from __future__ import annotations

import os
import random
import sys
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from cascade_bench import Case

no_function = 3


def _bad(losses: Any, **more: Any) -> Case:
    """Return a case of one matrix with these losses of its output."""
    networks = {"net": {"w": jnp.eye(4)}}
    batch = jnp.ones((2, 4))
    return Case(networks, lambda n, x: losses(x @ n["net"]["w"]), batch, **more)


def no_case():
    return 3


def vector():
    return _bad(lambda out: {"task": out})


def nan():
    return _bad(lambda out: {"task": out.sum() * jnp.nan})


def whole_number():
    return _bad(lambda out: {"task": (out > 0).sum()})


def concrete():
    return _bad(lambda out: {"task": float(out.sum())})


def bare():
    return _bad(lambda out: out.sum())


def wrong_name():
    return _bad(lambda out: {"task": out.sum()}, frozen=["net.v"])


def all_frozen():
    return _bad(lambda out: {"task": out.sum()}, frozen=["net"])


def apart():
    case = _bad(lambda out: {"task": out.sum()})
    return Case({**case.networks, "other": {"w": jnp.ones(2)}}, case.losses, case.batch)


def twice():
    net = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    return Case({"net": net, "again": net}, lambda n, x: {"task": n["net"](x).sum()}, jnp.ones(4))


def no_parameters():
    return Case({"net": {"count": 3}}, lambda n, x: {"task": x.sum()}, jnp.ones(4))


def unheld():
    system = random.SystemRandom()
    return _bad(lambda out: {"task": out.sum() * system.random()})


def ends():
    sys.exit(3)


def asks():
    return input("which?")


def on_a_gpu():
    return _bad(lambda out: {"task": jax.device_put(out, jax.devices("gpu")[0]).sum()})


def of_this_process():
    batch = jnp.full((2, 4), float(os.getpid()))
    return Case({"net": {"w": jnp.eye(4)}}, lambda n, x: {"task": (x @ n["net"]["w"]).sum()}, batch)
