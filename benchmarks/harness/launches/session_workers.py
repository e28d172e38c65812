"""Keep one set of check workers for all tests of a pytest session, whichever folder they are in."""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.launches.launch import ANSWER_SECONDS

WORKERS = pytest.StashKey[CheckWorkers]()


def of_session(
    config: pytest.Config, limit: float = ANSWER_SECONDS, device: str = "cpu"
) -> CheckWorkers:
    """Return the workers of a pytest session, which end with it; the first call makes them.

    Args:
        config: of the session.
        limit: seconds for each part of a user's own scenario, see `CheckWorkers`; that of the first
            call counts.
        device: on which they compute, likewise.
    """
    if WORKERS not in config.stash:
        config.stash[WORKERS] = CheckWorkers(limit, device)
        config.add_cleanup(config.stash[WORKERS].close)
    return config.stash[WORKERS]
