"""Read the switches of this process's JAX that change how fast or how exactly it computes.

A network's code can leave one of them switched when it is imported or run. Each has a name that a
sentence can use: "jax_debug_nans was switched on".
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

Value = bool | int | str | None
OWN, ANOTHER = "JAX's own", "another function"

_SWITCHES = (
    "jax_enable_x64",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_debug_key_reuse",
    "jax_disable_jit",
    "jax_default_matmul_precision",
    "jax_default_device",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_rank_promotion",
    "jax_numpy_dtype_promotion",
    "jax_enable_checks",
    "jax_check_tracer_leaks",
    "jax_log_compiles",
    "jax_explain_cache_misses",
    "jax_no_tracing",
    "jax_no_execution",
    "jax_disable_most_optimizations",
    "jax_optimization_level",
    "jax_exec_time_optimization_effort",
    "jax_compiler_enable_remat_pass",
    "jax_softmax_custom_jvp",
    "jax_use_shardy_partitioner",
    "jax_cpu_enable_async_dispatch",
    "jax_transfer_guard",
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_platforms",
    "jax_num_cpu_devices",
    "eager_constant_folding",
)
# functions that every call goes through, as they were when this module was imported
_FUNCTIONS = {
    (owner, name): getattr(owner, name)
    for owner, name in (
        (jax, "jit"),
        (jax, "grad"),
        (jax, "vjp"),
        (jax, "value_and_grad"),
        (jax, "block_until_ready"),
        (jax.lax, "dot_general"),
        (jnp, "dot"),
        (nnx.Linear, "__call__"),
        (optax, "apply_updates"),
    )
}


def read() -> dict[str, Value]:
    """Return the name of every switch, and its value; None where this version lacks the switch."""
    functions = {
        f"{owner.__name__}.{name}": OWN if getattr(owner, name) is original else ANOTHER
        for (owner, name), original in _FUNCTIONS.items()
    }
    return {name: _value(jax.config.values.get(name)) for name in _SWITCHES} | functions


def _value(value: Any) -> Value:
    """Return the value of a switch in a type that JSON has."""
    return value if value is None or isinstance(value, bool | int | str) else str(value)
