"""The machine as JAX sees it: device, threads, precision, synchronisation."""

from __future__ import annotations

import os
from typing import Any

# must stand before jax is imported: the GPU allocator otherwise takes three quarters of the card
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import flax
import jax
import jax.numpy as jnp
import jaxlib.version
import optax

DTYPES = {"float32": jnp.float32, "float64": jnp.float64}


class Unavailable(RuntimeError):
    """A device or a mode that this installation does not have."""


def configure(dtype: str, cache: str | None = None) -> None:
    """IEEE products on every device, 64-bit types only where asked for, a compile cache if given.

    XLA takes its thread count from the process's CPU affinity, as `impl_torch.runtime` does too.
    """
    jax.config.update("jax_enable_x64", dtype == "float64")
    jax.config.update("jax_default_matmul_precision", "highest")
    if cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        # the default stores only what took a second to compile
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def device(name: str) -> jax.Device:
    """``cpu`` or ``cuda``. Raises `Unavailable` where this build or machine has no such device."""
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        raise Unavailable(
            f"device {name!r} was asked for, but jax has no such backend here; use --device cpu"
        ) from error


def synchronize(outputs: Any) -> None:
    """Wait until every leaf is there: JAX returns before it is done."""
    jax.block_until_ready(outputs)


def describe() -> dict[str, Any]:
    """Versions, threads and precision of this process, for the record."""
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "jax_precision": str(jax.config.values["jax_default_matmul_precision"]),
        "xla_flags": os.environ.get("XLA_FLAGS"),
    }


def unsupported(error: BaseException) -> str | None:
    """Why this cannot be had here, in one line; None if the error says something else."""
    return str(error) if isinstance(error, Unavailable) else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is the allocator's: XLA reports it as a status."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
