"""Read the switches of this process's PyTorch that change how fast or how exactly it computes.

A network's code can leave one of them switched when it is imported or run. Each has a name that a
sentence can use: "torch's anomaly detection was switched on".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module
from torch.utils import _python_dispatch

Value = bool | int | str | None
OWN, ANOTHER = "torch's own", "another function"

_SWITCHES: dict[str, Callable[[], Any]] = {
    "torch's gradients": torch.is_grad_enabled,
    "torch's inference mode": torch.is_inference_mode_enabled,
    "torch's anomaly detection": torch.is_anomaly_enabled,
    "torch's profiler": torch._C._autograd._profiler_enabled,
    "torch's default dtype": lambda: str(torch.get_default_dtype()),
    "torch's default device": lambda: str(torch.get_default_device()),
    "torch's deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "torch's threads": torch.get_num_threads,
    "torch's threads between operations": torch.get_num_interop_threads,
    "torch's threads in backward": torch._C._is_multithreading_enabled,
    "torch's autocast on the CPU": lambda: torch.is_autocast_enabled("cpu"),
    "torch's autocast on the GPU": lambda: torch.is_autocast_enabled("cuda"),
    "torch's cache of autocast": torch.is_autocast_cache_enabled,
    "torch's float32 precision": lambda: torch.backends.fp32_precision,  # type: ignore[attr-defined]
    "torch's float32 precision of products": lambda: torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
    "torch's float32 precision of convolutions": lambda: torch.backends.mkldnn.conv.fp32_precision,  # type: ignore[attr-defined]
    "torch's float32 precision of products on the GPU": lambda: (
        torch.backends.cuda.matmul.fp32_precision
    ),
    "torch's oneDNN": lambda: torch.backends.mkldnn.enabled,
    "torch's deterministic oneDNN": lambda: torch.backends.mkldnn.deterministic,
    "torch's opt_einsum": lambda: torch.backends.opt_einsum.enabled,
    "torch's cuDNN": lambda: torch.backends.cudnn.enabled,
    "torch's cuDNN benchmark": lambda: torch.backends.cudnn.benchmark,
    "torch's deterministic cuDNN": lambda: torch.backends.cudnn.deterministic,
    "torch's flash attention": torch.backends.cuda.flash_sdp_enabled,
    "torch's memory-efficient attention": torch.backends.cuda.mem_efficient_sdp_enabled,
    "torch's plain attention": torch.backends.cuda.math_sdp_enabled,
    "torch's hooks on saved tensors": lambda: (
        torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    ),
    "torch's function modes": torch._C._len_torch_function_stack,
    "torch's dispatch modes": lambda: len(_python_dispatch._get_current_dispatch_mode_stack()),
    "torch's hooks on all modules": lambda: sum(
        len(getattr(module, name))
        for name in ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")
    ),
}
# functions that every call goes through, as they were when this module was imported
_FUNCTIONS = {
    (owner, name): getattr(owner, name)
    for owner, name in (
        (nn.Module, "__call__"),
        (nn.Linear, "forward"),
        (nn.functional, "linear"),
        (torch.Tensor, "backward"),
        (torch.autograd, "backward"),
        (torch.autograd, "grad"),
        (torch.optim.Adam, "step"),
    )
}


def read() -> dict[str, Value]:
    """Return the name of every switch, and its value; None where this version lacks the switch."""
    functions = {
        f"{owner.__name__}.{name}": OWN if _in_place(owner, name) is original else ANOTHER
        for (owner, name), original in _FUNCTIONS.items()
    }
    return {name: _value(switch) for name, switch in _SWITCHES.items()} | functions


def _in_place(owner: Any, name: str) -> Any:
    """Return the function that stands in this place.

    The first optimizer of a class puts torch's own profiling around the step of its class.
    """
    function = getattr(owner, name)
    return function.__wrapped__ if getattr(function, "hooked", None) is True else function


def _value(switch: Callable[[], Any]) -> Any:
    """Return the value of a switch; None where this version of torch has none of that name."""
    try:
        return switch()
    except (AttributeError, RuntimeError):
        return None
