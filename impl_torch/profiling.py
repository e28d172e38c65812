"""Trace calls of a program by torch's profiler."""

from __future__ import annotations

from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function

CALL = "cascade-bench call"  # the event that encloses each call in the trace


def trace_calls(program: Any, calls: int, path: str) -> None:
    """Run some calls under the profiler, and write its trace to a file.

    What precedes the timed part stands in the trace too, outside of the events `CALL`.

    Args:
        program: a warm program.
        calls: to make, each from the weights and the state of the start.
        path: ``.json.gz`` file to write, in Chrome's trace format.
    """
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, record_shapes=True) as profiler:
        for _ in range(calls):
            program.reset()
            carry = program.prepare()
            with record_function(CALL):
                program.wait(program.run(carry))
            del carry
    profiler.export_chrome_trace(path)
