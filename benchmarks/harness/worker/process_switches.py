"""Read what, beside a framework's own switches, changes how fast or how exactly a process computes.

Names and values are such that a sentence can use them, as in `impl_torch/switches.py`.
"""

from __future__ import annotations

import gc
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

Value = bool | int | float | str | None
OWN, ANOTHER, UNSET = "Python's own", "another function", "not set"
# variables that libraries below a framework read when they are loaded, or at each call
VARIABLES = re.compile(
    r"(OMP|MKL|KMP|GOMP|OPENBLAS|BLIS|XLA|JAX|CUDA|CUBLAS|CUDNN|NVIDIA|DNNL|ONEDNN|ATEN|MALLOC)_.*"
)
# the smallest number of full precision; half of it becomes 0 where a process drops subnormals
SMALLEST = sys.float_info.min
FUNCTIONS = {
    (owner, name): getattr(owner, name)
    for owner, names in (
        (time, ("perf_counter", "perf_counter_ns", "monotonic", "process_time", "sleep")),
        (gc, ("collect", "disable", "enable")),
    )
    for name in names
}
SWITCHES: dict[str, Callable[[], Any]] = {
    "Python's trace function": lambda: sys.gettrace() is not None,
    "Python's profile function": lambda: sys.getprofile() is not None,
    "Python's garbage collector": gc.isenabled,
    "Python's switch interval": sys.getswitchinterval,
    "the number of cores of the process": lambda: len(os.sched_getaffinity(0)),
    "the niceness of the process": lambda: os.getpriority(os.PRIO_PROCESS, 0),
    "the memory limit of the process": lambda: _limit(resource.RLIMIT_AS),
    "the data limit of the process": lambda: _limit(resource.RLIMIT_DATA),
    "the arithmetic of numbers near 0": lambda: "exact" if SMALLEST / 2 else "flushed to 0",
}


def read() -> dict[str, Value]:
    """Return the name of every switch, and its value; a switch that a system lacks is left out."""
    values: dict[str, Value] = {}
    for name, switch in SWITCHES.items():
        try:
            values[name] = switch()
        except (AttributeError, OSError):  # another system than Linux
            continue
    for (owner, name), original in FUNCTIONS.items():
        values[f"{owner.__name__}.{name}"] = OWN if getattr(owner, name) is original else ANOTHER
    variables = {name: value for name, value in os.environ.items() if VARIABLES.fullmatch(name)}
    return values | variables


def changed(before: dict[str, Value], after: dict[str, Value]) -> list[tuple[str, Value, Value]]:
    """Return name, earlier and later value of every switch that differs, in order.

    A switch that is in one of the two only, such as an environment variable, has the value
    `UNSET` in the other.
    """
    names = dict.fromkeys((*before, *after))
    pairs = [(name, before.get(name, UNSET), after.get(name, UNSET)) for name in names]
    return [(name, one, two) for name, one, two in pairs if one != two]


def _limit(which: int) -> int | str:
    """Return the soft limit of a resource, in bytes."""
    soft, _ = resource.getrlimit(which)
    return "none" if soft == resource.RLIM_INFINITY else soft
