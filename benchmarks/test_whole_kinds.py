"""Hold that what is shown of a whole kind is shown of every member that the release has.

A demonstration of traps runs every scheduler, optimizer, module, hook, checkpoint or cache of a
library. Which there are is read from the library here: where a new release brings another, a check
is red until that is shown too, or declared with the reason why not. What some releases have and
others have not is declared with the releases that have it.
"""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.machine import environment, releases

KINDS = {  # kind → the file of an implementation that shows it
    "schedulers": "schedule_traps.py",
    "optimizers": "stepping_traps.py",
    "modules": "state_traps.py",
    "hooks": "hook_traps.py",
    "checkpoints": "module_traps.py",
    "caches": "module_traps.py",
}
# A kind has at least so many members: none is found where the reading of the library fails.
AT_LEAST = {
    ("torch", "schedulers"): 15,
    ("torch", "optimizers"): 15,
    ("torch", "modules"): 20,
    ("torch", "hooks"): 11,
    ("torch", "checkpoints"): 5,
    ("torch", "caches"): 4,
    ("jax", "schedulers"): 15,
    ("jax", "optimizers"): 45,
    ("jax", "modules"): 3,
    ("jax", "hooks"): 4,
    ("jax", "checkpoints"): 3,
    ("jax", "caches"): 7,
}


def not_in_this_release(only_in: dict[str, str]) -> set[str]:
    """Return the names that the installed release is declared not to have.

    Args:
        only_in: name → the releases that have it, such as ``torch>=2.14``.
    """
    having = {name: Requirement(text) for name, text in only_in.items()}
    return {
        name
        for name, one in having.items()
        if not releases.is_tested(environment.installed(one.name) or "0", one)
    }


@pytest.mark.parametrize(("library", "kind"), AT_LEAST)
def test_every_member_of_the_release_is_shown_or_declared(
    workers: CheckWorkers, library: str, kind: str
) -> None:
    release = workers.demonstrate(library, f"{kind}_of_this_release")
    members, shown, declared = (set(release[name]) for name in ("found", "shown", "declared"))
    file = f"impl_{library}/{KINDS[kind]}"
    assert len(members) >= AT_LEAST[library, kind]
    missing = sorted(members - shown - declared)
    assert not missing, f"show {missing} in {file}, or declare there why not"
    absent = not_in_this_release(release.get("only_in", {}))
    gone = sorted((shown | declared) - members - absent)
    assert not gone, (
        f"{file} names {gone}, which this release lacks: declare which releases have it"
    )
    present = sorted(members & absent)
    assert not present, f"{file} declares that this release lacks {present}, and it does not"
    assert not shown & declared
    assert all(len(why) > 10 for why in release["declared"].values())
