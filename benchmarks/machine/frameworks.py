"""Tell which frameworks are installed here, and how to install those that are not."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.machine import environment
from results.records.installing import install_command

NEEDED = {"torch": ("torch",), "jax": ("jax", "flax", "optax")}


def present() -> list[str]:
    """Return the frameworks that have all their packages installed; nothing is imported."""
    return [framework for framework in NEEDED if not missing_packages(framework)]


def missing_packages(framework: str) -> list[str]:
    """Return the packages of a framework that are not installed."""
    return [name for name in NEEDED[framework] if environment.installed(name) is None]


def why_missing(framework: str) -> str:
    """Return which packages of a framework are not installed, and the command that installs them.

    Returns:
        A line such as ``jax needs flax and optax, not installed here: pip install -e '.[jax]'``;
        empty if all are installed.
    """
    missing = missing_packages(framework)
    if not missing:
        return ""
    absent = _listed(missing)
    subject = f"{framework} is" if framework in missing else f"{framework} needs {absent},"
    return f"{subject} not installed here: {install_command(framework)}"


def none_installed() -> str:
    """Return a line for where no framework is installed: the ways to install one."""
    ways = (f"{install_command(name)} ({_listed(missing_packages(name))})" for name in NEEDED)
    return f"no framework is installed here; install one, or both: {'; '.join(ways)}"


def _listed(names: Sequence[str]) -> str:
    """Return names in words: ``jax, flax and optax``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
