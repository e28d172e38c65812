"""Say how hypothesis searches for damage: the same damage each time, and more of it at scale."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("CASCADE_BENCH_FUZZ", "0"))
PLACES = st.integers(0, 2**16)


def searched(examples: int, *, derandomize: bool = True) -> settings:
    """Return how to search: so many damaged runs, the same ones each time unless at scale."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=derandomize and not EXAMPLES,
        deadline=None,  # `Readers` bounds the time of each command
        phases=[Phase.generate] if EXAMPLES else [Phase.generate, Phase.shrink],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
