"""Configure JAX on this machine: device, threads, precision, synchronisation, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# before jax is imported: otherwise XLA reserves three quarters of a GPU's memory at its first use
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import flax
import jax
import jax.numpy as jnp
import jaxlib.version
import optax
from jax.experimental.compilation_cache import compilation_cache

DTYPES = {"float32": jnp.float32, "float64": jnp.float64}
BLOCK = 8 * 2**20  # bytes


class Unavailable(RuntimeError):
    """Report a device, a mode or a figure that this installation or machine does not have."""


def configure(dtype: str, cache: str | None = None) -> None:
    """Use full float32 precision on every device, 64-bit types for float64, and a compile cache.

    By default a GPU multiplies float32 numbers in TF32; precision ``highest`` forbids it. JAX takes
    its thread count from the process's CPU affinity, and `impl_torch.runtime` does the same.

    Args:
        dtype: ``float32`` or ``float64``; without ``jax_enable_x64`` JAX makes the latter float32.
        cache: the folder for compiled programs; None for no cache.
    """
    jax.config.update("jax_enable_x64", dtype == "float64")
    jax.config.update("jax_default_matmul_precision", "highest")
    if cache:
        _use_cache(cache)


@contextmanager
def compile_cache(folder: str | None) -> Iterator[None]:
    """Find compiled programs in another folder, and keep new ones there, within this context.

    Args:
        folder: that replaces the one of `configure`; None to keep that one.
    """
    before = jax.config.values["jax_compilation_cache_dir"]
    if folder:
        _use_cache(folder)
    try:
        yield
    finally:
        if folder:
            _use_cache(before)


def _use_cache(folder: str | None) -> None:
    """Make a folder JAX's compile cache; None for no cache."""
    compilation_cache.reset_cache()  # JAX reads the setting once, at the first compilation
    jax.config.update("jax_compilation_cache_dir", folder)
    # by default only programs that took a second to compile are stored
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def device(name: str) -> jax.Device:
    """Return the device ``cpu`` or ``cuda``; raise `Unavailable` where there is none."""
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        raise Unavailable(
            f"device {name!r} was asked for, but jax has no such backend here; use --device cpu"
        ) from error


def synchronize(outputs: Any) -> None:
    """Wait until every array of a pytree is computed: a JAX call returns before that."""
    jax.block_until_ready(outputs)


def finished(where: jax.Device) -> bool:
    """Return whether every live array on the device's platform is computed."""
    return all(array.is_ready() for array in jax.live_arrays(where.platform))


def describe() -> dict[str, Any]:
    """Return the versions and settings of this process that are saved in a run's record.

    They are the versions of jax, jaxlib, flax and optax, the precision of float32 products, and the
    environment variable ``XLA_FLAGS`` (None if it is not set).
    """
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "jax_precision": str(jax.config.values["jax_default_matmul_precision"]),
        "xla_flags": os.environ.get("XLA_FLAGS"),
    }


def unsupported(error: BaseException) -> str | None:
    """Return one line that says why a mode or device is not available; None for other errors.

    ``error`` was raised while a program was made or run.
    """
    return str(error) if isinstance(error, Unavailable) else None


class Gauge:
    """Read a GPU's memory from XLA's allocator, whose peak is that of the whole process.

    Programs should come from the compile cache: XLA's autotuning of kernels uses memory as well.
    """

    resettable = False
    resolution = 1

    def __init__(self, where: jax.Device) -> None:
        self.where = where
        self._earlier = 0

    def in_use(self) -> int:
        """Return the bytes in use now."""
        return self._figure("bytes_in_use")

    def reset(self) -> None:
        """Remember the peak so far: XLA cannot start a new one."""
        self._earlier = self._figure("peak_bytes_in_use")

    def peak(self) -> int:
        """Return the process's peak in bytes; raise `Unavailable` if it was before `reset`."""
        peak = self._figure("peak_bytes_in_use")
        if peak <= self._earlier:
            raise Unavailable(
                "the phase stayed under what its process had held before, and JAX tells no other "
                "peak"
            )
        return peak

    def _figure(self, name: str) -> int:
        """Return one figure of XLA's allocator in bytes, such as ``bytes_in_use``.

        Raises `Unavailable` where the allocator of this platform does not count it.
        """
        statistics = self.where.memory_stats() or {}
        if name not in statistics:
            raise Unavailable(f"jax's {self.where.platform} allocator does not tell its {name}")
        return int(statistics[name])


def gauge(where: jax.Device) -> Gauge | None:
    """Return the object that reads a GPU's memory; None on a CPU.

    On a CPU the harness reads the memory of the process instead.
    """
    return None if where.platform == "cpu" else Gauge(where)


def allocate(size: int, where: jax.Device) -> list[jax.Array]:
    """Return arrays of ``size`` bytes in all on the device, in blocks of 8 MiB of ones.

    The harness checks its reading of memory by them.
    """
    sizes = [BLOCK] * (size // BLOCK)
    blocks = [jnp.ones(size, dtype=jnp.uint8, device=where) for size in sizes]
    synchronize(blocks)
    return blocks


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error means that an allocation failed.

    XLA reports a failed allocation as a status in the message of an error.
    """
    text = str(error)
    return isinstance(error, MemoryError) or (
        "RESOURCE_EXHAUSTED" in text or "Out of memory allocating" in text
    )
