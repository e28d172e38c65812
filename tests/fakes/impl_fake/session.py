"""A session whose strategies are right, wrong, or deadly, by their names."""

from __future__ import annotations

import os
import signal
import stat
import time
from typing import Any

import numpy as np


class Unavailable(RuntimeError): ...


class Session:
    def __init__(self, device: str, dtype: str) -> None:
        if device != "cpu":
            raise Unavailable(f"no device {device!r}")
        self.dtype = np.dtype(dtype)

    def describe(self) -> dict[str, Any]:
        return {"fake": "1.0"}

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def unsupported(self, error: BaseException) -> str | None:
        return str(error) if isinstance(error, NotImplementedError) else None

    def open(self, build: Any, facts: Any, data: Any) -> Opened:
        return Opened(self.dtype, build(**facts["arguments"]), data)


class Opened:
    loss_names = ("loss1", "loss2")

    def __init__(self, dtype: Any, width: int, data: Any) -> None:
        self.dtype, self.width = dtype, width
        self.data = {n: a.astype(dtype) for n, a in data.items()}

    def shapes(self) -> dict[str, list[int]]:
        one = {"linear.weight": [self.width, self.width], "linear.bias": [self.width]}
        return {f"{net}.{name}": shape for net in ("net1", "net2") for name, shape in one.items()}

    def load(self, weights: Any) -> None:
        self.weights = {n: a.astype(self.dtype) for n, a in weights.items()}

    def program(self, kind: str, name: str, phase: str, mode: str = "eager") -> Program:
        return Program(self, name)

    def gradients(self) -> dict[str, Any]:
        w, d = self.weights, self.data
        out1 = d["x"] @ w["net1.linear.weight"].T + w["net1.linear.bias"]
        out2 = out1 @ w["net2.linear.weight"].T + w["net2.linear.bias"]
        back2 = 2 * (out2 - d["target2"]) / out2.size
        back1 = 2 * (out1 - d["target1"]) / out1.size + back2 @ w["net2.linear.weight"]
        return {
            "net1.linear.weight": back1.T @ d["x"],
            "net1.linear.bias": back1.sum(0),
            "net2.linear.weight": back2.T @ out1,
            "net2.linear.bias": back2.sum(0),
        }


class Program:
    trace_seconds = compile_seconds = None
    calls = graphs = 0

    def __init__(self, opened: Opened, strategy: str) -> None:
        self.opened, self.strategy = opened, strategy
        self.result: dict[str, Any] = {}

    def prepare(self) -> None: ...

    def run(self, carry: None) -> None:
        self.calls += 1
        self.result = self.opened.gradients()
        getattr(self, f"be_{self.strategy}", lambda: None)()

    def be_crash(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def be_crash_later(self) -> None:
        if self.calls > 6:
            os.kill(os.getpid(), signal.SIGKILL)

    def be_hang(self) -> None:
        time.sleep(600)

    def be_greedy(self) -> None:
        raise MemoryError("no room for 1 TiB")

    def be_chatty(self) -> None:
        print("a library prints a line")

    def be_garbage(self) -> None:
        for fd in range(3, 20):  # whichever of them is the one that answers go to
            try:
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, b"}{ not json\n")
            except OSError:
                continue

    def be_recompiled(self) -> None:
        self.graphs = 1 if self.calls < 6 else 2

    def be_untraceable(self) -> None:
        raise NotImplementedError("no one graph can be made of it")

    def be_nan(self) -> None:
        self.result["net1.linear.bias"][0] = np.nan

    def be_scaled(self) -> None:
        self.result["net2.linear.weight"] *= 1.001

    def be_slow(self) -> None:
        time.sleep(0.02)

    def be_twice(self) -> None:
        time.sleep(0.04)

    def wait(self, result: None) -> None: ...

    def reset(self) -> None: ...

    def gradients(self) -> dict[str, Any]:
        return self.result

    def updates(self) -> dict[str, Any]:
        return {}

    def count(self) -> dict[str, Any]:
        return {"flops": 100, "residual_bytes": None}

    def products(self) -> list[Any]:
        return []
