"""Put the controlling process back into its state after a spec's code has run in it.

A user's spec is read, and draws weights and data, in the process that starts every worker: an
environment variable, a limit or a working folder that it leaves behind would reach the workers of
every other scenario.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import locale
import os
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")
SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
STREAMS = ("stdin", "stdout", "stderr", "displayhook", "excepthook", "breakpointhook")


class _Part(NamedTuple):
    """One part of the state: ``restore`` is called with what ``read`` returned before."""

    read: Callable[[], Any]
    restore: Callable[[Any], Any]


def restoring(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function such that the state of the process is the same after each call."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        with unchanged():
            return function(*arguments, **options)

    return call


@contextmanager
def unchanged() -> Iterator[None]:
    """Put back, after a block of code, every part of the process's state that it has changed.

    What the system no longer allows, such as to raise a limit again, stays as it is. A thread that
    `time_limit` has given up puts nothing back: who gave it up has done so.
    """
    before = [(part, part.read()) for part in _PARTS]
    try:
        yield
    finally:
        for part, value in before if not _is_left_behind() else ():
            with contextlib.suppress(OSError, ValueError):
                if part.read() != value:
                    part.restore(value)


def _is_left_behind() -> bool:
    """Return whether this code runs in a thread that `time_limit` has given up."""
    return getattr(threading.current_thread(), "left_behind", False)


def _attributes(owner: Any, names: tuple[str, ...]) -> _Part:
    """Return the part that consists of attributes of an object, such as functions of a module."""

    def restore(values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(owner, name, value)

    return _Part(lambda: {name: getattr(owner, name, None) for name in names}, restore)


def _set_environment(variables: dict[str, str]) -> None:
    """Make the environment variables of this process these, and no others."""
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def _umask() -> int:
    """Return the permissions that new files lack; the system tells it only when it is set."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_limits(limits: list[tuple[int, int]]) -> None:
    """Set the limits of this process, each as far as the system allows."""
    for limit, values in zip(LIMITS, limits, strict=True):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, values)


def _set_signals(handlers: list[Any]) -> None:
    """Set the handlers of signals; only the main thread may, so only it can have changed them."""
    for number, handler in zip(SIGNALS, handlers, strict=True):
        if handler is not None:
            signal.signal(number, handler)


def _set_path(path: list[str]) -> None:
    """Set the folders of imports; those that were added come last, where they hide nothing."""
    sys.path[:] = [*path, *(folder for folder in sys.path if folder not in path)]


def _set_filters(filters: list[Any]) -> None:
    """Set the filters of warnings."""
    warnings.filters[:] = filters  # type: ignore[index]
    getattr(warnings, "_filters_mutated", lambda: None)()


def _set_collector(enabled: bool) -> None:
    """Switch Python's garbage collector on or off."""
    (gc.enable if enabled else gc.disable)()


def _numpy_state() -> tuple[Any, ...]:
    """Return the state of NumPy's global generator, with bytes for its array: they compare."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return kind, np.asarray(keys).tobytes(), *rest


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    """Set the state of NumPy's global generator."""
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, np.uint32), *rest))


_PARTS = (
    _Part(lambda: dict(os.environ), _set_environment),
    _Part(os.getcwd, os.chdir),
    _Part(_umask, os.umask),
    _Part(lambda: [resource.getrlimit(limit) for limit in LIMITS], _set_limits),
    *(  # Linux alone has it
        [_Part(lambda: os.sched_getaffinity(0), lambda cores: os.sched_setaffinity(0, cores))]
        if hasattr(os, "sched_setaffinity")
        else []
    ),
    _Part(
        lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda niceness: os.setpriority(os.PRIO_PROCESS, 0, niceness),
    ),
    _Part(lambda: [signal.getsignal(number) for number in SIGNALS], _set_signals),
    _Part(lambda: list(sys.path), _set_path),
    _Part(sys.getrecursionlimit, sys.setrecursionlimit),
    _Part(sys.getswitchinterval, sys.setswitchinterval),
    _Part(sys.gettrace, sys.settrace),
    _Part(sys.getprofile, sys.setprofile),
    _Part(gc.isenabled, _set_collector),
    _Part(gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    _Part(lambda: list(warnings.filters), _set_filters),
    _Part(np.geterr, lambda errors: np.seterr(**errors)),
    _Part(
        lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)
    ),
    _Part(random.getstate, random.setstate),
    _Part(_numpy_state, _set_numpy_state),
    _attributes(sys, STREAMS),
    _attributes(time, ("perf_counter", "perf_counter_ns", "monotonic", "time", "sleep")),
    _attributes(builtins, tuple(name for name in dir(builtins) if name != "_")),
)
