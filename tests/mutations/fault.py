"""What a seeded fault is: one place in one file changed, and the checks that must turn red."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

EQUIVALENCE = "benchmarks/test_equivalence.py"
RECIPES = "benchmarks/test_recipes.py"
TRAINING = "benchmarks/test_training.py"


class OutOfDate(Exception):
    """The table speaks of a line or of a test that is not there (any more)."""


@dataclass(frozen=True)
class Fault:
    """``old`` stands exactly once in ``file``; ``new`` is put in its place.

    ``imitates`` is the mistake that somebody makes, in a line. ``checks`` are node ids,
    ``file::function``, one of which must fail; ``scenario`` and ``narrow`` (pytest's ``-k``) keep
    what is run small. ``always`` are those that `make test-all` seeds too: they take long.
    """

    name: str
    file: str
    old: str
    new: str
    imitates: str
    checks: tuple[str, ...]
    scenario: str = ""
    narrow: str = ""
    always: bool = False

    def seeded(self) -> str:
        """The file with the fault in it. Raises `OutOfDate` where it cannot be put there."""
        path = ROOT / self.file
        text = path.read_text() if path.is_file() else ""
        if text.count(self.old) != 1:
            raise OutOfDate(
                f"the audit is out of date: {self.name}: {self.file} has {self.old!r} "
                f"{text.count(self.old)} times, and it must stand there once"
            )
        changed = text.replace(self.old, self.new)
        try:
            compile(changed, self.file, "exec")
        except SyntaxError as error:
            raise OutOfDate(
                f"{self.name}: what it puts into {self.file} is no Python: {error}"
            ) from None
        return changed

    def narrowed(self) -> tuple[str, ...]:
        """Return pytest's arguments that keep the run small: a scenario, a part of a name."""
        scenario = ("--scenario", self.scenario) if self.scenario else ()
        return (*scenario, *(("-k", self.narrow) if self.narrow else ()))

    def arguments(self) -> tuple[str, ...]:
        """Return pytest's arguments: the checks, and what keeps the run small."""
        return (*self.checks, *self.narrowed())
