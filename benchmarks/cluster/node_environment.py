"""Hold a node to the code and the packages of the session: times of two versions never mix."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.cluster.unit import Expected, UnitJob
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import resume
from benchmarks.machine import environment

SHOWN = 12  # digits of a commit


def expected(cells: Iterable[Cell], machine: dict[str, Any]) -> Expected:
    """Return what nodes must have, which is what the process has that submits.

    Args:
        cells: of the session.
        machine: the description of this machine, see `environment.describe`.
    """
    return {
        "versions": _versions(),
        "commit": machine["commit"],
        "code": resume.code_digest(cells),
    }


def _versions() -> dict[str, str | None]:
    """Return the version of Python and of each package that a time depends on."""
    packages = {name: environment.installed(name) for name in environment.PACKAGES}
    return {"python": platform.python_version(), **packages}


def difference(job: UnitJob, machine: dict[str, Any]) -> str | None:
    """Return in a line how this machine differs from what a unit needs; None where it does not.

    Args:
        job: the unit.
        machine: the description of this machine.
    """
    wanted, here = job["expected"], _versions()
    texts = [
        f"{name} {here.get(name) or 'not installed'} there, {version or 'not installed'} here"
        for name, version in wanted["versions"].items()
        if here.get(name) != version
    ]
    texts += _other_commit(wanted["commit"], machine["commit"])
    if not texts and resume.digest_of(map(Path, job["specs"])) != wanted["code"]:
        texts.append("the code that measures has other files or contents there than here")
    if not machine["gpu"] and any(group["device"] == "cuda" for group in job["groups"]):
        texts.append("no GPU there, and the unit is for cuda")
    return "; ".join(texts) or None


def _other_commit(wanted: str | None, there: str | None) -> list[str]:
    """Return the words on a commit that is another one; none where one of them is unknown."""
    if not wanted or not there or wanted == there:
        return []
    return [f"commit {there[:SHOWN]} there, {wanted[:SHOWN]} here"]
