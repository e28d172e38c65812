"""Hold that what is shown of a whole kind is shown of every member that the release has.

A demonstration of traps runs every scheduler, optimizer or module of a library. Which there are is
read from the library here: where a new release brings another, a check is red until that is shown
too, or declared with the reason why not.
"""

from __future__ import annotations

import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers

KINDS = {  # kind → the file of an implementation that shows it
    "schedulers": "schedule_traps.py",
    "optimizers": "stepping_traps.py",
    "modules": "state_traps.py",
}
# A kind has at least so many members: none is found where the reading of the library fails.
AT_LEAST = {
    ("torch", "schedulers"): 15,
    ("torch", "optimizers"): 15,
    ("torch", "modules"): 20,
    ("jax", "schedulers"): 15,
    ("jax", "optimizers"): 45,
    ("jax", "modules"): 3,
}


@pytest.mark.parametrize(("library", "kind"), AT_LEAST)
def test_every_member_of_the_release_is_shown_or_declared(
    workers: CheckWorkers, library: str, kind: str
) -> None:
    release = workers.demonstrate(library, f"{kind}_of_this_release")
    found, shown, declared = (set(release[name]) for name in ("found", "shown", "declared"))
    file = f"impl_{library}/{KINDS[kind]}"
    assert len(found) >= AT_LEAST[library, kind]
    missing = sorted(found - shown - declared)
    assert not missing, f"show {missing} in {file}, or declare there why not"
    gone = sorted((shown | declared) - found)
    assert not gone, f"{file} names {gone}, which this release lacks"
    assert not shown & declared
    assert all(len(why) > 10 for why in release["declared"].values())
