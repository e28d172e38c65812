"""Trace calls of a program by JAX's profiler."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax

CALL = "cascade-bench call"  # the event that encloses each call in the trace


def trace_calls(program: Any, calls: int, path: str) -> None:
    """Run some calls under the profiler, and write its trace to a file.

    What precedes the timed part stands in the trace too, outside of the events `CALL`.

    Args:
        program: a warm program.
        calls: to make, each from the weights and the state of the start.
        path: ``.json.gz`` file to write, in Chrome's trace format.
    """
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # the calls of Python functions would fill the trace
    with tempfile.TemporaryDirectory(prefix="cascade-bench-profile-") as folder:
        jax.profiler.start_trace(folder, profiler_options=options)
        try:
            for _ in range(calls):
                program.reset()
                carry = program.prepare()
                with jax.profiler.TraceAnnotation(CALL):
                    program.wait(program.run(carry))
                del carry
        finally:
            jax.profiler.stop_trace()
        (written,) = Path(folder).rglob("*.trace.json.gz")
        shutil.copyfile(written, path)
