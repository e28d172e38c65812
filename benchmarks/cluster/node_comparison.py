"""Compare two versions on this node: ``cascade-bench regress`` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ENDING_SECONDS = 60.0  # in which an interrupted comparison ends its workers


def compare(arguments: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    """Run a comparison and return its document, and the last line that it said.

    Args:
        arguments: of ``cascade-bench regress``.

    Returns:
        The document is None where the comparison saved none; the line says why then.
    """
    with tempfile.TemporaryDirectory(prefix="cascade-bench-compared-") as folder:
        command = [sys.executable, "-m", "benchmarks.cli", "regress", *arguments]
        last_line = _run([*command, "--results", folder])
        saved = sorted(Path(folder).rglob("*.json"))
        document = json.loads(saved[-1].read_text()) if saved else None
    return document, last_line


def _run(command: Sequence[str]) -> str:
    """Run a command, and return the last line of its stderr; interrupt it with this process."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, errors = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"it ended with {process.returncode} and said nothing"
