"""Read what describes a machine: files, environment variables, the output of programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALL_SECONDS = 30.0  # nvidia-smi wakes every GPU first where no daemon keeps the driver loaded


def output(command: Sequence[str]) -> str | None:
    """Run a program and return its output; None if it is absent, fails or is too slow.

    The limit is `CALL_SECONDS`.
    """
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return completed.stdout.strip() if completed.returncode == 0 else None


def allowed_cpus() -> set[int] | None:
    """Return the CPUs this process may run on; None where the system has no affinity (macOS)."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return affinity(0) if affinity else None


@dataclass(frozen=True)
class Host:
    """Access to a machine; tests replace all four fields to make up another machine.

    Attributes:
        root: The folder that holds ``proc`` and ``sys``.
        environ: The environment variables.
        call: Runs a program and returns what it prints, or None.
        affinity: Returns the CPUs that may be used, or None.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    call: Callable[[Sequence[str]], str | None] = output
    affinity: Callable[[], set[int] | None] = allowed_cpus

    @property
    def real(self) -> bool:
        """Return whether this is the machine we run on, so that system calls describe it too."""
        return self.root == Path("/")

    def text(self, path: str) -> str | None:
        """Return the stripped text of a file under the root; None if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # absent, not permitted, or a device that does not answer
            return None

    def number(self, path: str) -> int | None:
        """Return the whole number that a file holds; None if it holds anything else."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match the pattern, relative to the root and sorted."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))
