"""Tiers of the tests, and how they share the machine where several processes run them.

A test is fast unless it is marked ``slow``. Everything in ``tests/system``, and what tests the
research in ``benchmarks/evaluation``, is slow unless it is marked ``smoke``.
`benchmarks.harness.selection.check_tiers` decides for the checks in ``benchmarks``. A test marked
``serial`` measures time, or judges how long something took: it must have the machine to itself. The
Makefile says which of them run together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent / "tests"
MOSTLY_SLOW = (TESTS / "system", TESTS / "unit" / "evaluation")
BYTES_PER_PROCESS = 2 * 2**30  # two processes of each framework


def pytest_configure(config: pytest.Config) -> None:
    """Pin a process of pytest-xdist, and all that it starts, to a core of its own.

    A session that a test starts is none of its processes: with their variables in its environment
    pytest-benchmark would measure nothing.
    """
    if hasattr(config, "workerinput"):
        pin_to_core(int(config.workerinput["workerid"].removeprefix("gw")))
        for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
            del os.environ[name]


def pin_to_core(index: int) -> None:
    """Keep this process and its children on one core, so that each has a core's worth of threads.

    Does nothing on a system that cannot pin.
    """
    if hasattr(os, "sched_setaffinity"):
        system: Any = os
        cores = sorted(system.sched_getaffinity(0))
        system.sched_setaffinity(0, {cores[index % len(cores)]})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` starts: one for each core, if memory suffices."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory // BYTES_PER_PROCESS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that has the tests of one `scope` run in the same process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScenario(LoadScopeScheduling):  # type: ignore[misc]
        """Hand out the checks of a scenario together, and all other tests by their file."""

        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return ByScenario(config, log)


def scope(nodeid: str) -> str:
    """Return the name of the scenario that a check is of; for every other test its file.

    Tests of one scope run in one process: opening a problem, and building the fixtures of a
    module, cost more than most tests.
    """
    from benchmarks.scenarios import CATALOGUE

    file, _, test = nodeid.partition("::")
    parameters = test.partition("[")[2].rstrip("]").split("-")
    named = [name for name in parameters if name in CATALOGUE]
    if file.startswith("benchmarks/") and named:
        return named[0]
    return file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of whole sessions, and of research on the suite itself, as slow."""
    for item in items:
        mostly_slow = any(folder in item.path.parents for folder in MOSTLY_SLOW)
        if mostly_slow and item.get_closest_marker("smoke") is None:
            item.add_marker(pytest.mark.slow)
