"""Faults seeded into a copy of the implementations: each must turn a check red, and that one.

These are the ones of `tests.mutations` that are always seeded; `make audit` seeds all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mutations import FAULTS
from tests.mutations.running import Runner, Verdict, copy_with, judge

ALWAYS = [name for name, fault in FAULTS.items() if fault.always]


def tried(runner: Runner, name: str, folder: Path) -> Verdict:
    """Try a fault on a copy that has it, and return what became of it."""
    copy_with(FAULTS[name], folder)
    done = runner.run(folder, FAULTS[name].arguments(), folder / "report.xml")
    verdict = judge(FAULTS[name], done)
    return verdict if verdict.outcome == "caught" else Verdict(verdict.outcome, said=done.output)


@pytest.fixture(scope="session")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Verdict]]]:
    """Yield name → verdict of each fault, tried two at a time: most of it is starting up."""
    names = [name for name in ALWAYS if any(f"[{name}]" in i.name for i in request.session.items)]
    runner = Runner()
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(tried, runner, name, tmp_path_factory.mktemp(name)) for name in names
        }
        runner.stop()


@pytest.mark.parametrize("name", ALWAYS)
def test_seeded_fault_turns_its_check_red(name: str, verdicts: dict[str, Future[Verdict]]) -> None:
    verdict = verdicts[name].result()
    assert verdict.outcome == "caught", f"{verdict.outcome}: {verdict.said[-2000:]}"
