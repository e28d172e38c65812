"""Draw the weights and data of a problem, and say what is wrong where a user's spec cannot."""

from __future__ import annotations

from typing import Any

from benchmarks.scenarios import Scenario
from benchmarks.scenarios.external import errors


def draw_arrays(spec: Scenario, variant: str, size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights and the data of a problem, each name → array.

    An exception in a user's own spec becomes a `SpecError` of one line.
    """
    try:
        return spec.draw(variant, size)
    except Exception as error:
        if spec.file is None:
            raise
        task = f"drawing {spec.name} at size {size!r}"
        raise errors.SpecError(f"{errors.format_error(error, spec.file)} ({task})") from error
