"""Draw the weights and data of a problem, and say what is wrong where a user's spec cannot."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.scenarios import Scenario
from benchmarks.scenarios.external import errors


def draw_arrays(
    spec: Scenario, variant: str, size: str, limit: float, time_outs: TimeOuts
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights and the data of a problem, each name → array.

    An exception in a user's own spec becomes a `SpecError` of one line.

    Args:
        spec: the scenario.
        variant: of the scenario.
        size: of the scenario.
        limit: seconds that a user's own spec may take.
        time_outs: of the session; a spec that took too long before is not run again.
    """
    try:
        return time_outs.draw(spec, limit, variant, size)
    except errors.SpecError:
        raise
    except Exception as error:
        if spec.file is None:
            raise
        task = f"drawing {spec.name} at size {size!r}"
        raise errors.SpecError(f"{errors.format_error(error, spec.file)} ({task})") from error
