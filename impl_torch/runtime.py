"""Configure PyTorch on this machine: device, threads, precision, synchronisation, memory."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}
BLOCK = 8 * 2**20  # bytes


class Unavailable(RuntimeError):
    """Report a device, a mode or a figure that this installation or machine does not have."""


def configure(threads: int | None = None) -> None:
    """Use the cores that this process may run on, and full float32 precision on every device.

    By default torch takes its thread count from ``OMP_NUM_THREADS`` or the number of cores of the
    machine, and JAX from the process's CPU affinity. The affinity gives both the same cores;
    ``threads`` is another number to use instead. Full precision (``ieee``) means that no GPU
    multiplies float32 numbers in TF32.
    """
    torch.set_num_threads(threads or usable_cores())
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # never mixed with the older allow_tf32 switches


def usable_cores() -> int:
    """Return the number of cores that this process may run on; all where a system has no limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device(name: str) -> torch.device:
    """Return the device ``cpu`` or ``cuda``; raise `Unavailable` where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this torch is a CPU-only build" if built is None else "torch finds no CUDA device"
        raise Unavailable(f"device 'cuda' was asked for, but {why}; use --device cpu")
    return torch.device(name)


@cache
def check_compiler(where: torch.device) -> None:
    """Compile one line of code on the device; raise `Unavailable` where that fails.

    At its first compilation Inductor looks for the C++ compiler, tests the processor's vector
    instructions and precompiles a header, and stores the results in its default folder. So this
    happens once on a machine, and not in the compile time of the first program.
    """
    os.environ.setdefault(
        "TORCH_WARM_POOL", "0"
    )  # no pool of compile processes that idles beside the clock
    folder = os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
    line = torch.compile(lambda value: (value + 1.0).sum(), fullgraph=True)
    try:
        line(torch.zeros(8, device=where, requires_grad=True)).backward()
    except Exception as error:
        why = next(filter(None, str(error).splitlines()), type(error).__name__)
        raise Unavailable(
            f"torch.compile does not work here ({why}); it needs a C++ compiler: install g++, or "
            "name one in CXX; or use --mode eager"
        ) from error
    finally:
        if folder is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder


def synchronize(where: torch.device) -> None:
    """Wait until all queued work on the device is done; on a CPU no work is queued."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def finished(where: torch.device) -> bool:
    """Return whether all work queued on the device's current stream is done."""
    return where.type != "cuda" or torch.cuda.current_stream(where).query()


def describe() -> dict[str, Any]:
    """Return the versions and settings of this process that are saved in a run's record.

    They are the versions of torch and CUDA, the number of threads, the BLAS library, the precision
    of float32 products, and the name of the GPU (None without one).
    """
    return {
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "torch_blas": "mkl" if torch.backends.mkl.is_available() else "other",
        "torch_cuda": torch.version.cuda,
        "torch_precision": str(getattr(torch.backends, "fp32_precision", None)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def unsupported(error: BaseException) -> str | None:
    """Return one line that says why a mode or device is not available; None for other errors.

    ``error`` was raised while a program was made or run. Dynamo raises ``Unsupported`` where it
    would have to break a graph.
    """
    if isinstance(error, Unavailable):
        return str(error)
    if f"{type(error).__module__}.{type(error).__name__}" == "torch._dynamo.exc.Unsupported":
        return f"no one graph can be made of it: {str(error).splitlines()[0]}"
    if "unsafe to autocast" in str(error):  # torch bans a few operations on CUDA
        return str(error).splitlines()[0]
    return None


class Gauge:
    """Read a GPU's memory from torch's allocator: bytes of live tensors.

    Freed blocks that the caching allocator reserves are not counted.
    """

    resettable = True
    resolution = 1

    def __init__(self, where: torch.device) -> None:
        self.where = where

    def in_use(self) -> int:
        """Return the bytes in use now."""
        return torch.cuda.memory_allocated(self.where)

    def reset(self) -> None:
        """Start a new peak."""
        torch.cuda.reset_peak_memory_stats(self.where)

    def peak(self) -> int:
        """Return the most bytes in use since `reset`."""
        return torch.cuda.max_memory_allocated(self.where)


def gauge(where: torch.device) -> Gauge | None:
    """Return the object that reads a GPU's memory; None on a CPU.

    On a CPU the harness reads the memory of the process instead.
    """
    return Gauge(where) if where.type == "cuda" else None


def allocate(size: int, where: torch.device) -> list[torch.Tensor]:
    """Return tensors of ``size`` bytes in all on the device, in blocks of 8 MiB of ones.

    The harness checks its reading of memory by them.
    """
    sizes = [BLOCK] * (size // BLOCK)
    return [torch.ones(size, dtype=torch.uint8, device=where) for size in sizes]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error means that an allocation failed.

    On a CPU torch raises a plain RuntimeError for it, which only the message tells apart.
    """
    text = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in text or "not enough memory" in text
    )
