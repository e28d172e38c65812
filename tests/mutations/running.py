"""Run chosen tests on a private copy of the project, and say what became of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tests.mutations.fault import ROOT, Fault

COPIED = (
    "benchmarks", "cascade_bench", "examples", "impl_torch", "impl_jax", "results", "tests", "docs",
)  # fmt: skip
LIMIT = 300.0  # seconds; a fault that makes its checks hang is not caught
FAILED = 1  # pytest's exit code where tests ran and some failed
# A fault that raises one of these was put there wrongly: the check did not have to notice anything.
ILL_FORMED = re.compile(
    r"(?:^|: )(?:[\w.]+\.)?"
    r"(SyntaxError|IndentationError|NameError|UnboundLocalError|ImportError|ModuleNotFoundError"
    r"|AttributeError|TypeError|KeyError|IndexError)\b"
)


@dataclass(frozen=True)
class Done:
    """A run of pytest: its exit code (None: stopped at the limit), and its tests by outcome.

    Tests are ``file::function``, in the order run, each with its message.
    """

    code: int | None
    passed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    output: str = ""


@dataclass(frozen=True)
class Verdict:
    """``caught`` with the test that did and what it said, ``SURVIVED``, or ``unclear`` and why."""

    outcome: str
    test: str = ""
    said: str = ""


def judge(fault: Fault, done: Done) -> Verdict:
    """Caught is only what failed in a test that ran, and not by being put in wrongly."""
    if done.code == 0:
        return Verdict("SURVIVED")
    if done.code is None:
        return Verdict("unclear", said="its checks did not end in time")
    if done.code != FAILED or done.errors or not done.failed:
        return Verdict("unclear", said=f"exit code {done.code}: {_last(done)}")
    test, message = done.failed[0]
    if test not in fault.checks:
        return Verdict("unclear", said=f"{test} failed, which is none of its checks")
    ill = ILL_FORMED.search(message)
    if ill:
        return Verdict("unclear", test, f"put in wrongly? {_line(message)}")
    return Verdict("caught", test, _line(message))


def copy_with(fault: Fault | None, folder: Path) -> None:
    """The project in a folder, without what was compiled or measured, and with the fault."""
    ignored = shutil.ignore_patterns("__pycache__", "runs", "reports")
    for package in COPIED:
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "setup.py", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    if fault:
        (folder / fault.file).write_text(fault.seeded())


class Runner:
    """Runs pytest in processes of their own; `stop` ends those that run and starts no more."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        folder: Path,
        arguments: Sequence[str],
        report: Path,
        *,
        first: bool = True,
        limit: float = LIMIT,
    ) -> Done:
        """The tests named by the arguments, on the copy in the folder; ``first``: to a failure.

        ``report`` is where pytest writes what came of them, ``limit`` is in seconds.
        """
        command = [sys.executable, "-m", "pytest", *arguments, "-q", f"--junitxml={report}"]
        command += ["--benchmark-skip", "-p", "no:cacheprovider", *(["-x"] if first else [])]
        said = report.with_suffix(".txt")
        with said.open("wb") as output:
            process = self._start(command, folder, output)
            if process is None:
                return Done(None)
            try:
                code = process.wait(timeout=limit)
            except subprocess.TimeoutExpired:
                end(process)
                return Done(None)
            finally:
                with self._lock:
                    self._running.discard(process)
        return read(report, code, said.read_text(errors="replace"))

    def _start(
        self, command: list[str], folder: Path, output: BinaryIO
    ) -> subprocess.Popen[bytes] | None:
        # a folder of their own is all that what it compiles and caches may touch
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPYCACHEPREFIX"}
        environment |= {"PYTHONPATH": str(folder), "TMPDIR": str(folder)}
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the audit's to handle
            )
            self._running.add(process)
            return process

    def stop(self) -> None:
        """End what runs, its workers too."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process as Ctrl-C would; kill it where that does not end it in 20 s.

    Interrupted, pytest ends its workers.
    """
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read(report: Path, code: int, output: str) -> Done:
    """Read pytest's own report (JUnit's form); return no tests where it wrote none."""
    done = Done(code, output=output)
    if not report.exists():
        return done
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname', '').replace('.', '/')}.py::{_function(case)}"
        for kind, kept in (("failure", done.failed), ("error", done.errors)):
            found = case.find(kind)
            if found is not None:
                kept.append((test, found.get("message", "")))
        if len(case) == 0:
            done.passed.append(test)
    return done


def _function(case: ElementTree.Element) -> str:
    return (case.get("name") or "").partition("[")[0]


def _last(done: Done) -> str:
    if done.errors:
        return f"{done.errors[0][0]}: {_line(done.errors[0][1])}"
    lines = done.output.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _line(message: str) -> str:
    """The first line of a message that says something."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")
