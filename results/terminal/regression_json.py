"""Return the conclusions of a comparison of two versions as objects of JSON."""

from __future__ import annotations

import math
from typing import Any

from results.regression.document import Finding, FrameworkShift, Ratio
from results.terminal import count_table


def shift_json(shift: FrameworkShift) -> dict[str, Any]:
    """Return the change that all cells of a framework share as an object of JSON."""
    return {
        "framework": shift.framework,
        "cells": shift.cells,
        "verdict": shift.verdict,
        "ratios": {name: _ratio_json(ratio) for name, ratio in shift.ratios.items()},
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return the conclusion on one cell as an object of JSON."""
    return {
        "cell": dict(finding.cell),
        "verdict": finding.verdict,
        "why": finding.why or None,
        "counts": [count_table.as_json(one) for one in finding.counts],
        "base_seconds": finding.base,
        "head_seconds": finding.head,
        "ratios": {name: _ratio_json(ratio) for name, ratio in finding.ratios.items()},
    }


def _ratio_json(ratio: Ratio) -> dict[str, Any]:
    """Return a ratio as an object of JSON, whose ends are null where there is no interval."""
    ends = {"low": None, "high": None} if math.isinf(ratio.high) else {}
    return {**vars(ratio), **ends}
