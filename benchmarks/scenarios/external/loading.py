"""Load specs from outside this repository into the catalogue."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, Scenario
from benchmarks.scenarios.external import errors, files, frozen, kept_state, validation
from benchmarks.scenarios.external.errors import SpecError, SpecTimeout
from benchmarks.scenarios.external.time_limit import Late, call_within
from benchmarks.scenarios.spec import part_of

OPTION = "--scenario-path"
FORBIDDEN = ("torch", "jax", "jaxlib", "flax", "optax")


def load(paths: Iterable[str | Path], limit: float | None = None) -> list[Scenario]:
    """Load spec files, or every spec in a folder, into `CATALOGUE` and return their scenarios.

    A file that was loaded before is not loaded again. Raises `SpecError` with one line that names
    the file and the mistake; the catalogue is then unchanged.

    Args:
        paths: of spec files, or of folders of them.
        limit: seconds that reading each spec may take; None: no limit.
    """
    files_to_load = dict.fromkeys(file for path in paths for file in _spec_files(path))
    added: dict[str, Scenario] = {}
    for file in files_to_load:
        for scenario in _loaded_before(file) or _read_within(limit, file):
            _refuse_taken_name(scenario, file, added)
            added[scenario.name] = scenario
    CATALOGUE.update(added)
    return list(added.values())


def _refuse_taken_name(scenario: Scenario, file: Path, added: Mapping[str, Scenario]) -> None:
    """Raise `SpecError` if a scenario has the name of another one.

    Args:
        scenario: read from the file.
        file: its spec.
        added: the scenarios read so far, by name.
    """
    known, other = CATALOGUE.get(scenario.name), added.get(scenario.name)
    other = other or (known if known and known.file != file else None)
    if other:
        whose = f"of {other.file.name}" if other.file else "in the catalogue"
        raise SpecError(
            f"{file.name}: scenario {scenario.name!r} is already {whose}; give yours another name"
        )


def _spec_files(path: str | Path) -> list[Path]:
    """Return the specs that a path names: the file itself, or the specs of a folder.

    In a folder the parts of other specs, and files that begin with ``_``, are no specs. Raises
    `SpecError` where there is no spec.
    """
    whole = Path(path).expanduser().resolve()
    if whole.is_dir():
        candidates = sorted(file for file in whole.glob("*.py") if file.name[0] != "_")
        parts = {part_of(file, framework) for file in candidates for framework in FRAMEWORKS}
        specs = [file for file in candidates if file not in parts]
        if not specs:
            raise SpecError(f"{OPTION} {path}: no spec in this folder: no *.py without a leading _")
        return specs
    if not whole.is_file():
        raise SpecError(f"{OPTION} {path}: no such file or folder")
    if whole.suffix != ".py":
        raise SpecError(f"{OPTION} {path}: a spec is a Python file, *.py")
    return [whole]


def _loaded_before(file: Path) -> list[Scenario]:
    """Return the scenarios that are in the catalogue from this file."""
    return [scenario for scenario in CATALOGUE.values() if scenario.file == file]


def _read_within(limit: float | None, file: Path) -> list[Scenario]:
    """Read a file within a time limit, see `_read`; raises `SpecTimeout` if that takes longer."""
    try:
        return call_within(limit, _read, file)
    except Late:
        raise SpecTimeout(
            f"{file.name}: importing and validating it took longer than {limit:g} s (--cell-limit)"
        ) from None


def _read(file: Path) -> list[Scenario]:
    """Run the file and return its scenarios; raises `SpecError` for the first mistake in it."""
    scenarios = _listed(file)
    _refuse_without_parts(file)
    return [_checked(scenario, file) for scenario in scenarios]


def _listed(file: Path) -> Sequence[Any]:
    """Run the file and return its ``SCENARIOS``, a tuple or a list that is not empty.

    Raise `SpecError` if there is none, or if running the file raises an exception.
    """
    scenarios = getattr(_execute(file), "SCENARIOS", None)
    if scenarios is None:
        raise SpecError(f"{file.name}: no SCENARIOS; end the file with SCENARIOS = (MY_NETWORK,)")
    if not isinstance(scenarios, tuple | list) or not scenarios:
        kind = type(scenarios).__name__ if scenarios else "empty"
        raise SpecError(f"{file.name}: SCENARIOS is {kind}, should be a tuple: (MY_NETWORK,)")
    return scenarios


def _refuse_without_parts(file: Path) -> None:
    """Raise `SpecError` if no framework's part stands beside the spec."""
    parts = [part_of(file, framework) for framework in FRAMEWORKS]
    if not any(part.is_file() for part in parts):
        names = " nor ".join(part.name for part in parts)
        raise SpecError(
            f"{file.name}: neither {names} stands beside it; one part at least is needed"
        )


def _checked(scenario: Any, file: Path) -> Scenario:
    """Return a scenario, completed by its file, if it can be used; raise `SpecError` if not."""
    if not isinstance(scenario, Scenario):
        kind = type(scenario).__name__
        raise SpecError(f"{file.name}: SCENARIOS holds a {kind}, should hold Scenario only")
    complete = replace(
        scenario,
        file=file,
        family=file.stem,
        parameters=kept_state.restoring(scenario.parameters),
        data=kept_state.restoring(scenario.data),
        buffers=scenario.buffers and kept_state.restoring(scenario.buffers),
    )
    mistake = validation.first_mistake(complete)
    if mistake:
        raise SpecError(f"{file.name}: {scenario.name}: {mistake}")
    return frozen.with_resolved_names(complete)


def _execute(file: Path) -> ModuleType:
    """Import a spec without frameworks, and return the module.

    An exception of its code becomes a `SpecError` that names the line.
    """
    with _without_frameworks():
        try:
            return files.import_file(file)
        except (Exception, SystemExit) as error:
            raise SpecError(
                errors.format_error(error, file) + _hint_at_missing_spec(file)
            ) from error


def _hint_at_missing_spec(file: Path) -> str:
    """Return a hint for a file that is named like the part of a spec that is not there."""
    stems = [file.stem.removesuffix(f"_{f}") for f in FRAMEWORKS if file.stem.endswith(f"_{f}")]
    return f" (if this is a part: no spec {stems[0]}.py stands beside it)" if stems else ""


class _FrameworkBlocker:
    """Refuse the import of the frameworks, as an entry of ``sys.meta_path``.

    It refuses this thread alone: a spec that hangs leaves its blocker behind, see `time_limit`.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raise `ImportError` for a module of a framework; leave every other one to Python."""
        if name.partition(".")[0] in FORBIDDEN and threading.get_ident() == self._thread:
            raise ImportError(
                f"a spec must not import {name}: it says in plain Python and NumPy what exists; "
                f"what needs {name} belongs in the part, such as my_network_torch.py"
            )


@contextmanager
def _without_frameworks() -> Iterator[None]:
    """Make imports of a framework fail with an explanation while a spec runs.

    The controlling process reads specs and must not load a framework itself.
    """
    blocker: Any = _FrameworkBlocker()
    sys.meta_path.insert(0, blocker)
    try:
        yield
    finally:
        sys.meta_path.remove(blocker)
