"""Let JAX take the programs of a test process from the compile cache of the checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.harness.launches import check_cache


@contextmanager
def programs_from_the_check_cache() -> Iterator[None]:
    """Have JAX store and find compiled programs in the folder that the checks use.

    JAX keys each program by its code and by its compile options, so a changed one is compiled
    again. The settings of before are restored at the end. Where the cache is switched off, or its
    folder cannot be written, programs are compiled as ever.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    folder = check_cache.folder("of a test process")
    chosen = {
        "jax_compilation_cache_dir": str(folder) if folder else None,
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }
    before = {name: getattr(jax.config, name) for name in chosen}
    try:
        _use(chosen)
        compilation_cache.reset_cache()  # it has noted once for all whether there is a folder
        yield
    finally:
        _use(before)
        compilation_cache.reset_cache()


def _use(settings: Mapping[str, object]) -> None:
    """Set JAX's settings, name → value."""
    import jax

    for name, value in settings.items():
        jax.config.update(name, value)
