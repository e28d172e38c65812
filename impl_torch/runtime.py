"""The machine as PyTorch sees it: device, threads, precision, synchronisation."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}
BLOCK = 8 * 2**20  # bytes


class Unavailable(RuntimeError):
    """A device or a mode that this installation does not have."""


def configure(threads: int | None = None) -> None:
    """Use the cores this process may run on, and IEEE products on every device.

    torch takes its thread count from ``OMP_NUM_THREADS`` or the machine, JAX from the process's
    CPU affinity; taking the affinity here gives both the same cores.
    """
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # never mixed with the older allow_tf32 switches


def device(name: str) -> torch.device:
    """``cpu`` or ``cuda``. Raises `Unavailable` where this build or machine has no such device."""
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda
        why = "this torch is a CPU-only build" if built is None else "torch finds no CUDA device"
        raise Unavailable(f"device 'cuda' was asked for, but {why}; use --device cpu")
    return torch.device(name)


@cache
def check_compiler(where: torch.device) -> None:
    """Compile a line, so that what is compiled next need not find out what this machine has.

    What Inductor finds out (the compiler, the processor's vector instructions, a precompiled
    header) it keeps in its own folder: that is paid once a machine, not once a program. Raises
    `Unavailable` where nothing can be compiled.
    """
    os.environ.setdefault("TORCH_WARM_POOL", "0")  # no compile processes waiting beside the clock
    kept = os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)
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
        if kept is not None:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = kept


def synchronize(where: torch.device) -> None:
    """Wait until everything queued on the device is done; on CPU torch has already waited."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def finished(where: torch.device) -> bool:
    """Whether nothing that was queued on the device's current stream is still to be done."""
    return where.type != "cuda" or torch.cuda.current_stream(where).query()


def describe() -> dict[str, Any]:
    """Versions, threads and precision of this process, for the record."""
    return {
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "torch_blas": "mkl" if torch.backends.mkl.is_available() else "other",
        "torch_cuda": torch.version.cuda,
        "torch_precision": str(getattr(torch.backends, "fp32_precision", None)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def unsupported(error: BaseException) -> str | None:
    """Why this cannot be had here, in one line; None if the error says something else.

    Dynamo raises ``Unsupported`` where a graph would break.
    """
    if isinstance(error, Unavailable):
        return str(error)
    if f"{type(error).__module__}.{type(error).__name__}" == "torch._dynamo.exc.Unsupported":
        return f"no one graph can be made of it: {str(error).splitlines()[0]}"
    return None


class Gauge:
    """A GPU's memory as torch's allocator counts it: bytes of tensors, not of what it keeps."""

    resettable = True
    resolution = 1

    def __init__(self, where: torch.device) -> None:
        self.where = where

    def held(self) -> int:
        return torch.cuda.memory_allocated(self.where)

    def reset(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.where)

    def peak(self) -> int:
        """The most held since `reset`."""
        return torch.cuda.max_memory_allocated(self.where)


def gauge(where: torch.device) -> Gauge | None:
    """What tells the device's memory; on CPU it is the process's, which the system tells."""
    return Gauge(where) if where.type == "cuda" else None


def hold(size: int, where: torch.device) -> list[torch.Tensor]:
    """So many bytes on the device, written to, in blocks of 8 MiB."""
    sizes = [BLOCK] * (size // BLOCK)
    return [torch.ones(size, dtype=torch.uint8, device=where) for size in sizes]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error is the allocator's: torch raises a plain RuntimeError for the CPU's."""
    text = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in text or "not enough memory" in text
    )
