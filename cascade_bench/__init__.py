"""Compare the ways to run the backward passes of your own networks, in PyTorch and in JAX.

    from cascade_bench import Case, compare

    print(compare(make))      # make() builds networks and a batch, and returns a Case

This package imports no framework, and nothing of the benchmark suite: the suite runs in processes
of its own. `docs/your-own-code.md` shows every part once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_bench.case import Case, Stage
    from cascade_bench.client import CaseError, compare
    from cascade_bench.comparison import Comparison
    from cascade_bench.flow_check import assert_flow
    from cascade_bench.frozen_check import assert_frozen
    from cascade_bench.step_check import Checked, assert_no_findings, check

__all__ = [
    "Case",
    "CaseError",
    "Checked",
    "Comparison",
    "Stage",
    "assert_flow",
    "assert_frozen",
    "assert_no_findings",
    "check",
    "compare",
]

# name → its module, imported on first use: the command has to start at once
_LAZY = {
    "Case": "cascade_bench.case",
    "CaseError": "cascade_bench.client",
    "Checked": "cascade_bench.step_check",
    "Comparison": "cascade_bench.comparison",
    "Stage": "cascade_bench.case",
    "assert_flow": "cascade_bench.flow_check",
    "assert_frozen": "cascade_bench.frozen_check",
    "assert_no_findings": "cascade_bench.step_check",
    "check": "cascade_bench.step_check",
    "compare": "cascade_bench.client",
}


def __getattr__(name: str) -> Any:
    """Import what is used from the module that defines it."""
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module 'cascade_bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
