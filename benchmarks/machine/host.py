"""Where the facts of a machine are read from: files, environment variables, programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALL_SECONDS = 30.0  # nvidia-smi wakes every GPU first where no daemon keeps the driver loaded


def output(command: Sequence[str]) -> str | None:
    """What a program prints; None where it is absent, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def allowed_cpus() -> set[int] | None:
    """The CPUs this process may run on; None on a system that does not say (macOS, Windows)."""
    asked: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return asked(0) if asked else None


@dataclass(frozen=True)
class Host:
    """``root`` is the folder that holds ``proc`` and ``sys``: tests give made-up ones."""

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    call: Callable[[Sequence[str]], str | None] = output
    affinity: Callable[[], set[int] | None] = allowed_cpus

    @property
    def real(self) -> bool:
        """Whether this is the machine we run on, so that the system itself may be asked too."""
        return self.root == Path("/")

    def text(self, path: str) -> str | None:
        """The stripped text of a file under the root; None where it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # absent, not allowed, or a device that has no answer
            return None

    def number(self, path: str) -> int | None:
        """A file that holds one whole number; None where it does not."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def found(self, pattern: str) -> list[str]:
        """The paths under the root that match, in order."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))
