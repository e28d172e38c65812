"""Measure how fast this machine is: an operation alone, memory, and the cost of a call.

What is returned is the best of several runs. It is measured in a process that times no cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from impl_torch import runtime
from impl_torch.operations import Watch

SIZES = tuple(2**power for power in range(12, 25, 2))  # bytes of an array
BUDGET = 2e-3  # seconds for each measurement, beside a first run
RUNS = 5  # at least
LAYERS = (4, 20)  # of the small networks that show what a call costs
BATCH = 16  # calls of what takes microseconds


class Calibration:
    """Hold what was measured in this process, so that nothing is measured twice.

    Args:
        device: to measure.
        dtype: of the cells that the rates are for.
        cache: unused, as nothing is compiled here.
    """

    def __init__(self, device: torch.device, dtype: str, cache: str | None = None) -> None:
        self.device, self.dtype = device, runtime.DTYPES[dtype]
        self._machine: dict[str, Any] | None = None

    def machine(self) -> dict[str, Any]:
        """Return the seconds of reading and writing by bytes, and of a call by its kind.

        ``reading`` and ``writing`` list pairs (bytes, seconds); ``dispatch`` maps the kinds of
        `Watch` to seconds.
        """
        if self._machine is None:
            pairs = [self._memory(size) for size in SIZES]
            self._machine = {
                "reading": [[size, read] for size, (read, _) in zip(SIZES, pairs, strict=True)],
                "writing": [[size, wrote] for size, (_, wrote) in zip(SIZES, pairs, strict=True)],
                "dispatch": self._dispatch(),
            }
        return self._machine

    def measure(self, work: Mapping[str, Any]) -> float:
        """Return the seconds of an operation alone, without what its call costs.

        Args:
            work: as `Watch.operations` lists it.
        """
        packet, overload = work["op"].removeprefix("aten.").split(".")
        operation = getattr(getattr(torch.ops.aten, packet), overload)
        args, kwargs = self._decoded(work["args"]), self._decoded(work["kwargs"])
        with torch.no_grad():
            return max(self._fastest_call(lambda: operation(*args, **kwargs)) - self._bare(), 0.0)

    def _bare(self) -> float:
        """Return the seconds of an operation without gradient on a single number."""
        if not hasattr(self, "_bare_seconds"):
            one = torch.ones(1, dtype=self.dtype, device=self.device)
            with torch.no_grad():
                self._bare_seconds = self._fastest_call(lambda: one + one)
        return self._bare_seconds

    def _memory(self, size: int) -> tuple[float, float]:
        """Return the seconds of reading so many bytes, and of writing them to a new array.

        A sum reads, and a sign change reads and writes; what their calls cost is left out.
        """
        value = torch.ones(size // self.dtype.itemsize, dtype=self.dtype, device=self.device)
        single = value[:1]
        with torch.no_grad():
            reading = max(self._fastest_call(value.sum) - self._fastest_call(single.sum), 0.0)
            both = max(self._fastest_call(lambda: -value) - self._bare(), 0.0)
        return reading, max(both - reading, 0.0)

    def _dispatch(self) -> dict[str, float]:
        """Return the seconds of a call of each kind: what a network of tiny layers costs."""
        few, many = (self._step_parts(layers) for layers in LAYERS)
        per = {
            part: (many[part][0] - few[part][0]) / (many[part][1] - few[part][1])
            for part in ("forward", "backward", "update")
        }
        begun = few["backward"][0] - per["backward"] * few["backward"][1]
        return {**{part: max(each, 0.0) for part, each in per.items()}, "pass": max(begun, 0.0)}

    def _step_parts(self, layers: int) -> dict[str, tuple[float, int]]:
        """Return the seconds and the operations of each part of a step of a tiny network."""
        stack = [m for _ in range(layers) for m in (nn.Linear(4, 4), nn.ReLU())]
        network = nn.Sequential(*stack).to(device=self.device, dtype=self.dtype)
        stepper = torch.optim.Adam(network.parameters(), lr=1e-3)
        value = torch.ones(4, 4, dtype=self.dtype, device=self.device)

        def forward() -> torch.Tensor:
            loss: torch.Tensor = network(value).sum()
            return loss

        def backward(loss: torch.Tensor) -> None:
            for parameter in network.parameters():
                parameter.grad = None
            loss.backward()

        backward(forward())
        stepper.step()
        seconds = {
            "forward": self._fastest_call(forward, batch=1),
            "backward": self._fastest_call(backward, forward, batch=1),
            "update": self._fastest_call(stepper.step, batch=1),
        }
        with Watch() as watch:
            backward(forward())
            stepper.step()
        counts = dict.fromkeys(seconds, 0)
        for one in watch.operations():
            if one["dispatch"] in counts:
                counts[one["dispatch"]] += one["count"]
        return {part: (seconds[part], counts[part]) for part in seconds}

    def _fastest_call(
        self, run: Callable[..., Any], prepare: Callable[[], Any] | None = None, batch: int = BATCH
    ) -> float:
        """Return the seconds of the fastest call; ``prepare`` makes its argument, untimed.

        Calls of less than 50 µs are timed ``batch`` at a time.
        """
        once = self._time(run, prepare, 1)
        once = min(once, self._time(run, prepare, 1))
        calls = batch if once < 5e-5 else 1
        fastest, spent, runs = once if calls == 1 else float("inf"), 0.0, 0
        while runs < RUNS or spent < BUDGET:
            seconds = self._time(run, prepare, calls)
            fastest, spent, runs = min(fastest, seconds), spent + seconds * calls, runs + 1
        return fastest

    def _time(
        self, run: Callable[..., Any], prepare: Callable[[], Any] | None, calls: int
    ) -> float:
        """Return the mean seconds of a few calls, waiting for the device at the end."""
        arguments = [(prepare(),) if prepare else () for _ in range(calls)]
        runtime.synchronize(self.device)
        start = time.perf_counter()
        for one in arguments:
            run(*one)
        runtime.synchronize(self.device)
        return (time.perf_counter() - start) / calls

    def _decoded(self, value: Any) -> Any:
        """Return arguments of an operation, with a tensor for each description of one."""
        if isinstance(value, Mapping) and "tensor" in value:
            shape, strides, name = value["tensor"]
            dtype = getattr(torch, name)
            tensor = torch.empty_strided(shape, strides, dtype=dtype, device=self.device)
            # between 0 and 1, as some losses demand; 0 is a valid index of anything
            return tensor.uniform_(0.25, 0.75) if dtype.is_floating_point else tensor.zero_()
        if isinstance(value, Mapping):
            return {name: self._decoded(item) for name, item in value.items()}
        return [self._decoded(item) for item in value] if isinstance(value, list) else value
