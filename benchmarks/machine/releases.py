"""Tell which releases of the frameworks' packages this suite was tested with, and which are here.

The ranges are those of ``pyproject.toml``. A release outside them is no reason to refuse: nobody
has seen the suite with it, and one line says so.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping

from packaging.requirements import Requirement
from packaging.version import Version

from benchmarks.machine import environment
from benchmarks.machine.frameworks import NEEDED
from results.records.installing import DISTRIBUTION


def tested_ranges() -> dict[str, Requirement]:
    """Return package → the versions it was tested with; empty if this suite is not installed."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    requirements = (Requirement(line) for line in lines)
    return {one.name: one for one in requirements if one.specifier}


def in_words(requirement: Requirement) -> str:
    """Return a range of versions as text, its lower bound first: ``>=2.11,<2.16``."""
    return ",".join(sorted(map(str, requirement.specifier), reverse=True))


def is_tested(version: str, requirement: Requirement) -> bool:
    """Return whether a version is in a range; builds of one release, such as +cpu, are alike."""
    return requirement.specifier.contains(version, prereleases=True)


def untested(frameworks: Iterable[str]) -> str | None:
    """Return a line about installed releases that this suite was not tested with, if there are any.

    Args:
        frameworks: ``torch``, ``jax`` or both, that are going to run.

    Returns:
        A line such as ``torch 2.16.0: not tested (tested: >=2.11,<2.16); going on. …``; None where
        all are in range, or this suite is not installed.
    """
    ranges, odd = tested_ranges(), []
    for package in (package for name in frameworks for package in NEEDED[name]):
        version, tested = environment.installed(package), ranges.get(package)
        if version and tested and not is_tested(version, tested):
            odd.append(f"{package} {version} (tested: {in_words(tested)})")
    if not odd:
        return None
    return (
        f"not tested with {' and '.join(odd)}: going on; a check that fails may be due to it, see "
        "docs/releases.md"
    )


def reading(package: str, readings: Mapping[str, str]) -> str:
    """Return what the installed release of a package is declared to say or do.

    Args:
        package: such as ``jax``.
        readings: the first release that reads so → what it reads.

    Raises:
        LookupError: the package is not installed, or is older than every reading.
    """
    version = Version(environment.installed(package) or "0")
    known = [first for first in readings if version >= Version(first)]
    if not known:
        raise LookupError(f"{package} {version}: no reading; there are those from {list(readings)}")
    return readings[max(known, key=Version)]
