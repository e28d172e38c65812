"""The pages of traps and costs are what their generator makes of the tests now."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from benchmarks.evaluation import traps_page
from benchmarks.harness.launches.check_workers import CheckWorkers

NUMBER = re.compile(r"(?<!\w)-?\d[\d.]*(e[-+]\d+)?(?!\w)")


@pytest.fixture(scope="module")
def workers() -> Iterator[CheckWorkers]:
    """Workers for the checks, which end with this file's tests."""
    workers = CheckWorkers()
    yield workers
    workers.close()


def without_measurements(page: str) -> list[str]:
    """Lines of the page; in what was measured, machines and versions may differ by a number."""
    measured = ("| ", "Measured with ", "Counted with ")
    return [
        NUMBER.sub("#", line) if line.startswith(measured) else line for line in page.splitlines()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", traps_page.PAGES, ids=lambda page: page.file.stem)
def test_page_is_what_the_tests_say(workers: CheckWorkers, page: traps_page.Page) -> None:
    made, kept = traps_page.write(page, workers), page.file.read_text()
    assert without_measurements(made) == without_measurements(kept), "run: make docs"


def test_only_measured_numbers_may_differ() -> None:
    lines = without_measurements(
        "| net2 moved | 2.1e+06 | -0.5 |\nadam 0.1\nMeasured with jax 0.10.2"
    )
    assert lines == ["| net2 moved | # | # |", "adam 0.1", "Measured with jax #"]
