"""Divide the time of a call among the operations of a trace, from events with known times."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.measurement import traces


def event(name: str, begin: float, end: float, tid: int = 1, **more: Any) -> dict[str, Any]:
    """Return a complete event of a Chrome trace; times are in microseconds."""
    return {"ph": "X", "name": name, "ts": begin, "dur": end - begin, "pid": 7, "tid": tid, **more}


def torch_op(name: str, begin: float, end: float, tid: int = 1, *dims: Any) -> dict[str, Any]:
    return event(name, begin, end, tid, cat="cpu_op", args={"Input Dims": list(dims)})


def hlo(name: str, begin: float, end: float, tid: int = 1) -> dict[str, Any]:
    return event(name, begin, end, tid, args={"hlo_op": name, "hlo_module": "jit_f"})


def microseconds(found: traces.TracedCalls) -> dict[str, float]:
    return {one["name"]: round(one["seconds"] * 1e6, 6) for one in found["operations"]}


def test_time_goes_to_the_innermost_operation_and_the_rest_is_idle() -> None:
    events = [
        event(traces.CALL, 100, 200, cat="user_annotation"),
        torch_op("aten::linear", 110, 150, 1, [2, 3], [3, 3], []),
        torch_op("aten::addmm", 120, 145, 1, [3], [2, 3], [3, 3]),
        torch_op("autograd::engine::evaluate_function: AddmmBackward0", 160, 180),
        torch_op("aten::mm", 165, 175, 1, [3, 2], [2, 3]),
        torch_op("aten::copy_", 20, 90),  # before the clock, as a reset
        event("Optimizer.step", 100, 200, cat="user_annotation"),
    ]
    found = traces.summarise(events, "torch")
    assert microseconds(found) == {
        "addmm 3, 2×3, 3×3": 25,
        "linear 2×3, 3×3": 15,
        "autograd engine": 10,
        "mm 3×2, 2×3": 10,
    }
    assert found["idle"] == pytest.approx(40e-6)
    assert found["seconds"] == pytest.approx(100e-6)


def test_operations_at_the_same_time_share_it_and_all_adds_up() -> None:
    events = [
        event(traces.CALL, 0, 100),
        hlo("dot.3", 10, 50, tid=1),
        hlo("fusion.12", 30, 70, tid=2),
        hlo("dot.4.clone", 90, 120, tid=2),  # ends after the call was waited for
    ]
    found = traces.summarise(events, "jax")
    assert microseconds(found) == {"dot": 20 + 10 + 10, "fusion": 10 + 20}
    assert found["idle"] == pytest.approx(30e-6)
    assert {one["name"]: one["count"] for one in found["operations"]} == {"dot": 2, "fusion": 1}


def test_slow_calls_are_left_out() -> None:
    """Something else had the processor in the middle of the second."""
    events = [
        event(traces.CALL, 0, 10),
        event(traces.CALL, 20, 9000),
        event(traces.CALL, 9100, 9112),
    ]
    events += [hlo("dot.1", 2, 6), hlo("dot.1", 21, 25), hlo("dot.1", 9102, 9108)]
    found = traces.summarise(events, "jax")
    assert (found["calls"], microseconds(found)) == (2, {"dot": 5})
    assert found["seconds"] == pytest.approx(11e-6)


def test_on_a_gpu_the_kernels_count_and_not_their_launches() -> None:
    events = [
        event(traces.CALL, 0, 100, cat="user_annotation"),
        event(traces.CALL, 40, 90, tid=9, cat="gpu_user_annotation"),
        torch_op("aten::mm", 5, 30),
        event("sgemm_128x64", 40, 80, tid=9, cat="kernel"),
        event("Memcpy DtoD", 85, 90, tid=9, cat="gpu_memcpy"),
    ]
    found = traces.summarise(events, "torch")
    assert microseconds(found) == {"sgemm_128x64": 40, "Memcpy DtoD": 5}
    assert found["idle"] == pytest.approx(55e-6)


def test_a_trace_without_a_call_is_an_error() -> None:
    with pytest.raises(traces.TraceError, match="recorded no call"):
        traces.summarise([hlo("dot.1", 0, 1)], "jax")


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"{"), gzip.compress(b"[]")],
    ids=["empty", "no gzip", "no JSON", "a list"],  # the bytes hold the time
)
def test_what_is_no_trace_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.trace.json.gz"
    path.write_bytes(content)
    with pytest.raises(traces.TraceError, match="is no trace of a profiler"):
        traces.read(path, "jax")


def test_a_trace_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.json.gz"
    events = [event(traces.CALL, 0, 10), hlo("dot.1", 2, 6), {"ph": "M", "name": "process_name"}]
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": events}).encode()))
    assert microseconds(traces.read(path, "jax")) == {"dot": 4}
