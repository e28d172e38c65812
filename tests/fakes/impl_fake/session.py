"""A session whose strategies are right, wrong or fatal: method ``be_<strategy>`` says how."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

# A program is reset before and after it is judged, when it is warmed up, and before each sample.
WARM_RESETS = 3  # resets before the first sample
HOARD: list[Any] = []  # memory that is never freed, see ``FAKE_HOARDS``
THREAD = ThreadPoolExecutor(1)  # like one of XLA's, with a heap arena of its own in the C library
BLOCK = 64 * 2**20  # bytes that a strategy holds


class Unavailable(RuntimeError): ...


class Session:
    def __init__(self, device: str, dtype: str) -> None:
        if device != "cpu":
            raise Unavailable(f"no device {device!r}")
        self.dtype, self.precision = np.dtype(dtype), dtype

    def describe(self) -> dict[str, Any]:
        return {"fake": "1.0"}

    def switches(self) -> dict[str, Any]:
        return {"the fake's mode": os.environ.get("FAKE_MODE")}

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)

    def gauge(self) -> None:
        """Return None: memory is that of the process."""

    def allocate(self, size: int) -> list[Any]:
        if "FAKE_HOARDS" not in os.environ:
            return [np.ones(size, np.uint8)]
        if not HOARD:  # the same block each time
            HOARD.append(np.ones(size, np.uint8))
        return HOARD

    def unsupported(self, error: BaseException) -> str | None:
        return str(error) if isinstance(error, NotImplementedError) else None

    def open(self, build: Any, facts: Any, data: Any) -> OpenProblem:
        build(**facts["arguments"])  # a user's part is a list of stages, which the fake has none of
        return OpenProblem(self.dtype, facts["arguments"]["width"], data, facts["flow"])


def later_launch() -> bool:
    """Return whether another launch has asked this before; the first one is noted in a file."""
    first = Path(os.environ["FIRST_LAUNCH"])
    with contextlib.suppress(FileExistsError), first.open("x") as file:
        file.write(str(os.getpid()))
    return first.read_text() != str(os.getpid())


class OpenProblem:
    loss_names = ("loss1", "loss2")
    tied: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, dtype: Any, width: int, data: Any, flow: Any) -> None:
        self.dtype, self.width, self.allowed = dtype, width, flow
        self.data = {n: a.astype(dtype) for n, a in data.items()}

    def shapes(self) -> dict[str, list[int]]:
        one = {"linear.weight": [self.width, self.width], "linear.bias": [self.width]}
        return {f"{net}.{name}": shape for net in ("net1", "net2") for name, shape in one.items()}

    def input_dtypes(self) -> dict[str, str]:
        return {name: str(array.dtype) for name, array in self.data.items()}

    def loss_shapes(self) -> dict[str, list[int]]:
        return {name: [] for name in self.loss_names}

    def random_part(self) -> None:
        """Return None: every call gives the same."""

    def losses(self) -> dict[str, float]:
        return dict.fromkeys(self.loss_names, 1.0)

    def load(self, weights: Any) -> None:
        self.weights = {n: a.astype(self.dtype) for n, a in weights.items()}

    def program(self, kind: str, name: str, phase: str, mode: str = "eager") -> Program:
        listed = os.environ.get("FAKE_FAULTS", "") if self.dtype == np.float32 else ""
        faults = dict(fault.split("=") for fault in listed.split())
        return Program(self, faults.get(f"{name}/{phase}", name), phase)

    def flow(self) -> dict[str, dict[str, bool | None]]:
        """Return loss → parameter → True, or None where no gradient flows, as in torch.

        With ``FAKE_FLOW=severed`` loss2 does not reach net1.
        """
        severed = os.environ.get("FAKE_FLOW") == "severed"
        cut = {"loss2": [n for n in self.shapes() if severed and n.startswith("net1")]}
        return {
            loss: {n: (n in names and n not in cut.get(loss, ())) or None for n in self.shapes()}
            for loss, names in self.allowed.items()
        }

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
    calls = resets = graphs = 0
    work: threading.Thread | None = None

    def __init__(self, opened: OpenProblem, strategy: str, phase: str = "gradient") -> None:
        self.opened, self.strategy, self.phase = opened, strategy, phase
        self.result: dict[str, Any] = {}

    def prepare(self) -> Any:
        if self.strategy == "building":
            block(2)  # freed with the forward pass, before the phase begins
            return block()
        return None

    def run(self, carry: Any) -> None:
        self.calls += 1
        del carry  # as a backward pass frees its graph
        self.result = self.opened.gradients()
        getattr(self, f"be_{self.strategy}", lambda: None)()

    def be_crash(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def be_holding(self) -> None:
        block()

    def be_holding_twice(self) -> None:
        first, second = block(), block()
        del first, second

    def be_holding_in_turn(self) -> None:
        for _ in range(2):
            block()

    def be_holding_a_result(self) -> None:
        self.result["held"] = block()

    def be_holding_in_a_thread(self) -> None:
        THREAD.submit(lambda: np.ones(BLOCK // 8, np.uint8).sum()).result()

    def be_building(self) -> None:
        block()

    def be_crash_apart(self) -> None:
        if "MALLOC_MMAP_THRESHOLD_" in os.environ:
            self.be_crash()

    def be_hang_apart(self) -> None:
        if "MALLOC_MMAP_THRESHOLD_" in os.environ:
            self.be_hang()

    def be_crash_later(self) -> None:
        if self.calls > 6:
            os.kill(os.getpid(), signal.SIGKILL)

    def be_crash_timed(self) -> None:
        if self.resets > WARM_RESETS:
            self.be_crash()

    def be_crash_in_a_later_launch(self) -> None:
        if self.calls > 6 and later_launch():
            os.kill(os.getpid(), signal.SIGKILL)

    def be_scaled_in_a_later_launch(self) -> None:
        if later_launch():
            self.be_scaled()

    def be_hang(self) -> None:
        time.sleep(600)

    def be_hang_timed(self) -> None:
        if self.resets > WARM_RESETS:
            self.be_hang()

    def be_abort(self) -> None:
        os.write(2, b"terminate called\n  what():  std::bad_alloc\n")
        os.abort()

    def be_hungry(self) -> None:
        taken = [np.ones(2**23) for _ in range(16)]  # 64 MiB each
        raise RuntimeError(f"{len(taken)} blocks, and no limit stopped it")

    def be_greedy(self) -> None:
        raise MemoryError("no room for 1 TiB")

    def be_chatty(self) -> None:
        print("a library prints a line")

    def be_garbage(self) -> None:
        for fd in range(3, 20):  # one of these is the pipe that answers are written to
            try:
                if stat.S_ISFIFO(os.fstat(fd).st_mode):
                    os.write(fd, b"}{ not json\n")
            except OSError:
                continue

    def be_garbage_timed(self) -> None:
        if self.resets > WARM_RESETS:
            self.be_garbage()

    def be_recompiled(self) -> None:
        self.graphs = 1 if self.calls < 6 else 2

    def be_untraceable(self) -> None:
        raise NotImplementedError("no one graph can be made of it")

    def be_nan(self) -> None:
        self.result["net1.linear.bias"][0] = np.nan

    def be_scaled(self) -> None:
        self.result["net2.linear.weight"] *= 1.001

    def be_nudged(self) -> None:
        weight = self.result["net2.linear.weight"]
        weight[0, 0] = np.nextafter(weight[0, 0], np.float32(2.0))

    def be_slow(self) -> None:
        time.sleep(0.02)

    def be_slow_and_greedy(self) -> None:
        self.be_slow()
        self.be_greedy()

    def be_unwaited(self) -> None:
        """Go on in the background, unknown to `wait`."""
        self.work = threading.Thread(target=time.sleep, args=(5.0,), daemon=True)
        self.work.start()

    def be_twice(self) -> None:
        time.sleep(0.04)

    def wait(self, result: None) -> None: ...

    def finished(self) -> bool:
        return self.work is None or not self.work.is_alive()

    def reset(self) -> None:
        self.resets += 1

    def release(self) -> None:
        self.result = {}

    def returned(self, result: None) -> list[str]:
        """Return the names of what `run` computed; ``sparing`` returns one, and computes all."""
        return list(self.result)[:1] if self.strategy == "sparing" else list(self.result)

    def gradients(self) -> dict[str, Any]:
        if self.strategy == "slow_to_read":
            time.sleep(2.0)
        return self.result

    def updates(self) -> dict[str, Any]:
        """Return parameters after plain gradient descent, which moves all that have a gradient."""
        if self.phase != "step":
            return {}
        return {n: w - 0.1 * self.result[n] for n, w in self.opened.weights.items()}

    def count(self) -> dict[str, Any]:
        counts: dict[str, Any] = {"flops": 100, "residual_bytes": None}
        return {**counts, "operations": []} if self.strategy == "old" else counts

    def footprint(self) -> dict[str, Any]:
        """Return made-up counts; ``wasteful`` and ``copying`` do more, ``moody`` never the same.

        ``slow_again`` does more too, and never answers a process after the first one.
        """
        wasteful, copying = self.strategy in ("wasteful", "slow_again"), self.strategy == "copying"
        if self.strategy == "uncountable":
            raise RuntimeError("no count of this")
        if self.strategy == "old":  # as a worker of before footprints answers
            raise AttributeError("'Worker' object has no attribute 'do_footprint'")
        if self.strategy == "hang" or (self.strategy == "slow_again" and later_launch()):
            self.be_hang()
        return {
            "flops": 200 if wasteful else 100,
            "residual_bytes": None,
            "operations": {"product": 5 if wasteful else 3, "sum": 2},
            "held_bytes": 4096 if copying else 2048,
            "aliased_bytes": 0 if copying else 2048,
            "optimizer_state_bytes": os.getpid() if self.strategy == "moody" else 8,
        }

    def products(self) -> list[Any]:
        return []


def block(count: int = 1) -> Any:
    """Return so many blocks of memory, written to."""
    return np.ones(count * BLOCK, np.uint8)
