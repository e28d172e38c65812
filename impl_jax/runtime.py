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
BLOCK = 8 * 2**20  # bytes


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


def finished(where: jax.Device) -> bool:
    """Whether every array that is alive on the device's platform is there."""
    return all(array.is_ready() for array in jax.live_arrays(where.platform))


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


class Gauge:
    """A GPU's memory as XLA's allocator counts it; its peak is that of the whole process.

    Compiled programs should come from the cache: trying out kernels takes memory as well.
    """

    resettable = False
    resolution = 1

    def __init__(self, where: jax.Device) -> None:
        self.where = where
        self._earlier = 0

    def held(self) -> int:
        return self._figure("bytes_in_use")

    def reset(self) -> None:
        self._earlier = self._figure("peak_bytes_in_use")

    def peak(self) -> int:
        """The most held in this process. Raises `Unavailable` where that was before `reset`."""
        peak = self._figure("peak_bytes_in_use")
        if peak <= self._earlier:
            raise Unavailable(
                "the phase stayed under what its process had held before, and JAX tells no other "
                "peak"
            )
        return peak

    def _figure(self, name: str) -> int:
        found = self.where.memory_stats() or {}
        if name not in found:
            raise Unavailable(f"jax's {self.where.platform} allocator does not tell its {name}")
        return int(found[name])


def gauge(where: jax.Device) -> Gauge | None:
    """What tells the device's memory; on CPU it is the process's, which the system tells."""
    return None if where.platform == "cpu" else Gauge(where)


def hold(size: int, where: jax.Device) -> list[jax.Array]:
    """So many bytes on the device, written to, in blocks of 8 MiB."""
    sizes = [BLOCK] * (size // BLOCK)
    blocks = [jnp.ones(size, dtype=jnp.uint8, device=where) for size in sizes]
    synchronize(blocks)
    return blocks


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is the allocator's: XLA reports it as a status, on the CPU as any one."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        "RESOURCE_EXHAUSTED" in text or "Out of memory allocating" in text
    )
