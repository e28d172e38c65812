"""Tell what a pytest session is going to do, and why it does nothing where nothing is left."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import cost

CHECK_SECONDS = 0.75  # of a check on 2 CPU cores, on the average of all checks
FILTERS = {"-k": "keyword", "-m": "markexpr", "--deselect": "deselect"}
# options that choose what is timed, and that no check looks at
OF_TIMING = ("kind", "mode", "strategy", "phase", "precision_mode")


@dataclass
class Collected:
    """Count what was collected before pytest's own filters, such as ``-k``, take effect.

    ``names`` are those of the tests that the options of this suite leave; ``without_problem`` are
    checks for which the selection has nothing to check.
    """

    names: list[str] = field(default_factory=list)
    without_problem: list[str] = field(default_factory=list)


def announcement(
    config: pytest.Config,
    collected: Collected,
    items: Sequence[pytest.Item],
    timed: list[cells.Cell],
) -> Iterator[str]:
    """Yield lines to print once the tests are collected: what follows, or why nothing does.

    Args:
        config: pytest's.
        collected: what there was before pytest's own filters.
        items: the tests that are left.
        timed: the cells among them.
    """
    if not items:
        yield _why_nothing(config, collected)
        return
    checks = len(items) - len(timed)
    if timed and checks and not config.getoption("benchmark_disable"):
        yield (
            f"{checks} checks first, {_minutes(checks * CHECK_SECONDS)}, then {len(timed)} cells "
            f"are timed, {_minutes(_timing_seconds(config, timed))} on 2 CPU cores; for one of the "
            "two: --benchmark-skip checks only, --benchmark-only times only"
        )
    if checks and config.getoption("benchmark_skip"):
        yield from _narrower_than_asked(config, collected)


def _narrower_than_asked(config: pytest.Config, collected: Collected) -> Iterator[str]:
    """Yield lines about checks that have nothing to check, and options that no check looks at."""
    if collected.without_problem:
        names = ", ".join(collected.without_problem)
        yield f"nothing to check in this selection for {len(collected.without_problem)}: {names}"
    given = [f"--{name.replace('_', '-')}" for name in OF_TIMING if config.getoption(name)]
    if given:
        yield f"{', '.join(given)}: chosen for what is timed; the checks run all of them"


def _timing_seconds(config: pytest.Config, timed: list[cells.Cell]) -> float:
    """Estimate the seconds that timing these cells takes."""
    launches, seconds = config.getoption("launches"), config.getoption("cell_seconds")
    return cost.estimate_cells(timed, launches, seconds, config.getoption("memory")).seconds


def _minutes(seconds: float) -> str:
    """Return a rough duration in words."""
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {max(1, round(seconds))} s"


def _why_nothing(config: pytest.Config, collected: Collected) -> str:
    """Return why no test is left to run, with the nearest names for ``-k``."""
    if not collected.names:
        given = _given(config)
        options = f" by {' '.join(given)}" if given else ""
        return (
            f"nothing to run: no check and no cell of the files named is selected{options}; "
            "see `cascade-bench list`"
        )
    filters = {option: config.getoption(name) for option, name in FILTERS.items()}
    given = [f"{option} {value!r}" for option, value in filters.items() if value]
    near = _nearest(filters["-k"] or "", collected.names)
    hint = f"; nearest names: {', '.join(near)}" if near else ""
    return (
        f"nothing to run: {' '.join(given) or 'a filter'} leaves none of the "
        f"{len(collected.names)} tests that the other options select{hint}"
    )


def _given(config: pytest.Config) -> list[str]:
    """Return the options of the selection that were given, as they would be typed."""
    switches = ("--benchmark-only", "--benchmark-skip")
    given = [option for option in switches if config.getoption(option)]
    for name in cells.OPTIONS:
        given += [f"--{name}={value}" for value in config.getoption(name) or ()]
    mode = config.getoption("precision_mode")
    return [*given, f"--precision-mode={mode}"] if mode else given


def _nearest(expression: str, names: Iterable[str]) -> list[str]:
    """Return names like those in the expression of ``-k`` that no test's name contains."""
    words = {word for name in names for word in re.split(r"[\[\]-]+", name) if word}
    whole = [name.lower() for name in names]
    near: list[str] = []
    for word in re.findall(r"[\w.]+", expression):
        if word not in ("and", "or", "not") and not any(word.lower() in name for name in whole):
            near += difflib.get_close_matches(word, sorted(words), 2)
    return list(dict.fromkeys(near))


def unchecked(
    skipped: Sequence[pytest.TestReport],
    ran: Sequence[pytest.TestReport],
    frameworks: Iterable[str],
) -> list[str]:
    """Return a line for each framework of which every check was skipped, with their number.

    Args:
        skipped: the reports of skipped tests.
        ran: the reports of tests that passed or failed.
        frameworks: the selected ones.
    """
    lines = []
    for framework in frameworks:
        reasons = [_reason(one) for one in skipped if framework in _parameters(one)]
        if reasons and not any(framework in _parameters(one) for one in ran):
            most, _ = Counter(reasons).most_common(1)[0]
            lines.append(f"NOTHING CHECKED for {framework}: {len(reasons)} skipped, as {most}")
    return lines


def _parameters(report: pytest.TestReport) -> list[str]:
    """Return the parameters of a test by its name: what stands in brackets, cut at each dash."""
    return report.nodeid.partition("[")[2].rstrip("]").split("-")


def _reason(report: pytest.TestReport) -> str:
    """Return why a test was skipped."""
    where = report.longrepr
    return str(where[2] if isinstance(where, tuple) else where).removeprefix("Skipped: ")
