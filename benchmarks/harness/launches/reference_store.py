"""Keep the float64 references of this suite's scenarios on disk, from session to session.

A reference depends on nothing that is timed: on weights and data, on the code that computes it, on
the versions of the packages and on the processor. It is stored under a hash of all of them, so that
what was changed is computed again. References of two frameworks are compared with each other in
every session, stored or not, and only what agreed is stored.

Only sessions that measure this checkout use the store: a comparison of two versions, the checks
and a user's own scenarios compute theirs each time.

``CASCADE_BENCH_REFERENCE_CACHE=off`` switches it off; any other value names the folder to use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.launches import check_cache
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays
from benchmarks.paths import ROOT

if TYPE_CHECKING:
    from benchmarks.harness.launches.problems import ProblemFiles

VARIABLE = "CASCADE_BENCH_REFERENCE_CACHE"
NAME = "references"
MOST_BYTES = 2**28  # of all references together
MOST_BYTES_OF_ONE = 2**25  # a larger one is computed in every session
# the code that a reference depends on, beside that of its framework's implementation
CODE = (
    "benchmarks/scenarios",
    "benchmarks/harness/protocol",
    "benchmarks/harness/worker",
    "benchmarks/harness/launches",
)
FLOW = "flow"  # the array beside the gradients that holds the proven flow, as JSON
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

Matrix = dict[str, dict[str, str]]  # loss → network → value, zero or absent


class ReferenceStore:
    """Store the references of one problem, and find those that an earlier session has stored.

    Args:
        files: the problem.
    """

    def __init__(self, files: ProblemFiles) -> None:
        self.files = files

    def load(self, framework: str, kind: str, *, step: bool, path: Path) -> Matrix | None:
        """Copy a stored reference to a file, and return the flow that was proven for it.

        Args:
            framework: whose reference it is.
            kind: ``backward`` or ``freeze``.
            step: whether it includes the parameters after an optimizer step.
            path: the ``.npz`` file to write.

        Returns:
            The flow; None where nothing is stored, or what is stored is damaged.
        """
        place = self._place(framework, kind, step)
        if place is None or not place.is_file():
            return None
        with contextlib.suppress(*DAMAGED):
            arrays = read_arrays(place)
            flow: Matrix = json.loads(str(arrays.pop(FLOW)))
            write_arrays(path, arrays)
            os.utime(place.parent)  # marks the folder as used now
            return flow
        return None

    def save(self, framework: str, kind: str, *, step: bool, path: str, flow: Matrix) -> None:
        """Store a reference with the flow that was proven; do nothing where that cannot be done.

        Args:
            framework, kind, step: as in `load`.
            path: the ``.npz`` file of the reference.
            flow: loss → network → ``value``, ``zero`` or ``absent``.
        """
        place = self._place(framework, kind, step)
        if place is None or Path(path).stat().st_size > MOST_BYTES_OF_ONE:
            return
        with contextlib.suppress(OSError, disk.DiskError):
            place.parent.mkdir(parents=True, exist_ok=True)
            check_cache.prune(place.parent.parent, place.parent, MOST_BYTES)
            # under another name first: another session may be reading
            with tempfile.TemporaryDirectory(dir=place.parent) as folder:
                whole = Path(folder) / place.name
                write_arrays(whole, {**read_arrays(path), FLOW: np.array(json.dumps(flow))})
                os.replace(whole, place)

    def _place(self, framework: str, kind: str, step: bool) -> Path | None:
        """Return the file of a reference in the store; None where the store is switched off."""
        top = check_cache.root(variable=VARIABLE, name=NAME)
        if top is None:
            return None
        decisive = [
            [*self.files.problem, framework, kind, step],
            self.files.problem_spec,
            [_digest(Path(name)) for name in (self.files.weights, self.files.data)],
        ]
        name = hashlib.sha256(_text(decisive).encode()).hexdigest()[:24]
        return top / surroundings(framework) / f"{name}.npz"


@cache
def surroundings(framework: str) -> str:
    """Return a hash of the code, the versions and the processor that a reference depends on."""
    code = {
        str(path.relative_to(ROOT)): _digest(path)
        for folder in (f"impl_{framework}", *CODE)
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    flags = os.environ.get("XLA_FLAGS", "")
    return hashlib.sha256(_text([code, check_cache.key(flags)]).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    """Return a hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _text(value: Any) -> str:
    """Return a value as JSON, the same for equal values."""
    return json.dumps(value, sort_keys=True, default=str)
