"""Specs from outside this repository into the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.scenarios import CATALOGUE, FRAMEWORKS, Scenario
from benchmarks.scenarios.external import errors, files, validation
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.spec import part_of

OPTION = "--scenario-path"
FORBIDDEN = ("torch", "jax", "jaxlib", "flax", "optax")


def load(paths: Iterable[str | Path]) -> list[Scenario]:
    """The scenarios of these files, or of every spec in these folders, now in the catalogue.

    A file that was loaded before is not loaded again. Raises `SpecError`, one line that names the
    file and the mistake; the catalogue is then as it was.
    """
    specs = list(dict.fromkeys(file for path in paths for file in _specs(path)))
    added: dict[str, Scenario] = {}
    for file in specs:
        for scenario in _known(file) or _read(file):
            known, other = CATALOGUE.get(scenario.name), added.get(scenario.name)
            other = other or (known if known and known.file != file else None)
            if other:
                whose = f"of {other.file.name}" if other.file else "in the catalogue"
                raise SpecError(
                    f"{file.name}: scenario {scenario.name!r} is already {whose}; "
                    "give yours another name"
                )
            added[scenario.name] = scenario
    CATALOGUE.update(added)
    return list(added.values())


def _specs(path: str | Path) -> list[Path]:
    """The file, or the specs of the folder: neither another's part nor begun with ``_``."""
    whole = Path(path).expanduser().resolve()
    if whole.is_dir():
        there = sorted(file for file in whole.glob("*.py") if file.name[0] != "_")
        parts = {part_of(file, framework) for file in there for framework in FRAMEWORKS}
        found = [file for file in there if file not in parts]
        if not found:
            raise SpecError(f"{OPTION} {path}: no spec in this folder: no *.py without a leading _")
        return found
    if not whole.is_file():
        raise SpecError(f"{OPTION} {path}: no such file or folder")
    if whole.suffix != ".py":
        raise SpecError(f"{OPTION} {path}: a spec is a Python file, *.py")
    return [whole]


def _known(file: Path) -> list[Scenario]:
    return [scenario for scenario in CATALOGUE.values() if scenario.file == file]


def _read(file: Path) -> list[Scenario]:
    scenarios = getattr(_executed(file), "SCENARIOS", None)
    if scenarios is None:
        raise SpecError(f"{file.name}: no SCENARIOS; end the file with SCENARIOS = (MY_NETWORK,)")
    if not isinstance(scenarios, tuple | list) or not scenarios:
        kind = type(scenarios).__name__ if scenarios else "empty"
        raise SpecError(f"{file.name}: SCENARIOS is {kind}, should be a tuple: (MY_NETWORK,)")
    parts = [part_of(file, framework) for framework in FRAMEWORKS]
    if not any(part.is_file() for part in parts):
        names = " nor ".join(part.name for part in parts)
        raise SpecError(
            f"{file.name}: neither {names} stands beside it; one part at least is needed"
        )
    made: list[Scenario] = []
    for scenario in scenarios:
        if not isinstance(scenario, Scenario):
            kind = type(scenario).__name__
            raise SpecError(f"{file.name}: SCENARIOS holds a {kind}, should hold Scenario only")
        made.append(replace(scenario, file=file, family=file.stem))
        mistake = validation.mistake(made[-1])
        if mistake:
            raise SpecError(f"{file.name}: {scenario.name}: {mistake}")
    return made


def _executed(file: Path) -> ModuleType:
    with _without_frameworks():
        try:
            return files.imported(file)
        except (Exception, SystemExit) as error:
            raise SpecError(errors.told(error, file) + _orphaned(file)) from error


def _orphaned(file: Path) -> str:
    """What to add where the file looks like the part of a spec that is not there."""
    whose = [file.stem.removesuffix(f"_{f}") for f in FRAMEWORKS if file.stem.endswith(f"_{f}")]
    return f" (if this is a part: no spec {whose[0]}.py stands beside it)" if whose else ""


class _Refusing:
    """Finds no module, and refuses those of the frameworks."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(
                f"a spec must not import {name}: it says in plain Python and NumPy what exists; "
                f"what needs {name} belongs in the part, such as my_network_torch.py"
            )


@contextmanager
def _without_frameworks() -> Iterator[None]:
    """A spec is read where nothing is timed, and no framework is ever imported there."""
    refusing: Any = _Refusing()
    sys.meta_path.insert(0, refusing)
    try:
        yield
    finally:
        sys.meta_path.remove(refusing)
